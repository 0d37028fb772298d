"""dispatch.storage: the claim: one statement skips the suppressed, reserves caps and takes the lease (design section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.caps import Allowance

# Locks: messages first (never waiting for one), then cap rows in the order of their keys. A cap row is decided on as
# it stands when its lock is had, by every window at once; one statement takes at most one message for a cap row.
# A list whose allowance is not the one of this instant (a process with a wrong clock) gives nothing.
_ANY = """
WITH policy AS MATERIALIZED (
    SELECT * FROM unnest($6::uuid[], $7::boolean[], $8::timestamptz[], $9::timestamptz[], $10::integer[],
                         $11::timestamptz[], $12::integer[], $13::timestamptz[], $14::integer[], $15::timestamptz[],
                         $16::timestamptz[], $17::text[])
        AS p(list_id, capped, valid_from, good_until, day, day_since, week, week_since, month, month_since, hold_until,
             route)
), picked AS MATERIALIZED (
    SELECT m.id, m.list_id, m.contact_id, m.channel, m.address, m.address_key, m.address_subject, m.contact_subject,
           m.fkey_subject, m.merge, m.attempts, m.begun_at
      FROM messages m
     WHERE m.account_id = $1 AND m.mailing_id = $2 AND m.state IN ('queued', 'scheduled', 'deferred', 'held')
       AND m.due_at <= now() /* which */
       AND EXISTS (SELECT FROM mailings r WHERE r.account_id = $1 AND r.id = $2 AND r.state = 'running'
                      AND (r.valid_until IS NULL OR r.valid_until > now()))
       AND EXISTS (SELECT FROM known_accounts a WHERE a.account_id = $1 AND a.state = 'open')
     ORDER BY m.due_at, m.id LIMIT $3 FOR UPDATE OF m SKIP LOCKED
), judged AS MATERIALIZED (
    SELECT p.*, s.source, s.reason, s.number, l.capped, l.good_until, l.hold_until, l.route,
           row_number() OVER (PARTITION BY p.list_id, p.channel, p.address_key ORDER BY p.id) AS turn,
           coalesce(least(l.day, l.week, l.month) = 0, false) AS closed
      FROM picked p
      JOIN policy l ON l.list_id = p.list_id AND now() >= l.valid_from AND now() < l.good_until
      LEFT JOIN LATERAL (
          SELECT d.source, d.reason, d.number FROM suppressed d
           WHERE d.account_id = $1 AND d.channel = p.channel
             AND d.subject IN (p.address_subject, p.contact_subject, p.fkey_subject)
             AND d.list_id IN (p.list_id, '00000000-0000-0000-0000-000000000000') AND NOT d.released
           ORDER BY d.source DESC, d.number DESC LIMIT 1) s ON true
), reserved AS (
    INSERT INTO caps AS c (account_id, list_id, channel, address_key, instants, holders)
    SELECT $1, j.list_id, j.channel, j.address_key, ARRAY[now()], ARRAY[$5::integer]
      FROM judged j WHERE j.source IS NULL AND j.capped AND NOT j.closed AND j.turn = 1
     ORDER BY j.list_id, j.channel, j.address_key
    ON CONFLICT (account_id, list_id, channel, address_key) DO UPDATE SET
        instants = CASE WHEN c.instants[1] > now() - interval '32 days' THEN c.instants ELSE coalesce(
            (SELECT array_agg(i ORDER BY n) FROM unnest(c.instants) WITH ORDINALITY AS u(i, n)
              WHERE i > now() - interval '32 days'), '{}') END || now(),
        holders = CASE WHEN c.instants[1] > now() - interval '32 days' THEN c.holders ELSE coalesce(
            (SELECT array_agg(h ORDER BY n) FROM unnest(c.instants, c.holders) WITH ORDINALITY AS u(i, h, n)
              WHERE i > now() - interval '32 days'), '{}') END || $5::integer
     WHERE NOT EXISTS (
        SELECT FROM policy l WHERE l.list_id = c.list_id AND (
            (SELECT count(*) FROM unnest(c.instants) i WHERE i >= l.day_since) >= l.day
         OR (SELECT count(*) FROM unnest(c.instants) i WHERE i >= l.week_since) >= l.week
         OR (SELECT count(*) FROM unnest(c.instants) i WHERE i >= l.month_since) >= l.month))
    RETURNING list_id, channel, address_key
), decided AS MATERIALIZED (
    SELECT j.id, j.good_until, j.number, j.reason AS why, j.hold_until, j.capped, j.route,
           CASE WHEN j.source = 'contacts' THEN 'cancelled' WHEN j.source IS NOT NULL THEN 'suppressed'
                WHEN NOT j.capped OR r.list_id IS NOT NULL THEN 'claimed'
                WHEN j.hold_until IS NOT NULL THEN 'held' ELSE 'capped' END AS state
      FROM judged j
      LEFT JOIN reserved r ON r.list_id = j.list_id AND r.channel = j.channel AND r.address_key = j.address_key
                          AND j.turn = 1 AND j.source IS NULL
     WHERE j.source IS NOT NULL OR NOT j.capped OR j.turn = 1
)
UPDATE messages m SET
       state = d.state,
       reason = CASE d.state WHEN 'claimed' THEN NULL WHEN 'capped' THEN 'cap' WHEN 'held' THEN 'cap' ELSE d.why END,
       detail = CASE WHEN d.number IS NULL THEN NULL ELSE jsonb_build_object('number', d.number) END,
       route = CASE d.state WHEN 'claimed' THEN d.route ELSE m.route END,
       fence = CASE d.state WHEN 'claimed' THEN $4::bigint END,
       claimed_until = CASE d.state WHEN 'claimed' THEN d.good_until END,
       attempt_id = CASE d.state WHEN 'claimed' THEN gen_random_uuid() END,
       cap_instant = CASE WHEN d.state = 'claimed' AND d.capped THEN now() END,
       due_at = CASE d.state WHEN 'held' THEN d.hold_until ELSE m.due_at END,
       ended_at = CASE WHEN d.state IN ('claimed', 'held') THEN NULL ELSE clock_timestamp() END
  FROM decided d WHERE m.account_id = $1 AND m.id = d.id
