"""dispatch.actions: takes a batch of one mailing's messages for a relay: suppression, caps and lease in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.contracts.contacts import ChannelCap
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.caps import Allowance, allowance, channel_cap
from mailmaker.dispatch.domain.rates import BEGIN_WITHIN, turn
from mailmaker.dispatch.domain.running import Order, RunningMailing
from mailmaker.dispatch.storage import claims

EXPIRE_AT_ONCE = 2000


async def claim_batch(db: Database, clock: Clock, order: Order, fence: int, limit: int) -> list[Record]:
    """Messages of the order that this relay may prepare: claimed under its fence, caps reserved.

    What was suppressed, capped or held instead has its state, and the capped know which mailings won.
    """
    mailing = order.mailing
    async with db.platform() as tx:
        allowed = None
        if mailing.rate is not None:
            # The mailing's row comes before its messages, as in every verb of a mailing.
            at = await claims.rate_at(tx, mailing.account_id, mailing.id)
            allowed = turn(mailing.rate, at, clock.now())
            if (limit := min(limit, allowed.messages)) <= 0:
                return []
        wanted = claims.Wanted(
            mailing.account_id,
            mailing.id,
            mailing.number,
            limit,
            fence,
            await _allowances(
                tx, clock, mailing, mailing.list_ids if order.routes is None else list(order.routes)
            ),
            order.routes,
            order.lane,
        )
        rows = await claims.claim(tx, wanted)
        taken = [row for row in rows if row["state"] == "claimed"]
        if allowed is not None:
            await claims.set_rate_at(tx, mailing.account_id, mailing.id, allowed.after(len(taken)))
        refused = [row["id"] for row in rows if row["state"] in ("capped", "held")]
        if refused:
            await claims.explain(tx, wanted, refused)
    return taken


async def expire_mailing(db: Database, account_id: UUID, mailing_id: UUID) -> int:
    """Ends the messages of a mailing whose validity is over, some at a time. Returns how many."""
    async with db.platform() as tx:
        return await claims.expire(tx, account_id, mailing_id, EXPIRE_AT_ONCE)


async def _allowances(
    tx: Transaction, clock: Clock, mailing: RunningMailing, list_ids: Sequence[UUID]
) -> Sequence[tuple[UUID, Allowance]]:
    """Each list's allowance now. Transactional mail is exempt; a list we know nothing of gives nothing."""
    found = []
    now = clock.now()
    until = mailing.valid_until
    if mailing.rate is not None:
        until = min(until or now + BEGIN_WITHIN, now + BEGIN_WITHIN)
    for row in await claims.caps_of(tx, mailing.account_id, list_ids):
        exempt = mailing.mail_class == "transactional"
        cap = ChannelCap() if exempt else channel_cap(row["caps"], mailing.channel)
        found.append((row["list_id"], allowance(cap, now, until)))
    return found
