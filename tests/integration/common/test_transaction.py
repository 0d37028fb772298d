"""integration: one commit carries the effect, its events, its inbox row, its audit line and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from mailmaker.common.contracts.accounts import AccountChanged
from mailmaker.common.contracts.mailings import MailingChanged
from mailmaker.common.storage.engine import AlreadyHeard, Database, Heard
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.storage.transaction import ForeignTopic, OtherBody, StillRunning
from mailmaker.common.web.call import Call, RequestKey
from pydantic import BaseModel
from sqlalchemy import text

Make = Callable[[str], Awaitable[Database]]
NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Answer(BaseModel):
    name: str
    secret: str | None


def call(account: UUID, *, key: str | None = "k1", body: bytes = b"one") -> Call:
    once = RequestKey("POST", "/v1/things", key, body) if key else None
    return Call(account, 1, new_id(), "request", once=once)


def event(account: UUID) -> MailingChanged:
    return MailingChanged(
        account_id=account,
        occurred_at=NOW,
        mailing_id=new_id(),
        number=1,
        state="running",
        counts={},
        version=1,
    )


async def counted(db: Database, table: str, account: UUID) -> int:
    async with db.account(account) as tx:
        return int((await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_a_write_commits_all_of_it_or_nothing(database_of: Make) -> None:
    db = await database_of("dispatch")
    account = new_id()
    async with db.write(call(account), "thing.made") as tx:
        tx.subject("thing")
        tx.stage(event(account))
        tx.hand_over("suppression", "/internal/nos", Answer(name="n", secret=None))
        await tx.keep(Answer(name="n", secret="s"), secrets=("secret",))

    async def fails_late() -> None:
        async with db.write(call(account, key="k2"), "thing.made") as tx:
            tx.stage(event(account))
            await tx.keep(Answer(name="n", secret="s"))
            raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        await fails_late()
    found = [await counted(db, table, account) for table in ("outbox", "handovers", "idempotency", "audit")]
    assert found == [1, 1, 1, 1]


async def test_a_repeat_gets_the_first_answer_without_its_secret(database_of: Make) -> None:
    db = await database_of("dispatch")
    account = new_id()
    async with db.write(call(account), "thing.made") as tx:
        assert tx.replayed(Answer) is None
        await tx.keep(Answer(name="n", secret="s"), secrets=("secret",))
    async with db.write(call(account), "thing.made") as tx:
        assert tx.replayed(Answer) == Answer(name="n", secret=None)
    with pytest.raises(OtherBody):
        async with db.write(call(account, body=b"other"), "thing.made"):
            pass
    async with db.write(call(new_id()), "thing.made") as tx:
        assert tx.replayed(Answer) is None, "another account's key is another key"
    assert await counted(db, "audit", account) == 1, "a repeat is not a second write"


async def test_two_at_once_do_it_once(database_of: Make) -> None:
    db = await database_of("dispatch")
    account = new_id()
    inside, go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with db.write(call(account), "thing.made") as tx:
            inside.set()
            await go.wait()
            await tx.keep(Answer(name="n", secret=None))

    task = asyncio.create_task(first())
    await inside.wait()
    with pytest.raises(StillRunning):
        async with db.write(call(account), "thing.made"):
            pass
    go.set()
    await task


async def test_an_event_has_its_effect_once(database_of: Make) -> None:
    db = await database_of("dispatch")
    account, heard = new_id(), Heard("consumer", new_id())
    async with db.heard(heard, account):
        pass
    with pytest.raises(AlreadyHeard):
        async with db.heard(heard, account):
            pass
    async with db.heard(replace(heard, consumer="other"), account):
        pass


async def test_a_house_tells_only_of_its_own(database_of: Make) -> None:
    db = await database_of("dispatch")
    account = new_id()
    with pytest.raises(ForeignTopic):
        async with db.account(account) as tx:
            tx.stage(
                AccountChanged(
                    account_id=account, occurred_at=NOW, number=1, name="a", state="open", version=1
                )
            )


async def test_row_level_security_shows_one_account(database_of: Make) -> None:
    db = await database_of("dispatch")
    mine, other = new_id(), new_id()
    for account in (mine, other):
        async with db.account(account) as tx:
            tx.stage(event(account))
    assert await counted(db, "outbox", mine) == 1
    async with db.platform() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 2
    async with db.account(mine) as tx:
        with pytest.raises(Exception, match="row-level security"):
            await tx.driver.execute(
                "INSERT INTO inbox (account_id, consumer, event_id, heard_at) VALUES ($1, 'c', $1, now())",
                other,
            )
        await tx.driver.execute("ROLLBACK")
        await tx.driver.execute("BEGIN")
    assert await counted(db, "outbox", NOBODY) == 0


async def test_old_answers_and_hearings_are_pruned_and_fresh_ones_stay(database_of: Make) -> None:
    db = await database_of("dispatch")
    account = new_id()
    async with db.write(call(account), "thing.made") as tx:
        await tx.keep(Answer(name="n", secret=None))
    async with db.heard(Heard("consumer", new_id()), account) as tx:
        await tx.driver.execute(
            "INSERT INTO inbox SELECT account_id, consumer, gen_random_uuid(), now() - interval '101 days' FROM inbox"
        )
        await tx.driver.execute(
            "INSERT INTO idempotency SELECT account_id, method, path, 'old', body_hash, answer, now() - interval '25 hours'"
            " FROM idempotency"
        )
    pruner = Pruner(db)
    assert [await pruner.prune("inbox"), await pruner.prune("idempotency")] == [1, 1]
    assert [await counted(db, "inbox", account), await counted(db, "idempotency", account)] == [1, 1]


async def test_events_carry_the_trace_of_their_call(database_of: Make) -> None:
    db = await database_of("dispatch")
    account, request = new_id(), str(new_id())
    async with db.write(replace(call(account), request_id=request), "thing.made") as tx:
        tx.stage(event(account))
    async with db.account(account) as tx:
        headers = (await tx.execute(text("SELECT headers FROM outbox"))).scalar_one()
    assert headers["traceparent"].split("-")[1] == request.replace("-", "")
    assert headers["ce_type"] == "mailing.changed"