RETURNING m.id, m.state, m.list_id, m.contact_id, m.channel, m.address, m.address_subject, m.contact_subject,
          m.fkey_subject, m.merge::text AS merge, m.attempts, m.begun_at, m.attempt_id, m.claimed_until
"""
# What leaves by the platform's own way; by a pool, for the lists that its rules send there; and of those by one lane.
_OF_LISTS = _ANY.replace("/* which */", "AND m.list_id = ANY($6::uuid[])")
_OF_LANE = _ANY.replace("/* which */", "AND m.lane = $18 AND m.list_id = ANY($6::uuid[])")
# Why a cap refused, for the decision: the first window without room, its limit, and which mailings used it up.
_EXPLAIN = """
WITH policy AS MATERIALIZED (
    SELECT * FROM unnest($3::uuid[], $4::integer[], $5::timestamptz[], $6::integer[], $7::timestamptz[],
                         $8::integer[], $9::timestamptz[])
        AS p(list_id, day, day_since, week, week_since, month, month_since)
), found AS (
    SELECT m.id, w.name, w.quota, w.holders
      FROM messages m JOIN policy l ON l.list_id = m.list_id
      LEFT JOIN caps c ON c.account_id = $1 AND c.list_id = m.list_id AND c.channel = m.channel
                      AND c.address_key = m.address_key
     CROSS JOIN LATERAL (
        SELECT v.name, v.quota, v.place,
               coalesce((SELECT array_agg(u.holder ORDER BY u.instant)
                           FROM unnest(c.instants, c.holders) AS u(instant, holder) WHERE u.instant >= v.since), '{}')
                   AS holders
          FROM (VALUES ('day', l.day, l.day_since, 1), ('week', l.week, l.week_since, 2),
                       ('month', l.month, l.month_since, 3)) AS v(name, quota, since, place)
         WHERE v.quota IS NOT NULL) w
     WHERE m.account_id = $1 AND m.id = ANY($2::uuid[]) AND cardinality(w.holders) >= w.quota
), first AS (
    SELECT DISTINCT ON (id) id, name, quota, holders FROM found
     ORDER BY id, array_position(ARRAY['day', 'week', 'month'], name)
)
UPDATE messages m SET detail = jsonb_build_object('window', f.name, 'limit', f.quota, 'holders', to_jsonb(f.holders))
  FROM first f WHERE m.account_id = $1 AND m.id = f.id
