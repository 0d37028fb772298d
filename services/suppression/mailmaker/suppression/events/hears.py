"""suppression.events.hears: what this house hears, and the action each event calls. The table is the documentation.

No "no" comes this way: it is handed over by HTTP, and answered when it is in the ledger.
"""

from __future__ import annotations

from mailmaker.common.bus.consumer import Hears
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.storage.emptying import hear_emptied
from mailmaker.common.storage.engine import Database, Heard

CONSUMER = "suppression"


def hears(db: Database) -> Hears:
    """Event -> handler."""

    async def on_emptied(event: AccountEmptied, heard: Heard) -> None:
        await hear_emptied(db, event, heard)

    return {AccountEmptied: on_emptied}
