"""contacts.storage.calling_off: who says "no" while suppression is asked to lift an earlier one is not brought back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.storage.planning import SLOW

_UNDER_WAY = """
SELECT l.import_id, l.contact_id, l.channel
  FROM plans p JOIN lifts l ON l.account_id = $1 AND l.import_id = p.import_id
  JOIN unnest($2::uuid[], $3::text[]) AS s(contact_id, channel) ON s.contact_id = l.contact_id AND s.channel = l.channel
 WHERE p.account_id = $1 AND p.recording_at IS NOT NULL
"""
_ON_ITS_WAY = """
SELECT l.import_id, l.contact_id, l.channel FROM lifts l
 WHERE l.account_id = $1 AND l.import_id = $2 AND EXISTS (
       SELECT FROM handovers h WHERE h.account_id = $1 AND h.target = 'suppression'
          AND h.body ->> 'contact_id' = l.contact_id::text AND h.body ->> 'channel' = l.channel)
"""


def _called_off(found: str) -> str:
    """Locked in one order: several may call off the same."""
    return f"""
WITH held AS ({found} ORDER BY l.import_id, l.contact_id, l.channel FOR UPDATE OF l)
DELETE FROM lifts l USING held h
 WHERE l.account_id = $1 AND l.import_id = h.import_id AND l.contact_id = h.contact_id AND l.channel = h.channel
"""


CALL_OFF = _called_off(_UNDER_WAY)
CALL_OFF_NEWER = _called_off(_ON_ITS_WAY)


async def under_way(
    tx: Transaction, account_id: UUID, said: Sequence[tuple[UUID, Channel]]
) -> set[tuple[UUID, Channel]]:
    """Those of the contacts whose opt-out on the channel suppression is being asked to lift."""
    rows = await tx.driver.fetch(_UNDER_WAY, account_id, *_columns(said))
    return {(row["contact_id"], row["channel"]) for row in rows}


async def call_off(tx: Transaction, account_id: UUID, said: Sequence[tuple[UUID, Channel]]) -> None:
    """Whoever says "no" while suppression is asked is not brought back, whatever it answers."""
    if said:
        await tx.driver.execute(CALL_OFF, account_id, *_columns(said))


async def call_off_newer(tx: Transaction, account_id: UUID, import_id: UUID) -> None:
    """Nor is whoever said "no" here before, if that is still on its way to suppression."""
    await tx.driver.execute(CALL_OFF_NEWER, account_id, import_id, timeout=SLOW)


def _columns(said: Sequence[tuple[UUID, Channel]]) -> tuple[list[UUID], list[Channel]]:
    return [one for one, _ in said], [channel for _, channel in said]
