"""dispatch.domain: what a template needs of each recipient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

UNSUBSCRIBE = "unsubscribe_url"
OWN_NAMES = frozenset({UNSUBSCRIBE})
"""What the platform gives every template; every other name is a field of the recipient."""


def merge_fields(variables: Iterable[str]) -> tuple[str, ...]:
    """The contact fields to ask contacts for: only what the text uses travels and is stored."""
    return tuple(sorted({name for name in variables if name not in OWN_NAMES}))


def parts_without_unsubscribe(
    uses: Mapping[str, Iterable[str]], sources: Mapping[str, str]
) -> tuple[str, ...]:
    """The written body parts (html, text) that lack the unsubscribe link: marketing mail may not be sent so."""
    return tuple(
        part for part, source in sources.items() if source.strip() and UNSUBSCRIBE not in set(uses[part])
    )
