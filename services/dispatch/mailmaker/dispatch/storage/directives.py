"""dispatch.storage: the standing "no"s, and the statements of their two-commit application (design section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.directives import Directive

# First commit. A row is only ever replaced by a higher number, so a replay changes nothing. The rows come in the
# order of their keys: two appliers never wait in a ring.
_STAND = """
INSERT INTO suppressed AS s (account_id, channel, subject, list_id, source, number, released, suppression_id, reason)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::text[], $6::bigint[], $7::boolean[],
                     $8::uuid[], $9::text[])
ON CONFLICT (account_id, channel, subject, list_id, source) DO UPDATE SET
    number = excluded.number, released = excluded.released, suppression_id = excluded.suppression_id,
    reason = excluded.reason
 WHERE s.number < excluded.number
"""
# The contact of a subject is worked out before it comes here: row-level security lets only leakproof functions reach
# an index, and cutting a uuid out of bytes is not one.
_ITEMS = """
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::bigint[], $6::text[], $7::uuid[])
        AS i(account_id, channel, subject, list_id, number, reason, contact_id)
"""


def _matching(states: str, columns: str) -> str:
    """Messages in one of the states that a directive is about; each of the three keys finds them by its own index.

    OFFSET 0 keeps the few items outside and the messages inside: a planner that knows nothing of a mailing expanded a
    moment ago would read all of it and look at every item for each message, 100 ms an item of 60,000. Where no partial
    index is meant the states are asked for outside: else the whole of one looks as cheap as a contact's two messages.
    """
    scope = "(i.list_id = '00000000-0000-0000-0000-000000000000' OR m.list_id = i.list_id) AND m.channel = i.channel"

    def found(key: str, wanted: str, live: str = "") -> str:
        return f"""
    SELECT {columns} FROM items i CROSS JOIN LATERAL (
           SELECT * FROM messages WHERE account_id = i.account_id AND {key} = i.{wanted} {live} OFFSET 0) m
     WHERE {scope} AND m.state IN ({states})"""

    live = f"AND state IN ({states})"
    return f"""
{found("address_subject", "subject", live)} AND substring(i.subject FOR 1) = '\\x61'::bytea
    UNION ALL
{found("fkey_subject", "subject", live)} AND substring(i.subject FOR 1) = '\\x66'::bytea
    UNION ALL
{found("contact_id", "contact_id")} AND i.contact_id IS NOT NULL
    """


# Second commit. `locked` waits for whoever is changing a row and then looks at the row as it became: what has become
# `sending` in between is left alone, and the next statement's fresh snapshot names it in flight.
_STOP = f"""
WITH items AS MATERIALIZED ({_ITEMS}), matched AS MATERIALIZED (
    SELECT account_id, id, min(number) AS number FROM ({
    _matching("'queued', 'scheduled', 'held', 'deferred', 'claimed'", "m.account_id, m.id, i.number")
}) AS found
     GROUP BY account_id, id
), locked AS MATERIALIZED (
    SELECT l.*, met.number FROM (SELECT * FROM matched ORDER BY account_id, id) met CROSS JOIN LATERAL (
           SELECT account_id, id, list_id, channel, address_key, cap_instant, state FROM messages
            WHERE account_id = met.account_id AND id = met.id OFFSET 0 FOR UPDATE) l
     WHERE l.state IN ('queued', 'scheduled', 'held', 'deferred', 'claimed')
)
UPDATE messages m SET state = $8, reason = r.reason, ended_at = clock_timestamp(), claimed_until = NULL, fence = NULL,
       attempt_id = NULL, cap_instant = NULL, detail = jsonb_build_object('number', l.number)
  FROM locked l CROSS JOIN LATERAL (SELECT i.reason FROM items i WHERE i.number = l.number LIMIT 1) r
 WHERE m.account_id = l.account_id AND m.id = l.id
RETURNING m.account_id, m.id, m.mailing_id, m.channel, m.contact_id, l.list_id, l.address_key, l.cap_instant, l.number
"""
_IN_FLIGHT = f"""
WITH items AS MATERIALIZED ({_ITEMS}), uncertain_since AS (SELECT clock_timestamp() - interval '1 hour' AS t)
SELECT DISTINCT account_id, id, mailing_id, channel, number FROM ({
    _matching(
        "'sending', 'uncertain'", "m.account_id, m.id, m.mailing_id, m.channel, i.number, m.state, m.ended_at"
    )
}) AS found
 WHERE state = 'sending' OR ended_at IS NULL OR ended_at > (SELECT t FROM uncertain_since)
