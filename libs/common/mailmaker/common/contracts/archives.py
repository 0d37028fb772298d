"""common.contracts.archives: which files of an account's export come from which house, in their order.

Each house but contacts gives its own at `GET /internal/accounts/{account}/archive` (common.storage.archiving).
"""

from __future__ import annotations

from collections.abc import Mapping

PARTS: Mapping[str, tuple[str, ...]] = {
    "ingest": (
        "ingest/imports.jsonl",
        "ingest/profiles.jsonl",
        "ingest/drops.jsonl",
        "ingest/drop_files.jsonl",
        "ingest/pgp_keys.jsonl",
    ),
    "dispatch": (
        "dispatch/domains.jsonl",
        "dispatch/senders.jsonl",
        "dispatch/pools.jsonl",
        "dispatch/sources.jsonl",
        "dispatch/routes.jsonl",
        "dispatch/templates.jsonl",
        "dispatch/mailings.jsonl",
        "dispatch/messages.jsonl",
    ),
    "suppression": ("suppression/suppressions.jsonl", "suppression/repeats.jsonl"),
    "fbl": ("fbl/reports.jsonl",),
}


def path_of(account_id: object) -> str:
    """Where a house gives its files of an account."""
    return f"/internal/accounts/{account_id}/archive"
