"""dispatch.actions: cancels a mailing: two kinds of commits, as for a "no": the state first, then the messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.dispatch.actions.mailing_views import MailingView
from mailmaker.dispatch.actions.move_mailing import allowed, locked, tell, view
from mailmaker.dispatch.storage import mailings, messages
from mailmaker.dispatch.storage.returns import give_back

CHUNK = 2_000
"""Messages cancelled in one commit: relays wait for no longer than this takes."""


async def cancel_mailing(db: Database, call: Call, mailing_id: UUID, now: datetime) -> MailingView:
    """Cancels everything that has not begun. The answer's counts are exact: what is in `waiting` has begun."""
    async with db.write(call, "mailing.cancelled") as tx:
        if tx.replayed(MailingView) is None:
            mailing = await locked(tx, call.account_id, mailing_id)
            target = allowed(mailing, "cancel")
            if target != mailing.state:
                mailing = await mailings.move(tx, mailing, target, now)
                await tell(tx, mailing, now)
            await tx.keep(await view(tx, mailing))
    # The state is committed: no claim and no begin of this mailing starts after it, so what follows misses nobody.
    stopped = await cancel_messages(db, call.account_id, mailing_id)
    async with db.account(call.account_id) as tx:
        mailing = await locked(tx, call.account_id, mailing_id)
        if stopped:
            # A new version: the counts that everybody keeps are those after the messages were stopped.
            mailing = await mailings.move(tx, mailing, mailing.state, now)
            await tell(tx, mailing, now)
        return await view(tx, mailing)


async def cancel_messages(db: Database, account_id: UUID, mailing_id: UUID) -> int:
    """Cancels the messages of a stopped mailing, chunk by chunk; whoever finds some left goes on (settle)."""
    done = 0
    while True:
        async with db.account(account_id) as tx:
            stopped = await messages.cancel_some(tx, account_id, mailing_id, "mailing_cancelled", CHUNK)
            await give_back(tx, stopped, account_id)
        done += len(stopped)
        if len(stopped) < CHUNK:
            return done