"""
_EXPIRE = """
WITH late AS MATERIALIZED (
    SELECT m.id FROM messages m
      JOIN mailings r ON r.account_id = m.account_id AND r.id = m.mailing_id AND r.valid_until <= now()
     WHERE m.account_id = $1 AND m.mailing_id = $2 AND m.state IN ('queued', 'scheduled', 'deferred', 'held')
     ORDER BY m.id LIMIT $3 FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET state = 'expired', reason = 'validity', ended_at = clock_timestamp()
  FROM late WHERE m.account_id = $1 AND m.id = late.id
RETURNING m.id
"""
_RATE_AT = "SELECT rate_at FROM mailings WHERE account_id = $1 AND id = $2 FOR UPDATE"
_SET_RATE_AT = "UPDATE mailings SET rate_at = $3 WHERE account_id = $1 AND id = $2"
_CAPS_OF = "SELECT list_id, caps FROM lists WHERE account_id = $1 AND list_id = ANY($2::uuid[])"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a claim asks for: some messages of one mailing, under its lists' allowances. `routes`: for each list the rule
    that sends it this way, and no other list then; `lane`: only messages of that lane."""

    account_id: UUID
    mailing_id: UUID
    mailing_number: int
    limit: int
    fence: int
    allowances: Sequence[tuple[UUID, Allowance]]
    routes: Mapping[UUID, str] | None = None
    lane: str | None = None


async def claim(tx: Transaction, wanted: Wanted) -> list[Record]:
    """Takes messages. Each row returned has its new state: claimed, suppressed, cancelled, capped or held."""
    lists, capped, valid_from, good_until, hold, routes = [], [], [], [], [], []
    by_rule = wanted.routes or {}
    for list_id, allowed in wanted.allowances:
        lists.append(list_id)
        capped.append(bool(allowed.windows))
        valid_from.append(allowed.valid_from)
        good_until.append(allowed.good_until)
        hold.append(allowed.hold_until)
        routes.append(by_rule.get(list_id))
    lane = () if wanted.lane is None else (wanted.lane,)
    return list(
        await tx.driver.fetch(
            _OF_LANE if lane else _ANY if wanted.routes is None else _OF_LISTS,
            wanted.account_id,
            wanted.mailing_id,
            wanted.limit,
            wanted.fence,
            wanted.mailing_number,
            lists,
            capped,
            valid_from,
            good_until,
            *_windows(wanted.allowances),
            hold,
            routes,
            *lane,
        )
    )


async def explain(tx: Transaction, wanted: Wanted, refused: Sequence[UUID]) -> None:
    """Writes on the refused messages which window refused them and which mailings hold its places."""
    lists = [list_id for list_id, _ in wanted.allowances]
    await tx.driver.execute(_EXPLAIN, wanted.account_id, list(refused), lists, *_windows(wanted.allowances))


async def expire(tx: Transaction, account_id: UUID, mailing_id: UUID, limit: int) -> int:
    """Ends messages of a mailing whose validity is over. Returns how many."""
    return len(await tx.driver.fetch(_EXPIRE, account_id, mailing_id, limit))


async def caps_of(tx: Transaction, account_id: UUID, list_ids: Sequence[UUID]) -> list[Record]:
    """The stored cap policies of lists."""
    return list(await tx.driver.fetch(_CAPS_OF, account_id, list(list_ids)))


async def rate_at(tx: Transaction, account_id: UUID, mailing_id: UUID) -> datetime | None:
    """From when on the next message of a mailing with a rate may be claimed. Its row is held: before any message is."""
    found: datetime | None = await tx.driver.fetchval(_RATE_AT, account_id, mailing_id)
    return found


async def set_rate_at(tx: Transaction, account_id: UUID, mailing_id: UUID, at: datetime) -> None:
    """Writes it."""
    await tx.driver.execute(_SET_RATE_AT, account_id, mailing_id, at)


def _windows(allowances: Sequence[tuple[UUID, Allowance]]) -> list[list[int | datetime | None]]:
    """Limit and start of day, week and month, a column each; null where there is no limit."""
    columns: list[list[int | datetime | None]] = []
    for name in ("day", "week", "month"):
        windows = [allowed.of(name) for _, allowed in allowances]
        columns.append([None if window is None else window.limit for window in windows])
        columns.append([None if window is None else window.since for window in windows])
    return columns
