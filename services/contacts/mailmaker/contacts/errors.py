"""contacts.errors: what can go wrong in this house.

Problem
|-- Invalid 422           WrongFields (the faults name them), SameContact
|-- NotFound 404          NoSuchThing
|-- Conflict 409          TooManyLists, KeyTaken, WrongState, Stale (412), TooManySegments, BrokenSegment,
|                       OtherList, PersonElsewhere, TooManyExports, NoExportFile
|-- Unavailable 503       TooSlow, TooManyCounts, SearchTooSlow
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.web.problem import Conflict, Fault, Invalid, NotFound, Unavailable
from mailmaker.contacts.domain.lists import ContactList


class WrongFields(Invalid):
    """Fields of the request cannot be taken."""

    code = "fields_invalid"


def wrong_fields(
    faults: Sequence[tuple[str, str, str]], detail: str = "the fields named in `errors` are wrong"
) -> WrongFields:
    return WrongFields(detail, faults=[Fault(*fault) for fault in faults])


class NoSuchThing(NotFound):
    """This account has no such thing."""


class TooManyLists(Conflict):
    """The account has as many lists as it may have."""

    code = "list_quota_reached"


class KeyTaken(Conflict):
    """The key belongs to another contact of the list. Concurrent first writes of one contact meet here too."""

    code = "contact_key_taken"


def key_taken(of: ContactList, contact_id: UUID, holder: UUID) -> KeyTaken:
    """Says whose the key is, and how two records of one person become one."""
    path = f"/v1/lists/{of.id}/contacts/{contact_id}:merge"
    return KeyTaken(
        "another contact of the list has this key; if both are one person, merge them",
        faults=[
            Fault(f"/{of.key}", "key.taken", f'contact {holder} has it: POST {path} {{"other": "{holder}"}}')
        ],
    )


class SameContact(Invalid):
    """A contact cannot be merged with itself."""

    code = "contact_merge_same"


class PersonElsewhere(Conflict):
    """The contact has left its list, and the list has its person as another contact."""

    code = "contact_elsewhere"


def person_is(contact_id: UUID) -> PersonElsewhere:
    """Says which contact the person is now."""
    return PersonElsewhere(
        f"the list has this person as contact {contact_id}: name that one, and this record goes with it"
    )


class SearchTooSlow(Unavailable):
    """The search was stopped: it took too long on a list of this size."""

    code = "search_too_slow"
    title = "The search takes too long"


class WrongState(Conflict):
    """The account cannot go from its state to that one."""

    code = "account_state"


class Stale(Conflict):
    """Somebody else changed it first: read it again. `If-Match` did not name the present version."""

    code = "version_mismatch"
    status = 412
    title = "Changed by somebody else"


class TooManySegments(Conflict):
    """The list has as many segments as it may have."""

    code = "segment.quota_reached"


class BrokenSegment(Conflict):
    """The segment's rule names what its list has no more; the faults say where. Nobody is guessed at."""

    code = "segment.broken"


class OtherList(Conflict):
    """A segment was asked for together with a list that is not its own."""

    code = "segment.other_list"


class TooManyExports(Conflict):
    """The account has as many unfinished exports as it may have."""

    code = "export.too_many"


class NoExportFile(Conflict):
    """The export is not ready, or its file is there no more."""

    code = "export.no_file"


class TooSlow(Unavailable):
    """A rule's statement was stopped: it took too long on this list."""

    code = "segment.too_slow"
    title = "The segment takes too long"


class TooManyCounts(Unavailable):
    """Other counts are still at work in this process."""

    code = "segment.busy"
