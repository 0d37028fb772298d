"""tests: a DNS that shows what it is told to."""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.dispatch.actions.views import DomainView


class Zone:
    """A resolver whose records are in a dict, by name."""

    def __init__(self) -> None:
        self.shows: dict[str, list[str]] = {}

    async def txt(self, name: str) -> list[str]:
        return list(self.shows.get(name, ()))

    def publish(self, domain: DomainView, selectors: Sequence[str] | None = None) -> None:
        """The records of a domain; with `selectors`, of its keys only these."""
        for record in domain.records:
            selector, at, _ = record.name.partition("._domainkey.")
            if selectors is None or not at or selector in selectors:
                self.shows[record.name] = [record.value]

    def remove(self, domain: DomainView, selector: str) -> None:
        del self.shows[f"{selector}._domainkey.{domain.name}"]
