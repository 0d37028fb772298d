"""suppression.api.shapes: entries as JSON, faults as JSON pointers, the evidence a request carries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.suppression.actions.read_ledger import Full
from mailmaker.suppression.api.schemas import FeedLineView, FullView, RepetitionView, SuppressionView
from mailmaker.suppression.domain.entry import Entry, OwnLine
from mailmaker.suppression.domain.wish import Wrong, named

_MAX = 200


def view(entry: Entry) -> SuppressionView:
    """An entry as every door shows it."""
    return SuppressionView(**_shape(entry))


def full_view(full: Full) -> FullView:
    """An entry with its evidence."""
    said = tuple(
        RepetitionView(door=s.door, reason=s.reason, received_at=s.received_at, recorded_at=s.recorded_at)
        for s in full.repetitions
    )
    return FullView(
        **_shape(full.entry), numbers=full.entry.positions, evidence=full.evidence, repetitions=said
    )


def line_view(line: OwnLine) -> FeedLineView:
    """A line of the account's feed."""
    return FeedLineView(
        number=line.number,
        suppression=line.suppression_id,
        channel=line.channel,
        scope=line.scope,
        list=line.list_id,
        contact=line.contact_id,
        subjects=line.subjects,
        reason=line.reason,
        door=line.door,
        released=line.released,
        received_at=line.received_at,
        recorded_at=line.recorded_at,
    )


def invalid(wrong: Sequence[Wrong], at: str = "") -> Invalid:
    """The problem that names each field."""
    return Invalid(named(wrong), faults=[Fault(f"{at}/{w.name}", w.code, w.detail) for w in wrong])


def evidence_of(request: Request) -> dict[str, str]:
    """Where the request came from; of the user agent only a digest, enough to tell two programs apart."""
    found = {"ip": request.client.host} if request.client else {}
    if forwarded := request.headers.get("x-forwarded-for"):
        found["forwarded_for"] = forwarded[:_MAX]
    if agent := request.headers.get("user-agent"):
        found["user_agent_sha256"] = hashlib.sha256(agent.encode()).hexdigest()[:32]
    found["request_id"] = str(request.state.request_id)
    return found


def _shape(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "channel": entry.channel,
        "scope": entry.scope,
        "list": entry.list_id,
        "contact": entry.contact_id,
        "door": entry.door,
        "reason": entry.reason,
        "received_at": entry.received_at,
        "recorded_at": entry.recorded_at,
        "enforced_at": entry.enforced_at,
        "stopped": entry.stopped,
        "in_flight": entry.in_flight,
        "released_at": entry.released_at,
        "release_reason": entry.release_reason,
        "release_evidence": entry.release_evidence,
    }
