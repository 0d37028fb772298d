"""ingest.errors: what this house says no with.

Problem
|-- NotFound 404
|   |-- UnknownImport        import.unknown
|   |-- UnknownList          list.unknown: faults name /options/list
|   |-- UnknownProfile       profile.unknown: faults name /options/profile where an import named it
|   |-- NoRejects            rejects.none: the file has not been read yet
|   |-- UnknownDrop          drop.unknown
|-- Invalid 422
|   |-- BadUpload            upload.invalid: not multipart, a part missing, options that are not JSON
|   |-- BadOptions           options.invalid: faults name /options/...
|   |-- BadDrop              drop.invalid: faults name the field
|   |-- BadFile              the reader's code (file.empty, file.bomb, encoding.unknown ...): faults name /file
|-- UploadTooLarge 413       upload.too_large
|-- Conflict 409
|   |-- WrongState           import.state: the import is not in a state that allows the verb
|   |-- OptOutStands         import.opt_out_stands: what an opt-out file said is not undone
|   |-- ProfileNameTaken     profile.name_taken: faults name /name
|   |-- TooManyProfiles      profile.too_many
|   |-- StaleProfile 412     version_mismatch: `If-Match` did not name the present version
|   |-- AlreadyTaken         drop.taken: an import of this file exists; of the inside only
|   |-- NoSeal               pgp.not_configured: this platform keeps no keys
|-- Forbidden 403
|   |-- ListNeeded           list_not_allowed: a key limited to lists and a profile of no list
|-- Unavailable 503 (temporary)
    |-- NoRoom 507           upload.no_room: the disk is full; nothing was kept
    |-- ReaderBusy           reader.busy: too many files are being opened; nothing was kept
"""

from __future__ import annotations

from mailmaker.common.web.problem import Conflict, Forbidden, Invalid, NotFound, Problem, Unavailable


class UnknownImport(NotFound):
    """No such import in this account."""

    code = "import.unknown"


class UnknownList(NotFound):
    """No such list in this account."""

    code = "list.unknown"


class NoRejects(NotFound):
    """Row errors are known once the file has been read."""

    code = "rejects.none"


class UnknownProfile(NotFound):
    """No such import profile in this account."""

    code = "profile.unknown"


class ProfileNameTaken(Conflict):
    """Names of profiles are unique in an account."""

    code = "profile.name_taken"


class TooManyProfiles(Conflict):
    """The account has as many profiles as an account may have."""

    code = "profile.too_many"


class StaleProfile(Conflict):
    """Somebody else changed it first: read it again. `If-Match` did not name the present version."""

    code = "version_mismatch"
    status = 412
    title = "Changed by somebody else"


class ListNeeded(Forbidden):
    """A key limited to lists may not touch what serves other lists too."""

    code = "list_not_allowed"


class UnknownDrop(NotFound):
    """No such drop in this account."""

    code = "drop.unknown"


class BadDrop(Invalid):
    """A drop as it is asked for cannot be."""

    code = "drop.invalid"


class AlreadyTaken(Conflict):
    """What becomes of a dropped file has been decided before."""

    code = "drop.taken"


class NoSeal(Conflict):
    """Private keys are kept sealed, and the platform has been given no secret to seal them with."""

    code = "pgp.not_configured"


class BadUpload(Invalid):
    """The request is not the multipart form that this door takes."""

    code = "upload.invalid"


class BadOptions(Invalid):
    """The options cannot be understood."""

    code = "options.invalid"


class BadFile(Invalid):
    """The file cannot be imported as it is. Nothing of it was taken."""

    code = "file.unreadable"
    title = "The file cannot be imported"


class UploadTooLarge(Problem):
    """The file is larger than this house takes."""

    code = "upload.too_large"
    status = 413
    title = "The upload is too large"


class WrongState(Conflict):
    """The import is not in a state that allows the verb."""

    code = "import.state"


class OptOutStands(Conflict):
    """People said "no" by this file; only they take that back."""

    code = "import.opt_out_stands"


class NoRoom(Unavailable):
    """The disk that keeps uploads is full."""

    code = "upload.no_room"
    status = 507
    title = "There is no room for the upload"


class ReaderBusy(Unavailable):
    """As many files are being opened as this process opens at once, and enough wait."""

    code = "reader.busy"
