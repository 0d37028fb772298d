"""suppression.errors: what this house refuses, and how it says so.

Problem
|-- NotFound
|   |-- NoSuchSuppression   404  suppression_not_found      no such entry of this account
|   `-- NoSuchJournal       404  journal_not_found          no process vouches under this id
|-- Conflict
|   |-- OnlyByPerson        409  opt_out_is_the_persons     an opt-out or complaint is taken back by the person alone
|   `-- ReleasedBefore      409  released_before            the entry is no longer in force
`-- Unavailable
    |-- TooBusy             503  too_busy                   more "no"s wait than we can promise to record (temporary)
    `-- JournalClosed       503  journal_unavailable        neither PostgreSQL nor the journal takes it (temporary)
"""

from __future__ import annotations

from mailmaker.common.web.problem import Conflict, NotFound, Unavailable


class NoSuchSuppression(NotFound):
    """No such entry of this account."""

    code = "suppression_not_found"


class NoSuchJournal(NotFound):
    """No process vouches under this id."""

    code = "journal_not_found"


class OnlyByPerson(Conflict):
    """An opt-out or a complaint is the person's word: only the person takes it back."""

    code = "opt_out_is_the_persons"


class ReleasedBefore(Conflict):
    """The entry is no longer in force."""

    code = "released_before"


class TooBusy(Unavailable):
    """More "no"s are waiting than this process can promise to record in time."""

    code = "too_busy"


class JournalClosed(Unavailable):
    """The local journal does not take the "no" either: not registered yet, or the disk is full."""

    code = "journal_unavailable"
