"""ingest.actions.forget_account: an account is gone: its inboxes and its files on disk go before the rows that name them."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.storage.emptying import First
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY
from mailmaker.ingest.storage import emptying
from mailmaker.ingest.storage.files import Files

AT_ONCE = 500


def forgetting(db: Database, files: Files) -> First:
    """What comes before the tables. False while a reader or the collector still has something of the account."""

    async def forget_account(account_id: UUID) -> bool:
        async with db.account(account_id) as tx:
            inboxes_gone = await emptying.close_drops(tx, account_id)
            were_read = await emptying.stop_reading(tx, account_id)
        if were_read or not inboxes_gone:
            return False
        after = NOBODY
        while True:
            async with db.account(account_id) as tx:
                ids = await emptying.imports_after(tx, account_id, after, AT_ONCE)
            for import_id in ids:
                await files.forget_halves(import_id)
                await files.forget_all(import_id)
            if len(ids) < AT_ONCE:
                return True
            after = ids[-1]

    return forget_account
