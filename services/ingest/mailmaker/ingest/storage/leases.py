"""ingest.storage.leases: who reads which import. A lease that is not renewed frees the file for another reader."""

from __future__ import annotations

import json
from dataclasses import asdict
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.ingest.domain.imports import Import, Reading
from mailmaker.ingest.storage.imports import COLUMNS, read_row

LEASE = "15 seconds"

# Of a closed account only opt-outs are read: a "no" is taken whatever the account's state. The others wait: it may be
# reopened. Files of one list are read one after the other, so that the last one sent is applied last; a "no" waits for
# none of them.
_CLAIM = f"""
UPDATE imports SET state = 'parsing', attempts = attempts + 1, lease = $1,
       lease_until = clock_timestamp() + interval '{LEASE}', done = 0, version = version + 1,
       updated_at = clock_timestamp()
 WHERE (account_id, id) = (
       SELECT account_id, id FROM imports i
        WHERE state IN ('received', 'parsing') AND (state = 'received' OR lease_until < clock_timestamp())
          AND (options->>'mode' = 'opt_out' OR (
               account_id NOT IN (SELECT account_id FROM known_accounts WHERE state = 'closed')
               AND NOT EXISTS (
                   SELECT FROM imports e
                    WHERE e.account_id = i.account_id AND e.list_id = i.list_id AND e.state IN ('received', 'parsing')
                      AND (e.created_at, e.id) < (i.created_at, i.id))))
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {COLUMNS}
"""
_RENEW = f"""
UPDATE imports SET lease_until = clock_timestamp() + interval '{LEASE}', done = $4, total = greatest(total, $4),
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 AND lease = $3 AND state = 'parsing'
"""
_HELD = f"""
SELECT {COLUMNS} FROM imports WHERE account_id = $1 AND id = $2 AND lease = $3 AND state = 'parsing' FOR UPDATE
"""
_STAGED = f"""
UPDATE imports SET state = 'staged', counts = $3::jsonb, reading = $4::jsonb, done = $5, total = $5, lease = NULL,
       lease_until = NULL, version = version + 1, updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 RETURNING {COLUMNS}
"""
_GIVE_BACK = """
UPDATE imports SET state = 'received', crashes = crashes + $4, lease = NULL, lease_until = NULL, version = version + 1,
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 AND lease = $3 AND state = 'parsing'
"""


async def claim(tx: Transaction, lease: UUID) -> Import | None:
    """The oldest import that nobody reads and whose turn it is, now this lease's. In a platform transaction."""
    row = await tx.driver.fetchrow(_CLAIM, lease)
    return None if row is None else read_row(row)


async def renew(tx: Transaction, of: Import, lease: UUID, done: int) -> bool:
    """Keeps the lease and tells the rows read. False: it is lost (cancelled, or taken over)."""
    said = await tx.driver.execute(_RENEW, of.account_id, of.id, lease, done)
    return bool(said.endswith("1"))


async def held(tx: Transaction, of: Import, lease: UUID) -> Import | None:
    """The import, locked, if the lease still holds."""
    row = await tx.driver.fetchrow(_HELD, of.account_id, of.id, lease)
    return None if row is None else read_row(row)


async def staged(tx: Transaction, of: Import, counts: dict[str, int], reading: Reading) -> Import:
    """The file is read: its counts so far, and how it was read."""
    told = json.dumps(asdict(reading))
    return read_row(
        await tx.driver.fetchrow(_STAGED, of.account_id, of.id, json.dumps(counts), told, counts["rows"])
    )


async def give_back(tx: Transaction, of: Import, lease: UUID, *, crashed: bool) -> None:
    """Lets another reader have it."""
    await tx.driver.execute(_GIVE_BACK, of.account_id, of.id, lease, int(crashed))
