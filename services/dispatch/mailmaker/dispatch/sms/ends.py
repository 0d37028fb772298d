"""dispatch.sms: how a submit_sm ends, and what each end proves (SMS-2)."""

from __future__ import annotations

from dataclasses import dataclass

from mailmaker.dispatch.domain.last_look import Refusal
from mailmaker.dispatch.sms.status import TEMPORARY, name_of


@dataclass(frozen=True, slots=True)
class Accepted:
    """The SMSC has it. `message_id` as its receipts will name it (receipt.Notation); empty if it told none."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The SMSC did not take it, and may later: try again in `after` seconds, not sooner (ESME_RTHROTTLED, RMSGQFUL)."""

    after: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The SMSC did not take it: command_status says why."""

    status: int

    @property
    def temporary(self) -> bool:
        """The trouble is the SMSC's: the same message may be tried again, a limited number of times."""
        return self.status in TEMPORARY

    def __str__(self) -> str:
        return name_of(self.status)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer came. `sent`: it was handed to the connection, so the SMSC may have it: uncertain, and never sent again
    by itself. Otherwise not one octet was written, and it may go again."""

    sent: bool
    why: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The last look said no: not one octet was written."""

    refusal: Refusal


End = Accepted | Throttled | Refused | Unanswered | Withheld
