"""The feed: gapless, in commit order, whatever rolls back or is killed; woken within milliseconds."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.suppression.actions.record import record
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.storage import feed
from suppression_house import Door, FakeContacts, bearer, living
from writer_process import a_no

WRITER = Path(__file__).parent / "writer_process.py"


class Roll(Exception):
    pass


async def test_the_feed_is_gapless_under_rollbacks_and_kills(url: str) -> None:
    accounts = [new_id() for _ in range(3)]
    db = Database(url, house="suppression", pool=12)
    await db.open()
    chance, recorded, done = random.Random(7), 0, asyncio.Event()

    async def write() -> None:
        nonlocal recorded
        for _ in range(25):
            account, count = chance.choice(accounts), chance.randint(1, 4)
            try:
                async with db.account(account) as tx:
                    await record(tx, [a_no(account) for _ in range(count)])
                    if chance.random() < 0.3:
                        raise Roll
            except Roll:
                continue
            recorded += count

    async def read() -> list[int]:
        """A follower: what it has once seen must never get a number put in before it."""
        seen: list[int] = []
        while True:
            last = done.is_set()
            async with db.platform() as tx:
                seen += [i.number for i in await feed.after(tx, seen[-1] if seen else 0, 500)]
            assert seen == list(range(1, len(seen) + 1))
            if last:
                return seen
            await asyncio.sleep(0.01)

    async def kill_writers() -> None:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(WRITER), url, str(accounts[0]), stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            for _ in range(chance.randint(2, 8)):
                await asyncio.wait_for(process.stdout.readline(), 30)
            process.send_signal(signal.SIGKILL)  # most often between the numbering and the commit
            await process.wait()

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(120):
            await asyncio.gather(kill_writers(), *(write() for _ in range(20)))
        done.set()
        seen = await reading
    finally:
        reading.cancel()
    assert len(seen) >= recorded
    async with db.platform() as tx:
        head, _ = await feed.head(tx)
        positions = await tx.driver.fetch("SELECT account_id, position FROM feed ORDER BY number")
        entries = await tx.driver.fetchval("SELECT count(*) FROM ledger")
    assert head == len(seen) == entries
    for account in accounts:
        own = [row["position"] for row in positions if row["account_id"] == account]
        assert own == list(range(1, len(own) + 1))
    await db.close()


async def test_the_same_no_by_many_at_once_is_one_entry(url: str) -> None:
    account = new_id()
    db = Database(url, house="suppression", pool=10)
    await db.open()

    async def say(keys: list[bytes]) -> None:
        nos = [
            No(new_id(), account, "email", "account", None, key, "api", "manual", datetime.now(UTC))
            for key in keys
        ]
        async with db.account(account) as tx:
            await record(tx, nos)

    keys = [b"a" + bytes((n,)) * 33 for n in range(40)]
    orders = [random.Random(n).sample(keys, len(keys)) for n in range(16)]
    async with asyncio.timeout(60):
        await asyncio.gather(*map(say, orders))
    async with db.account(account) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM ledger") == len(keys)
        assert await tx.driver.fetchval("SELECT count(*) FROM repeats") == len(keys) * 15
        assert await tx.driver.fetchval("SELECT max(position) FROM feed") == len(keys)
    await db.close()


async def test_another_processs_commit_wakes_the_long_poll(
    url: str, door: Door, contacts: FakeContacts, tmp_path: Path
) -> None:
    _, secret = contacts.account()
    body = {"channel": "email", "scope": "account", "email": "ada@example.it", "reason": "manual"}
    async with living(url, tmp_path / "other", contacts) as other:
        late = []
        for after in range(5):
            waiting = asyncio.create_task(door.feed(after, wait=10))
            await asyncio.sleep(0.05)  # the poll is waiting, not arriving
            wish = body | {"email": f"p{after}@example.it"}
            answer = await other.http.post("/v1/suppressions", json=wish, headers=bearer(secret))
            assert answer.status_code == 201
            answered = asyncio.get_running_loop().time()
            assert [i["number"] for i in (await waiting)["items"]] == [after + 1]
            late.append(asyncio.get_running_loop().time() - answered)
        assert min(late) < 0.2, "a notification, not the next look"
        assert len((await other.http.get("/v1/journals", headers=bearer("mm_op_test"))).json()["items"]) == 2
    assert (await door.feed())["confirmed_age"] < 5, "a process that ended cleanly is not waited for"


async def test_events_carry_keys_and_the_feed_number(
    url: str, contacts: FakeContacts, tmp_path: Path
) -> None:
    account, secret = contacts.account()
    body = {"channel": "email", "scope": "account", "email": "ada@example.it", "reason": "manual"}
    async with living(url, tmp_path / "journal", contacts, workers=False) as door:
        await door.http.post("/v1/suppressions", json=body, headers=bearer(secret))
        async with door.running.app.state.house.db.platform() as tx:
            [row] = await tx.driver.fetch("SELECT topic, key, value FROM outbox")
    assert row["topic"] == "suppressions.v1"
    assert str(account.account_id) in row["key"]
    assert b"example.it" not in row["value"]
    assert b'"version":1' in row["value"]


async def test_group_commit_shares_commits(url: str, contacts: FakeContacts, tmp_path: Path) -> None:
    account, _ = contacts.account()
    of = contacts.list(account)
    people = [contacts.contact(of, f"p{n}@example.it") for n in range(300)]
    # 300 at once ask contacts: none of them is to be completed by a second line.
    async with living(url, tmp_path / "journal", contacts, contacts_timeout=5) as door:
        paths = ["/u/" + door.token(account, person) for person in people]
        answers = await asyncio.gather(
            *(door.http.post(p, content=b"List-Unsubscribe=One-Click") for p in paths)
        )
        assert {a.status_code for a in answers} == {200}
        assert (await door.feed(299))["head"] == 300
        db = door.running.app.state.house.db
        async with db.platform() as tx:
            commits = await tx.driver.fetchval("SELECT count(DISTINCT xmin::text) FROM ledger")
    assert commits < 150, "requests share commits"