"""
_POSITION = "SELECT number FROM feed_position"
_POSITION_LOCKED = "SELECT number FROM feed_position FOR UPDATE"
_ADVANCE = """
UPDATE feed_position SET number = $1, followed_at = clock_timestamp() RETURNING clock_timestamp()
"""
# By the database's clock alone: the relays that ask for the age read the same clock.
_CONFIRM = """
UPDATE feed_position SET followed_at = clock_timestamp(),
       confirmed_at = greatest(confirmed_at, clock_timestamp() - $1 * interval '1 second')
"""
_FOLLOWED = "SELECT extract(epoch FROM clock_timestamp() - followed_at)::float8 FROM feed_position"
_WATERMARK = """
SELECT number, CASE WHEN confirmed_at = '-infinity' THEN 'Infinity'::float8
                    ELSE extract(epoch FROM clock_timestamp() - confirmed_at)::float8 END AS age FROM feed_position
"""
_NUMBERS = "SELECT nextval('contact_directives') FROM generate_series(1, $1)"


async def stand(tx: Transaction, directives: Sequence[Directive]) -> None:
    """Writes directives, one for each key and sorted by key; older ones than what stands change nothing."""
    columns = [
        (
            d.account_id,
            d.channel,
            d.subject,
            d.list_id,
            d.source,
            d.number,
            d.released,
            d.suppression_id,
            d.reason,
        )
        for d in directives
    ]
    if columns:
        await tx.driver.execute(_STAND, *map(list, zip(*columns, strict=True)))


# Few items against many messages: always by index. What the planner knows of a mailing that was expanded a moment ago
# is nothing, and reading all of it for each batch costs a second.
_BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)
"""


async def stop(tx: Transaction, directives: Sequence[Directive], state: str) -> list[Record]:
    """Ends every message that has not begun and that a directive is about. Returns what was stopped."""
    if not directives:
        return []
    await tx.driver.execute(_BY_INDEX)
    return list(await tx.driver.fetch(_STOP, *_arrays(directives), state))


async def in_flight(tx: Transaction, directives: Sequence[Directive]) -> list[Record]:
    """Messages that had begun: `sending`, and `uncertain` ones of the last hour, which may still arrive."""
    return [] if not directives else list(await tx.driver.fetch(_IN_FLIGHT, *_arrays(directives)))


async def position(tx: Transaction, *, lock: bool = False) -> int:
    """The last feed number applied; `lock` keeps every other applier out until this transaction ends."""
    return int(await tx.driver.fetchval(_POSITION_LOCKED if lock else _POSITION))


async def advance(tx: Transaction, number: int) -> datetime:
    """Moves the position. Its row must be locked. Returns the database's clock now: not when the transaction began."""
    moved: datetime = await tx.driver.fetchval(_ADVANCE, number)
    return moved


async def confirm(tx: Transaction, age: float) -> None:
    """Notes that everything recorded up to `age` seconds ago has been applied here."""
    await tx.driver.execute(_CONFIRM, age)


async def followed_for(tx: Transaction) -> float:
    """Seconds since some process last looked for "no"s and wrote down that it did."""
    return float(await tx.driver.fetchval(_FOLLOWED))


async def watermark(tx: Transaction) -> tuple[int, float]:
    """The position, and the age in seconds of the moment up to which this house may vouch for it."""
    row = await tx.driver.fetchrow(_WATERMARK)
    return int(row["number"]), float(row["age"])


async def next_numbers(tx: Transaction, count: int) -> list[int]:
    """Numbers for directives that contacts gave."""
    return [int(row[0]) for row in await tx.driver.fetch(_NUMBERS, count)]


def _arrays(directives: Sequence[Directive]) -> list[list[object]]:
    columns = [
        (d.account_id, d.channel, d.subject, d.list_id, d.number, d.reason, d.contact_id) for d in directives
    ]
    return [list(column) for column in zip(*columns, strict=True)]
