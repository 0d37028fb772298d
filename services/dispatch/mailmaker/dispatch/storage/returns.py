"""dispatch.storage: cap instants given back by messages that will not begin."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction

# The caller has locked the messages; cap rows come second, in the order of their keys (design section 7).
_GIVE_BACK = """
WITH gone AS MATERIALIZED (
    SELECT account_id, list_id, channel, address_key, instant, count(*) AS n
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::timestamptz[])
        AS g(account_id, list_id, channel, address_key, instant)
     GROUP BY account_id, list_id, channel, address_key, instant
), locked AS MATERIALIZED (
    SELECT c.account_id, c.list_id, c.channel, c.address_key FROM caps c
     WHERE EXISTS (SELECT FROM gone g WHERE g.account_id = c.account_id AND g.list_id = c.list_id
                      AND g.channel = c.channel AND g.address_key = c.address_key)
     ORDER BY account_id, list_id, channel, address_key FOR UPDATE OF c
)
UPDATE caps c SET (instants, holders) = (
    SELECT coalesce(array_agg(u.instant ORDER BY u.place), '{}'), coalesce(array_agg(u.holder ORDER BY u.place), '{}')
      FROM (SELECT instant, holder, place, row_number() OVER (PARTITION BY instant ORDER BY place) AS nth
              FROM unnest(c.instants, c.holders) WITH ORDINALITY AS a(instant, holder, place)) u
      LEFT JOIN gone g ON g.account_id = c.account_id AND g.list_id = c.list_id AND g.channel = c.channel
                      AND g.address_key = c.address_key AND g.instant = u.instant
     WHERE g.n IS NULL OR u.nth > g.n)
  FROM locked l
 WHERE c.account_id = l.account_id AND c.list_id = l.list_id AND c.channel = l.channel
   AND c.address_key = l.address_key
"""


async def give_back(tx: Transaction, stopped: Sequence[Record], account_id: UUID | None = None) -> None:
    """Removes the reservations of stopped messages (rows with list_id, channel, address_key, cap_instant)."""
    held = [row for row in stopped if row["cap_instant"] is not None]
    if held:
        await tx.driver.execute(
            _GIVE_BACK,
            [account_id or row["account_id"] for row in held],
            [row["list_id"] for row in held],
            [row["channel"] for row in held],
            [row["address_key"] for row in held],
            [row["cap_instant"] for row in held],
        )
