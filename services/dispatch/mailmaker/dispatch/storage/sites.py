"""dispatch.storage: which lane the mail for a domain takes, and which lanes of running mailings have something due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

AT_ONCE = 2000
"""Messages of one mailing that are looked at together."""

_LIVE = "m.state IN ('queued', 'scheduled', 'deferred', 'held')"
_UNKNOWN = f"""
SELECT DISTINCT split_part(m.address, '@', 2) AS domain
  FROM mailings r CROSS JOIN LATERAL (
       SELECT m.address FROM messages m
        WHERE m.account_id = r.account_id AND m.mailing_id = r.id AND m.lane = '' AND {_LIVE} LIMIT $1) m
 WHERE r.state IN ('running', 'paused') AND r.channel = 'email'
"""
_KNOW = """
INSERT INTO sites (domain, site, lane, expires_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS s(domain, site, lane, expires_at) ORDER BY 1
ON CONFLICT (domain) DO UPDATE SET site = excluded.site, lane = excluded.lane, expires_at = excluded.expires_at
"""
_PUT = f"""
WITH picked AS MATERIALIZED (
    SELECT m.account_id, m.id, split_part(m.address, '@', 2) AS domain FROM messages m
     WHERE (m.account_id, m.id) IN (
           SELECT m.account_id, m.id FROM mailings r CROSS JOIN LATERAL (
                  SELECT m.account_id, m.id FROM messages m
                   WHERE m.account_id = r.account_id AND m.mailing_id = r.id AND m.lane = '' AND {_LIVE} LIMIT $1) m
            WHERE r.state IN ('running', 'paused'))
       AND m.lane = '' AND {_LIVE}
     ORDER BY m.account_id, m.id FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET lane = s.lane FROM picked p JOIN sites s ON s.domain = p.domain AND s.expires_at > clock_timestamp()
 WHERE m.account_id = p.account_id AND m.id = p.id
"""
# Only rows that nobody holds, and none is waited for: so their order breaks no other's.
_WANT = f"""
WITH picked AS MATERIALIZED (
    SELECT m.account_id, m.id FROM messages m
     WHERE m.account_id = $1 AND m.mailing_id = $2 AND m.lane IS NULL AND {_LIVE}
     ORDER BY m.due_at, m.id LIMIT $3 FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET lane = '' FROM picked p WHERE m.account_id = p.account_id AND m.id = p.id
"""
_LIVE_MAILINGS = """
SELECT r.account_id, r.id FROM mailings r
 WHERE r.state IN ('running', 'paused') AND r.channel = 'email' AND r.expanded_at IS NOT NULL
   AND EXISTS (SELECT FROM pools p WHERE p.account_id = r.account_id)
 ORDER BY r.account_id, r.id
"""
# Some rows of many, always by index: what the planner knows of a mailing that was expanded a moment ago is nothing.
_BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)
"""
_SWEEP = "DELETE FROM sites WHERE expires_at < clock_timestamp() - interval '30 days'"
# Lane by lane along the index: as many steps as there are lanes, however many messages wait.
_DUE = f"""
WITH RECURSIVE lanes AS (
    SELECT r.account_id, r.id AS mailing_id, (
           SELECT m.lane FROM messages m
            WHERE m.account_id = r.account_id AND m.mailing_id = r.id AND m.lane > '' AND {_LIVE}
            ORDER BY m.lane LIMIT 1) AS lane
      FROM mailings r WHERE r.account_id = ANY($1::uuid[]) AND r.id = ANY($2::uuid[])
    UNION ALL
    SELECT l.account_id, l.mailing_id, (
           SELECT m.lane FROM messages m
            WHERE m.account_id = l.account_id AND m.mailing_id = l.mailing_id AND m.lane > l.lane AND {_LIVE}
            ORDER BY m.lane LIMIT 1)
      FROM lanes l WHERE l.lane IS NOT NULL
)
SELECT l.mailing_id, l.lane FROM lanes l
 WHERE l.lane IS NOT NULL AND EXISTS (
       SELECT FROM messages m WHERE m.account_id = l.account_id AND m.mailing_id = l.mailing_id AND m.lane = l.lane
          AND {_LIVE} AND m.due_at <= clock_timestamp())
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Where mail for a domain goes, and until when that is taken for granted."""

    domain: str
    site: str
    lane: str
    expires_at: datetime


async def unknown_domains(tx: Transaction) -> list[str]:
    """Domains of messages whose lane is to be found: some of each running mailing's."""
    return [row["domain"] for row in await tx.driver.fetch(_UNKNOWN, AT_ONCE)]


async def know(tx: Transaction, sites: Sequence[Site]) -> None:
    """Writes what was found."""
    await tx.driver.execute(
        _KNOW,
        [site.domain for site in sites],
        [site.site for site in sites],
        [site.lane for site in sites],
        [site.expires_at for site in sites],
    )


async def put(tx: Transaction) -> int:
    """Puts messages whose domain is known into their lanes, some at a time. Returns how many."""
    await tx.driver.execute(_BY_INDEX)
    return int((await tx.driver.execute(_PUT, AT_ONCE)).rpartition(" ")[2])


async def want(tx: Transaction, account_id: UUID, mailing_id: UUID) -> bool:
    """Has the lane found of some messages that were not told apart by site when they were written. False: of none."""
    await tx.driver.execute(_BY_INDEX)
    return not (await tx.driver.execute(_WANT, account_id, mailing_id, AT_ONCE)).endswith(" 0")


async def live_mailings(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """Mailings under way of accounts with pools."""
    return [(row["account_id"], row["id"]) for row in await tx.driver.fetch(_LIVE_MAILINGS)]


async def sweep(tx: Transaction) -> None:
    """Forgets domains that nobody has written to for long."""
    await tx.driver.execute(_SWEEP)


async def due_lanes(
    tx: Transaction, account_ids: Sequence[UUID], mailing_ids: Sequence[UUID]
) -> set[tuple[UUID, str]]:
    """Of these mailings, the lanes in which something is due."""
    rows = await tx.driver.fetch(_DUE, list(account_ids), list(mailing_ids))
    return {(row["mailing_id"], row["lane"]) for row in rows}
