"""dispatch.actions: an account is gone: every mailing of it is over before its rows go."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.emptying import First
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.cancel_mailing import cancel_messages
from mailmaker.dispatch.actions.move_mailing import tell
from mailmaker.dispatch.storage import emptying, mailings

AT_ONCE = 100


def stopping(db: Database, clock: Clock) -> First:
    """What comes before the tables: cancels what has not ended. False while a message is on its way: what its server
    says is a fact, and is written down first.

    Since the closing itself nothing of the account was claimed; what waited went on waiting, for a reopening.
    """

    async def stop_account(account_id: UUID) -> bool:
        async with db.account(account_id) as tx:
            unended = await emptying.unended(tx, account_id, AT_ONCE)
        for mailing_id in unended:
            async with db.account(account_id) as tx:
                mailing = await mailings.one(tx, account_id, mailing_id, lock=True)
                if mailing is not None and mailing.state not in ("finished", "cancelled", "failed"):
                    now = clock.now()
                    await tell(tx, await mailings.move(tx, mailing, "cancelled", now), now)
        async with db.account(account_id) as tx:
            unstopped = await emptying.unstopped(tx, account_id, AT_ONCE)
        for mailing_id in unstopped:
            await cancel_messages(db, account_id, mailing_id)
        async with db.account(account_id) as tx:
            return (
                len(unended) < AT_ONCE
                and len(unstopped) < AT_ONCE
                and not await emptying.under_way(tx, account_id)
            )

    return stop_account
