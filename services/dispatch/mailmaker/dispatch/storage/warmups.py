"""dispatch.storage: how far sources are in their warm-up at each provider, and what relays have drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.egress import OTHERS
from mailmaker.dispatch.domain.warmup import Tally, Verdict, WarmUp

_COLUMNS = (
    "day_index, day, active, sent, deferred, complained, held, verdict, before, used_day, used_hour, hour"
)
_BEGIN = f"""
INSERT INTO warmups (account_id, source_id, provider, {_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7, '{{0,0,0}}', 0, 0, $8) ON CONFLICT DO NOTHING
"""
_LOCKED = (
    f"SELECT {_COLUMNS} FROM warmups WHERE account_id = $1 AND source_id = $2 AND provider = $3 FOR UPDATE"
)
_OF_SOURCE = f"""
SELECT provider, {_COLUMNS} FROM warmups WHERE account_id = $1 AND source_id = $2 ORDER BY provider
"""
_SAVE = """
UPDATE warmups SET day_index = $4, day = $5, active = $6, sent = $7, deferred = $8, complained = $9, held = $10,
       verdict = $11, before = $12, used_day = $13, used_hour = $14, hour = $15
 WHERE account_id = $1 AND source_id = $2 AND provider = $3
"""
# Those who complained among the people that a day's mail from this source went to: from the complaints, which are few.
_COMPLAINED = """
SELECT count(DISTINCT m.id)
  FROM (SELECT CASE WHEN length(s.subject) = 17 AND get_byte(s.subject, 0) = 99
                    THEN encode(substring(s.subject FROM 2), 'hex')::uuid END AS contact_id
          FROM suppressed s WHERE s.account_id = $1 AND s.channel = 'email' AND s.reason = 'complaint') c
  JOIN messages m ON m.account_id = $1 AND m.contact_id = c.contact_id
 WHERE m.source = $2 AND m.begun_at >= $3::date AND m.begun_at < $3::date + 1
   AND CASE WHEN $4 = $5 THEN m.lane LIKE '#%' ELSE m.lane = $4 END
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A warm-up with what has been drawn: of its day, and of an hour."""

    state: WarmUp
    used_day: int
    used_hour: int
    hour: datetime


async def locked(tx: Transaction, key: tuple[UUID, UUID, str], first: WarmUp, hour: datetime) -> Drawn:
    """The warm-up of an account's source at a provider, held to the commit; made as `first` where there is none."""
    row = await tx.driver.fetchrow(_LOCKED, *key)
    if row is None:
        values = first.day_index, first.day, first.active, first.verdict, hour
        await tx.driver.execute(_BEGIN, *key, *values)
        row = await tx.driver.fetchrow(_LOCKED, *key)
    return _drawn(row)


async def save(tx: Transaction, key: tuple[UUID, UUID, str], drawn: Drawn) -> None:
    """Writes it."""
    s = drawn.state
    before = [s.before.sent, s.before.deferred, s.before.complained]
    of_day = s.day_index, s.day, s.active, s.sent, s.deferred, s.complained, s.held, s.verdict, before
    await tx.driver.execute(_SAVE, *key, *of_day, drawn.used_day, drawn.used_hour, drawn.hour)


async def of_source(tx: Transaction, account_id: UUID, source_id: UUID) -> list[tuple[str, Drawn]]:
    """A source's warm-ups, by provider."""
    rows = await tx.driver.fetch(_OF_SOURCE, account_id, source_id)
    return [(row["provider"], _drawn(row)) for row in rows]


async def complained(tx: Transaction, account_id: UUID, source: str, day: date, provider: str) -> int:
    """How many of those that a day's mail went to by this source have complained."""
    return int(await tx.driver.fetchval(_COMPLAINED, account_id, source, day, provider, OTHERS))


def _drawn(row: Record) -> Drawn:
    return Drawn(
        WarmUp(
            day_index=row["day_index"],
            day=row["day"],
            active=row["active"],
            sent=row["sent"],
            deferred=row["deferred"],
            complained=row["complained"],
            held=row["held"],
            verdict=cast("Verdict", row["verdict"]),
            before=Tally(*row["before"]),
        ),
        row["used_day"],
        row["used_hour"],
        row["hour"],
    )
