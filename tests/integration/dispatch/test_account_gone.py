"""integration: a closed account sends nothing; when it is gone, dispatch keeps what was decided, and names nobody."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from dispatch_street import CLOCK, Person, Street, a_no
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.storage.archiving import rows_of
from mailmaker.common.storage.emptying import SHARED_KEPT, EmptyAccounts, hear_emptied
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.traces import tables_naming, tables_of_account
from mailmaker.dispatch.actions.archive_account import archive_account
from mailmaker.dispatch.actions.change_pools import SourceWish, add_pool, add_source
from mailmaker.dispatch.actions.change_routes import RouteWish, add_route
from mailmaker.dispatch.actions.claim_batch import claim_batch
from mailmaker.dispatch.actions.egress_views import RouteWhen
from mailmaker.dispatch.actions.stop_account import stopping
from mailmaker.dispatch.actions.watch import glance
from mailmaker.dispatch.domain.directives import directives_of, latest
from mailmaker.dispatch.domain.running import Order, RunningMailing
from mailmaker.dispatch.relay.shaped import shipped
from mailmaker.dispatch.storage import directives as standing
from mailmaker.dispatch.storage import relays
from mailmaker.dispatch.storage.archive import PARTS
from mailmaker.dispatch.storage.emptying import EMPTYING
from mailmaker.dispatch.storage.seal import Seal

TRACES = ("zaira", "Zaira", "a-shop", "A Shop", "news@example.test", "Ciao", "F-77", "dpo@example.test")
NEVER = asyncio.Event()


def people(many: int) -> list[Person]:
    return [
        Person(f"zaira.{n}@example.com", fkey=f"F-77-{n}", merge={"name": f"Zaira {n}"}) for n in range(many)
    ]


async def ask_to_empty(street: Street) -> AccountEmptied:
    event = AccountEmptied(account_id=street.account_id, occurred_at=CLOCK.now())
    await hear_emptied(street.db, event, Heard("dispatch", event.event_id))
    return event


def worker(street: Street) -> EmptyAccounts:
    return EmptyAccounts(street.db, EMPTYING, stopping(street.db, CLOCK))


async def run(street: Street, sql: str, *values: object) -> list[dict[str, object]]:
    async with street.db.platform() as tx:
        return [dict(row) for row in await tx.driver.fetch(sql, *values)]


async def close(street: Street, state: str = "closed") -> None:
    await run(street, "UPDATE known_accounts SET state = $2 WHERE account_id = $1", street.account_id, state)


def running(street: Street, mailing_id: UUID, lists: tuple[UUID, ...]) -> RunningMailing:
    return RunningMailing(
        account_id=street.account_id,
        id=mailing_id,
        number=1,
        channel="email",
        mail_class="marketing",
        list_ids=lists,
        valid_until=CLOCK.now() + timedelta(days=1),
        due=True,
        over=False,
        sender_id=mailing_id,
        sender_domain="demo.test",
        tag=None,
        pooled=False,
    )


async def a_fence(street: Street) -> int:
    async with street.db.platform() as tx:
        return await relays.take(tx, 30.0, "host", 1, "")


async def test_a_closed_account_is_claimed_nothing_of_and_goes_on_when_it_is_reopened(street: Street) -> None:
    list_id = street.contacts.open_list(people(20))
    mailing = await street.mailing(list_id)
    await close(street)
    assert (await glance(street.db, 0, 0)).running == [], "a relay drops its mailings, also those it holds"
    fence = await a_fence(street)
    of = running(street, mailing.id, (list_id,))
    assert await claim_batch(street.db, CLOCK, Order(of), fence, 10) == []
    await close(street, "open")
    assert len(await claim_batch(street.db, CLOCK, Order(of), fence, 10)) == 10


async def test_what_is_left_of_an_account_names_nobody(street: Street) -> None:
    some = people(30)
    list_id = street.contacts.open_list(some)
    await street.mailing(list_id)
    draft = await street.mailing(list_id, expand=False)
    async with street.db.platform() as tx:
        await standing.stand(tx, latest(directives_of([a_no(street, 1, some[0])])))
    sent = "UPDATE messages SET state = 'delivered', reply_text = 'ok zaira', begun_at = now(), feed_stamp = 1 WHERE id = $1"
    ids = [row["id"] for row in await run(street, "SELECT id FROM messages ORDER BY id")]
    for one in ids[:10]:
        await run(street, sent, one)
    await run(street, "UPDATE messages SET state = 'sending', begun_at = now() WHERE id = $1", ids[10])
    before = {row["id"]: row for row in await run(street, "SELECT * FROM messages")}
    assert {"messages", "mailings", "senders", "templates"} <= set(await tables_naming(street.db, TRACES))

    event = await ask_to_empty(street)
    with pytest.raises(AlreadyHeard):
        await hear_emptied(street.db, event, Heard("dispatch", event.event_id))
    assert await worker(street).step(NEVER)
    assert "domains" in await tables_of_account(street.db, street.account_id), "a mail is still on its way"
    states = Counter(row["state"] for row in await run(street, "SELECT state FROM mailings"))
    assert states == {"cancelled": 2}
    await run(street, "UPDATE messages SET state = 'uncertain', ended_at = now() WHERE id = $1", ids[10])
    await run(street, "UPDATE emptyings SET due_at = now()")
    assert await worker(street).step(NEVER)
    assert not await worker(street).step(NEVER), "the next round is tomorrow's"

    assert await tables_naming(street.db, TRACES) == []
    left = await tables_of_account(street.db, street.account_id)
    assert set(left) <= {*EMPTYING.blanked, *EMPTYING.kept, *SHARED_KEPT}, left
    assert {"messages": 30, "mailings": 2, "mailing_numbers": 1}.items() <= left.items()
    assert left["suppressed"] >= 1
    after = {row["id"]: row for row in await run(street, "SELECT * FROM messages")}
    kept = ("contact_id", "mailing_id", "address_key", "begun_at", "feed_stamp")
    assert {id: [row[k] for k in kept] for id, row in after.items()} == {
        id: [row[k] for k in kept] for id, row in before.items()
    }
    assert Counter(str(row["state"]) for row in after.values()) == {
        "delivered": 10,
        "uncertain": 1,
        "cancelled": 19,
    }
    assert draft.id in {row["id"] for row in await run(street, "SELECT id FROM mailings")}


async def test_another_accounts_rows_are_untouched_and_a_half_emptied_account_is_gone_on_with(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id = street.contacts.open_list(people(50))
    await street.mailing(list_id)
    gone = new_id()
    copied = ("domains", "senders", "templates", "mailings", "messages", "lists")
    for table in copied:
        # The same account again, under another id.
        columns = [
            row["attname"]
            for row in await run(
                street,
                "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
                " AND NOT attisdropped AND attname <> 'account_id' ORDER BY attnum",
                table,
            )
        ]
        names = ", ".join(f'"{name}"' for name in columns)
        await run(
            street,
            f"INSERT INTO {table} (account_id, {names}) SELECT $1, {names} FROM {table} WHERE account_id = $2",
            gone,
            street.account_id,
        )
    before = await tables_of_account(street.db, street.account_id)
    event = AccountEmptied(account_id=gone, occurred_at=CLOCK.now())
    await hear_emptied(street.db, event, Heard("dispatch", event.event_id))

    monkeypatch.setattr("mailmaker.common.storage.emptying.AT_ONCE", 7)
    stop = asyncio.Event()
    stop.set()
    assert await worker(street).step(stop), "told to stop: what it has done so far stays done"
    assert (await run(street, "SELECT emptied_at FROM emptyings"))[0]["emptied_at"] is None
    assert not await worker(street).step(NEVER), "as long as its lease lasts nobody else begins"
    await run(street, "UPDATE emptyings SET due_at = now()")
    assert await worker(street).step(NEVER)
    assert (await run(street, "SELECT emptied_at FROM emptyings"))[0]["emptied_at"] is not None
    texts = await run(
        street, "SELECT DISTINCT address, merge::text FROM messages WHERE account_id = $1", gone
    )
    assert texts == [{"address": "", "merge": None}]
    assert set(await tables_of_account(street.db, gone)) <= {
        *EMPTYING.blanked,
        *EMPTYING.kept,
        *SHARED_KEPT,
    }
    assert await tables_of_account(street.db, street.account_id) == before
    assert len(await run(street, "SELECT id FROM messages WHERE address <> ''")) == 50


async def a_way_out(street: Street) -> None:
    """A pool, a source with a password, and a rule."""
    pool, seal = await add_pool(street.db, street.call, "main", default=True, now=CLOCK.now()), Seal("a" * 16)
    wish = SourceWish(
        pool=pool.id,
        name="host",
        driver="smarthost",
        address=None,
        ehlo="out.example.test",
        server="mail.example.test:25",
        username="u",
        password="its password",
        tls="required",
        warm_up=False,
    )
    await add_source(street.db, seal, street.call, wish, CLOCK.now())
    rule = RouteWish("all", RouteWhen(), pool.id, None)
    await add_route(street.db, shipped(), street.call, rule, CLOCK.now())


async def test_the_archive_has_every_part_and_no_secret(street: Street) -> None:
    list_id = street.contacts.open_list(people(40))
    mailing = await street.mailing(list_id)
    await a_way_out(street)
    parts: dict[str, list[dict[str, object]]] = {}
    text = b""

    async def told() -> AsyncIterator[bytes]:
        nonlocal text
        async for chunk in archive_account(street.db, street.account_id):
            text += chunk
            yield chunk

    async for rows in rows_of(told()):
        for row in rows:
            parts.setdefault(row["name"], []).append(json.loads(row["line"]))
    assert list(parts) == list(PARTS)
    assert [len(rows) for rows in parts.values()] == [1, 1, 1, 1, 1, 1, 1, 40]
    (told_mailing,) = parts["dispatch/mailings.jsonl"]
    assert (told_mailing["id"], told_mailing["counts"]) == (str(mailing.id), {"queued": 40})
    assert parts["dispatch/messages.jsonl"][0]["state"] == "queued"
    assert b"private_key" not in text
    assert b"its password" not in text
    assert b"secret" not in text
    assert b"zaira" not in text, "people by their contact's id alone"
    nothing = [chunk async for chunk in archive_account(street.db, new_id())]
    assert b"".join(nothing) == b"end,\n"
