"""suppression.storage.pepper: the check value of the key that address keys are made with, kept beside them."""

from __future__ import annotations

from mailmaker.common.storage.transaction import Transaction

_FIRST = "INSERT INTO pepper (check_value) VALUES ($1) ON CONFLICT DO NOTHING"
_FOUND = "SELECT check_value FROM pepper"


async def first_or_found(tx: Transaction, check: str) -> str:
    """The check value of this schema; ours, if it had none."""
    await tx.driver.execute(_FIRST, check)
    found: str = await tx.driver.fetchval(_FOUND)
    return found
