"""dispatch.domain: what a template needs of each recipient."""

from __future__ import annotations

from collections.abc import Iterable

OWN_NAMES = frozenset({"unsubscribe_url", "mailing", "list", "sender"})
"""What the platform gives every template; everything else is a field of the recipient."""


def merge_fields(variables: Iterable[str]) -> tuple[str, ...]:
    """The contact fields to ask contacts for: only what the text uses travels and is stored."""
    return tuple(sorted({name for name in variables if name not in OWN_NAMES}))
