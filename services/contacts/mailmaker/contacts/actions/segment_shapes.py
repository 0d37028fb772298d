"""contacts.actions.segment_shapes: what is asked of segments, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.contacts.actions.contact_shapes import ContactView, FaultView
from mailmaker.contacts.actions.shapes import Asked, Name
from mailmaker.contacts.domain.segments import Segment
from pydantic import BaseModel, Field, JsonValue

RULE = Field(
    description='A tree: {"all": [...]}, {"any": [...]} or {"not": [...]} of leaves {"field", "op", "value"}.',
    examples=[
        {
            "all": [
                {"field": "region", "op": "in", "value": ["Lazio", "Toscana"]},
                {"field": "birth_date", "op": "anniversary_in_next_days", "value": 7},
                {"not": [{"field": "clicked", "op": "in_last_days", "value": 30}]},
            ]
        }
    ],
)


class SegmentWish(Asked):
    """A segment to save."""

    name: Name
    rule: dict[str, JsonValue] = RULE


class SegmentChange(Asked):
    """What of a segment to change; what is not named stays."""

    name: Name | None = None
    rule: dict[str, JsonValue] | None = Field(None, description="Replaces the rule as a whole.")


class CountWish(Asked):
    """A rule to try, saved or not."""

    rule: dict[str, JsonValue] = RULE


class SegmentView(BaseModel):
    """A segment. `version` is also its ETag. `faults`: what of the rule cannot be applied any more, as a field that the
    list has lost; such a segment means nobody until it is mended."""

    id: UUID
    list: UUID
    name: str
    rule: dict[str, JsonValue]
    faults: Sequence[FaultView]
    created_at: datetime
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, it: Segment, faults: Sequence[tuple[str, str, str]] = ()) -> SegmentView:
        rule: Any = dict(it.rule)
        return cls(
            id=it.id,
            list=it.list_id,
            name=it.name,
            rule=rule,
            faults=[FaultView(pointer=at, code=code, detail=detail) for at, code, detail in faults],
            created_at=it.created_at,
            changed_at=it.changed_at,
            version=it.version,
        )


class SegmentCount(BaseModel):
    """How many contacts a rule means now, and some of them. `took` is in seconds."""

    count: int
    sample: list[ContactView]
    took: float
