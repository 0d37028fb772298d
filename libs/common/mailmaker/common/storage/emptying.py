"""common.storage.emptying: an account is gone: what becomes of each table of a house, and the worker that sees to it.

A house says of every table it has, which of three things happens to its rows of such an account: they go, they are
blanked, or they stay, and why. A test compares that with the house's migrations, so that no table is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, Heard, StorageUnavailable
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.transaction import Transaction

EVERY = 5.0
AT_ONCE = 2_000
"""Rows of one statement: nobody waits long for what it holds."""
AGAIN = 10.0

First = Callable[[UUID], Awaitable[bool]]
"""What a house does before its tables. False: something of the account is still under way; come again."""

# Every house's own tables (tables_v1, tables_v2).
SHARED_EMPTIED: Mapping[str, str] = {"dead_letters": "", "idempotency": ""}
SHARED_KEPT: Mapping[str, str] = {
    "outbox": "what was told must arrive; a row goes with the bus's word that it did",
    "handovers": 'a "no" on its way to suppression must arrive; a row goes with its answer',
    "inbox": "ids of events, so that none is applied twice; pruned when no topic has them any more",
    "audit": "who did what and when, by ids: the account's and the operator's proof",
    "known_accounts": 'the closed account is recognised, and a "no" by an old link still is its',
    "known_keys": 'hashes of keys that open nothing any more but the doors for a "no"',
    "emptyings": "that the account was emptied, and when",
}


@dataclass(frozen=True, slots=True)
class Blanked:
    """A table with the key (account_id, id) whose rows stay without what they hold of people: `sets` are the assignments,
    `needed` says of a row whether it still has something, `why` the row stays."""

    sets: str
    needed: str
    why: str


@dataclass(frozen=True, slots=True)
class Emptying:
    """What becomes of the tables of a house: `emptied`, in this order, each with a condition on its rows (empty: all of
    them); `blanked`; `kept`, each with the reason."""

    emptied: Mapping[str, str]
    blanked: Mapping[str, Blanked]
    kept: Mapping[str, str]

    @property
    def goes(self) -> Mapping[str, str]:
        return {**self.emptied, **SHARED_EMPTIED}

    def tables(self) -> list[str]:
        """Every table that is spoken of, as often as it is."""
        return sorted([*self.goes, *self.blanked, *self.kept, *SHARED_KEPT])


_ORDER = """
INSERT INTO emptyings (account_id, heard_at, due_at) VALUES ($1, clock_timestamp(), clock_timestamp())
ON CONFLICT (account_id) DO NOTHING
"""
_TAKE = """
UPDATE emptyings SET due_at = clock_timestamp() + interval '1 minute'
 WHERE account_id = (SELECT account_id FROM emptyings WHERE due_at <= clock_timestamp()
                      ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING account_id
"""
# In each batch's transaction: whoever else believes that it is his turn waits for its row, and finds less to do.
_HOLD = "UPDATE emptyings SET due_at = clock_timestamp() + interval '1 minute' WHERE account_id = $1"
_LATER = "UPDATE emptyings SET due_at = clock_timestamp() + make_interval(secs => $2) WHERE account_id = $1"
# What comes for it later (a bounce, an event that was late) goes in further rounds, ever more seldom.
_DONE = """
UPDATE emptyings SET emptied_at = coalesce(emptied_at, clock_timestamp()), due_at = clock_timestamp()
       + least(interval '30 days', greatest(interval '1 day', clock_timestamp() - heard_at))
 WHERE account_id = $1
"""


async def hear_emptied(db: Database, event: AccountEmptied, heard: Heard) -> None:
    """Notes that the account's data has to go; a worker sees to it. Heard twice, it changes nothing."""
    async with db.heard(heard, event.account_id) as tx:
        await tx.driver.execute(_ORDER, event.account_id)


async def some_go(tx: Transaction, account_id: UUID, table: str, condition: str, limit: int) -> int:
    """Takes some rows of an account out of a table. Returns how many; fewer than `limit`: none is left."""
    where = f"account_id = $1 AND ({condition})" if condition else "account_id = $1"
    told = await tx.driver.execute(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {where} LIMIT $2))",
        account_id,
        limit,
    )
    return int(str(told).rpartition(" ")[2])


async def some_blanked(
    tx: Transaction, account_id: UUID, table: str, blanked: Blanked, after: UUID, limit: int
) -> UUID | None:
    """Blanks the next rows of an account after an id, locked in the order of ids. Returns the last one; None: no more."""
    last: UUID | None = await tx.driver.fetchval(
        f"""
        WITH next AS MATERIALIZED (SELECT id FROM {table} WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3),
        held AS MATERIALIZED (
            SELECT t.id FROM {table} t JOIN next USING (id)
             WHERE t.account_id = $1 AND ({blanked.needed}) ORDER BY t.id FOR UPDATE OF t),
        done AS (UPDATE {table} t SET {blanked.sets} FROM held WHERE t.account_id = $1 AND t.id = held.id)
        SELECT id FROM next ORDER BY id DESC LIMIT 1
        """,
        account_id,
        after,
        limit,
    )
    return last


async def empty_tables(
    db: Database,
    plan: Emptying,
    account_id: UUID,
    stop: asyncio.Event,
    hold: Callable[[Transaction], Awaitable[None]] | None = None,
) -> bool:
    """Does to every table what the plan says, a short transaction a batch, each begun with `hold`. False: told to stop
    before the end. Begun again, it goes on with what is left."""
    for table, condition in plan.goes.items():
        many = AT_ONCE
        while many == AT_ONCE:
            if stop.is_set():
                return False
            async with db.account(account_id) as tx:
                if hold is not None:
                    await hold(tx)
                many = await some_go(tx, account_id, table, condition, AT_ONCE)
    for table, blanked in plan.blanked.items():
        after: UUID | None = NOBODY
        while after is not None:
            if stop.is_set():
                return False
            async with db.account(account_id) as tx:
                if hold is not None:
                    await hold(tx)
                after = await some_blanked(tx, account_id, table, blanked, after, AT_ONCE)
    return True


class EmptyAccounts:
    """A worker: removes what this house holds of accounts that were emptied, a little at a time. Any number of processes
    may run one; what one that died has left is gone on with within a minute."""

    name = "empty_accounts"

    def __init__(self, db: Database, plan: Emptying, first: First | None = None) -> None:
        self._db = db
        self._plan = plan
        self._first = first
        self._log = logger("common.storage")

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                while not stop.is_set() and await self.step(stop):
                    pass
            except StorageUnavailable as wrong:
                self._log.info("accounts not emptied", reason=str(wrong))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY * random.uniform(0.8, 1.2))

    async def step(self, stop: asyncio.Event) -> bool:
        """Works on the account that is longest due. False: none is."""
        async with self._db.platform() as tx:
            account_id: UUID | None = await tx.driver.fetchval(_TAKE)
        if account_id is None:
            return False
        if self._first is not None and not await self._first(account_id):
            async with self._db.account(account_id) as tx:
                await tx.driver.execute(_LATER, account_id, AGAIN * random.uniform(0.8, 1.2))
            return True

        async def hold(tx: Transaction) -> None:
            await tx.driver.execute(_HOLD, account_id)

        if await empty_tables(self._db, self._plan, account_id, stop, hold):
            async with self._db.account(account_id) as tx:
                await tx.driver.execute(_DONE, account_id)
            self._log.info("account emptied", house=self._db.house, account=str(account_id))
        return True
