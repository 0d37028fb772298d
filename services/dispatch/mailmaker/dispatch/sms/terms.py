"""dispatch.sms: what was agreed with a provider about its sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailmaker.dispatch.sms.receipt import Notation


@dataclass(frozen=True, slots=True)
class Terms:
    """`window`: submits without answer, at most. Seconds: `answer_within` for each of our requests, `enquire_after` of
    silence (the provider hangs up after some of it: stay well below)."""

    window: int = 10
    answer_within: float = 30.0
    enquire_after: float = 30.0
    notation: Notation = field(default_factory=Notation)
