"""fbl.domain.findings: what a mail says, as the parser hands it over: bounded, and made of plain text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Shape = Literal["delivery_report", "text_bounce", "feedback_report", "auto_reply", "unsubscribe", "other"]

MAX_RECIPIENTS = 100
MAX_TRACES = 64


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient a report speaks of. `action` and `status` as RFC 3464 names them; `diagnostic` is the reply."""

    address: str | None
    action: str | None
    status: str | None
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything later rooms need. `traces` are 56-character texts that may be tokens of ours, best place first."""

    shape: Shape
    message_id: str | None = None
    feedback_type: str | None = None
    recipients: tuple[Recipient, ...] = ()
    traces: tuple[str, ...] = ()
    address: str | None = None
    original_message_id: str | None = None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, text: bytes) -> Findings:
        values = json.loads(text)
        values["recipients"] = tuple(Recipient(**one) for one in values["recipients"])
        values["traces"] = tuple(values["traces"])
        return cls(**values)
