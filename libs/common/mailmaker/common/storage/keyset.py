"""common.storage.keyset: cursors for collections: where the last page ended, opaque to clients."""

from __future__ import annotations

import base64
import json
from typing import Generic, TypeVar

from mailmaker.common.web.problem import Fault, Invalid
from pydantic import BaseModel

LIMIT = 1000
T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a collection. `next` is None on the last one."""

    items: list[T]
    next: str | None = None


def encode_cursor(*position: str | int) -> str:
    """The opaque cursor of a position in the collection's order."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[str | int, ...]:
    """The position of a cursor we gave. Raises Invalid for any other text."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(part, str | int) for part in found):
        raise Invalid(
            "the cursor is not one of ours",
            faults=[Fault("/cursor", "cursor.unknown", "begin without a cursor")],
        )
    return tuple(found)
