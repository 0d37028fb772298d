"""ingest.storage.emptying: what becomes of each table when an account is gone: everything goes, after the files that rows
name. Nothing here is evidence: what an import did to a "no", and who sent it with which basis, is suppression's."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.storage.emptying import Emptying
from mailmaker.common.storage.transaction import Transaction

EMPTYING = Emptying(
    emptied={
        "imports": "",
        "import_profiles": "",
        "drop_files": "",
        "drops": "",
        "pgp_keys": "",
        "erasures": "",
    },
    blanked={},
    kept={},
)
# As DELETE /v1/drops/{id} does: the collector, who alone works in an inbox, removes its folders and then the row.
_CLOSE_DROPS = """
UPDATE drops SET closed = true, password_hash = NULL, public_keys = '{}', version = version + 1,
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND NOT closed
"""
_DROPS = "SELECT EXISTS (SELECT FROM drops WHERE account_id = $1)"
# Whoever reads one has lost its lease, and ends its reader within seconds.
_STOP_READING = """
UPDATE imports SET state = 'cancelled', lease = NULL, lease_until = NULL, version = version + 1,
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND state IN ('received', 'parsing')
"""
_IDS = "SELECT id FROM imports WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"


async def close_drops(tx: Transaction, account_id: UUID) -> bool:
    """Closes the inboxes of an account. True once there is none, and nothing of one on disk."""
    await tx.driver.execute(_CLOSE_DROPS, account_id)
    return not await tx.driver.fetchval(_DROPS, account_id)


async def stop_reading(tx: Transaction, account_id: UUID) -> int:
    """Takes what is read, or waits for it, out of the readers' hands. Returns how many imports that were."""
    told = await tx.driver.execute(_STOP_READING, account_id)
    return int(str(told).rpartition(" ")[2])


async def imports_after(tx: Transaction, account_id: UUID, after: UUID, limit: int) -> Sequence[UUID]:
    """The next imports of the account, whose files have its names."""
    return [row["id"] for row in await tx.driver.fetch(_IDS, account_id, after, limit)]
