"""suppression.storage.enforced: dispatch's word on each line of the feed, kept for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import Enforcement
from mailmaker.common.storage.transaction import Transaction

WAKE_CHANNEL = "suppression_enforced"
_PAYLOAD = 200  # ids in one notification: its payload ends at 8,000 bytes

_KEEP = """
WITH batch AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS n(
        number bigint, account_id uuid, suppression_id uuid, enforced_at timestamptz, stopped jsonb, in_flight jsonb)
), kept AS (
    INSERT INTO enforcements (account_id, number, suppression_id, enforced_at, stopped, in_flight, told_at)
    SELECT b.account_id, b.number, b.suppression_id, b.enforced_at, b.stopped, b.in_flight, clock_timestamp()
      FROM batch b JOIN feed f ON f.account_id = b.account_id AND f.number = b.number AND f.suppression_id = b.suppression_id
     ORDER BY b.number
    ON CONFLICT DO NOTHING RETURNING account_id, number, enforced_at
), answered AS (
    DELETE FROM awaiting a USING kept k WHERE a.account_id = k.account_id AND a.number = k.number
)
SELECT f.door, f.recorded_at, k.enforced_at FROM kept k JOIN feed f ON f.account_id = k.account_id AND f.number = k.number
 WHERE NOT f.later AND NOT f.released
"""
_OLDEST = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8 FROM awaiting"


@dataclass(frozen=True, slots=True)
class Latency:
    """From recorded to enforced, by door."""

    door: str
    recorded_at: datetime
    enforced_at: datetime


async def keep(tx: Transaction, items: Sequence[Enforcement]) -> list[Latency]:
    """Writes down what was enforced, once a line; whoever waits for one of the entries is woken at the commit."""
    rows = [item.model_dump(mode="json") for item in items]
    kept = await tx.driver.fetch(_KEEP, json.dumps(rows))
    ids = sorted({str(item.suppression_id) for item in items})
    for start in range(0, len(ids), _PAYLOAD):
        await tx.driver.execute(
            "SELECT pg_notify($1, $2)", WAKE_CHANNEL, ",".join(ids[start : start + _PAYLOAD])
        )
    return [Latency(row["door"], row["recorded_at"], row["enforced_at"]) for row in kept]


async def oldest_pending(tx: Transaction) -> float:
    """Seconds since the oldest line dispatch has not answered for was recorded; 0 when there is none."""
    return float(await tx.driver.fetchval(_OLDEST))


def ids_of(payload: str) -> list[UUID]:
    """The entries a notification names."""
    return [UUID(part) for part in payload.split(",") if part]
