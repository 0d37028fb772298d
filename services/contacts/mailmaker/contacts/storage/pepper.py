"""contacts.storage.pepper: the check value of the pepper that this schema's address keys are made with."""

from __future__ import annotations

from mailmaker.common.storage.engine import Transaction

FIRST = "INSERT INTO pepper (check_value) VALUES ($1) ON CONFLICT DO NOTHING"
FOUND = "SELECT check_value FROM pepper"


async def first_or_found(tx: Transaction, check: str) -> str:
    """The check value of this schema; ours, if it had none."""
    await tx.driver.execute(FIRST, check)
    return str(await tx.driver.fetchval(FOUND))
