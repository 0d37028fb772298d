"""common.contracts: topics, events and internal hand-shakes, declared once."""

from mailmaker.common.contracts import (
    accounts,
    complaints,
    contacts,
    deliveries,
    imports,
    mailings,
    suppressions,
)

__all__ = ["accounts", "complaints", "contacts", "deliveries", "imports", "mailings", "suppressions"]
