"""common.contracts.complaints: events of complaints.v1."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import COMPLAINTS, Topic


class _OfReport(Event):
    topic: ClassVar[Topic] = COMPLAINTS
    report_id: UUID
    contact_id: UUID | None = None
    mailing_number: int | None = None

    def key(self) -> str:
        return f"{self.account_id}/{self.contact_id or self.report_id}"


@declared
class ComplaintReceived(_OfReport):
    """A feedback report that names one of our mails."""

    type: Literal["complaint.received"] = "complaint.received"
    feedback_type: str


@declared
class BounceReceived(_OfReport):
    """A delivery status notification that names one of our mails."""

    type: Literal["bounce.received"] = "bounce.received"
    category: str
    permanent: bool
    status: str | None = None


@declared
class OptOutRequested(_OfReport):
    """An unsubscribe mail with a valid token."""

    type: Literal["opt_out.requested"] = "opt_out.requested"


@declared
class ReportUnattributed(_OfReport):
    """A report that names nobody we know (account: the nil id)."""

    type: Literal["report.unattributed"] = "report.unattributed"
    kind: str
