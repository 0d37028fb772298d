"""Nothing acknowledged is lost: not by kill -9, not while PostgreSQL is away, not with a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
import uvicorn
from mailmaker.common.contracts.internal import AccountRow, ContactRow
from mailmaker.common.embedded.postgres import PostgresServer
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.migrate import migrate
from mailmaker.common.testing.processes import until
from sqlalchemy.engine import make_url
from suppression_house import PEPPER, SERVICE_TOKEN, TOKEN_KEYS, Door, FakeContacts, bearer, living

HOUSE = Path(__file__).parent / "house_process.py"


@asynccontextmanager
async def served(contacts: FakeContacts) -> AsyncIterator[str]:
    """The test's contacts on a socket."""
    server = uvicorn.Server(uvicorn.Config(contacts.app(), port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started, "contacts answers")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def process(
    url: str, contacts_url: str, journal: Path, port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The house as a process of its own, answering."""
    environ = {
        "PATH": os.environ["PATH"],
        "MAILMAKER_DATABASE_URL": url,
        "MAILMAKER_SERVICE_TOKEN": SERVICE_TOKEN,
        "MAILMAKER_TOKEN_KEYS": TOKEN_KEYS,
        "MAILMAKER_PEPPER": PEPPER,
        "MAILMAKER_CONTACTS_URL": contacts_url,
        "MAILMAKER_SUPPRESSION_PORT": str(port),
        "MAILMAKER_SUPPRESSION_JOURNAL": str(journal),
    }
    child = await asyncio.create_subprocess_exec(sys.executable, str(HOUSE), env=environ)
    try:
        async with httpx.AsyncClient() as http:
            async with asyncio.timeout(30):
                while True:
                    try:
                        await http.get(f"http://127.0.0.1:{port}/livez")
                        break
                    except httpx.TransportError:
                        assert child.returncode is None, "the house did not start"
                        await asyncio.sleep(0.02)
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            await asyncio.wait_for(child.wait(), 30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL of the test's own, which it may stop."""
    own = PostgresServer(tmp_path / "postgres", fast=True)
    admin = await asyncio.to_thread(own.start)
    await migrate("suppression", admin)
    try:
        yield own
    finally:
        await asyncio.to_thread(own.stop)


def of_role(server: PostgresServer) -> str:
    return make_url(server.url).set(username="mailmaker_suppression").render_as_string(hide_password=False)


async def ledger_contacts(url: str) -> list[str]:
    db = Database(url, house="suppression", pool=2)
    await db.open()
    async with db.platform() as tx:
        rows = await tx.driver.fetch("SELECT contact_id FROM ledger")
    await db.close()
    return [str(row["contact_id"]) for row in rows]


def crowd(contacts: FakeContacts, count: int) -> tuple[AccountRow, str, list[ContactRow]]:
    account, secret = contacts.account()
    of = contacts.list(account)
    return account, secret, [contacts.contact(of, f"p{n}@example.it") for n in range(count)]


async def test_recorded_before_answered(url: str, contacts: FakeContacts, tmp_path: Path) -> None:
    account, _, people = crowd(contacts, 120)
    port, acknowledged = free_port(), []
    async with (
        served(contacts) as contacts_url,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        for round in range(3):
            async with process(url, contacts_url, tmp_path / "journal", port) as child:
                enough, wanted = asyncio.Event(), len(acknowledged) + 5

                async def click(
                    person: ContactRow, enough: asyncio.Event = enough, wanted: int = wanted
                ) -> None:
                    try:
                        answer = await http.post("/u/" + Door.token(None, account, person))  # type: ignore[arg-type]
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 200
                    acknowledged.append(str(person.contact_id))
                    if len(acknowledged) >= wanted:
                        enough.set()

                clicks = [asyncio.create_task(click(p)) for p in people[round * 40 : round * 40 + 40]]
                await asyncio.wait_for(enough.wait(), 30)
                child.kill()  # in the moment after an answer
                await child.wait()
                await asyncio.gather(*clicks)
        recorded = await ledger_contacts(url)
        assert len(acknowledged) >= 15
        assert set(acknowledged) <= set(recorded)
        assert len(recorded) == len(set(recorded))
        # The successor goes on with the dead one's journal: the feed does not wait for a process that is no more.
        async with process(url, contacts_url, tmp_path / "journal", port):
            db = Database(url, house="suppression", pool=2)
            await db.open()
            async with db.platform() as tx:
                assert await tx.driver.fetchval("SELECT count(*) FROM journals") == 1
            await db.close()


async def test_the_journal_holds_what_postgresql_cannot(
    server: PostgresServer, contacts: FakeContacts, tmp_path: Path
) -> None:
    account, secret, people = crowd(contacts, 60)
    body = {"channel": "email", "scope": "account", "email": "ada@example.it", "reason": "manual"}
    async with living(of_role(server), tmp_path / "journal", contacts) as door:
        paths = ["/u/" + door.token(account, p) for p in people]
        first = await door.http.post(paths[0])
        await door.http.get("/v1/suppressions", headers=bearer(secret))
        assert first.status_code == 200
        await asyncio.to_thread(server.stop)

        answers = await asyncio.gather(
            *(door.http.post(p, headers={"Accept-Language": "en"}) for p in paths[1:])
        )
        assert {a.status_code for a in answers} == {200}
        assert all("Request received" in a.text for a in answers)
        twice = await door.http.post(paths[1])
        assert twice.status_code == 200
        assert (await door.http.get(paths[2])).status_code == 200, "the page needs no database"
        assert (
            await door.http.post("/v1/suppressions", json=body, headers=bearer(secret))
        ).status_code == 503
        assert (await door.http.get("/internal/feed", headers=bearer(SERVICE_TOKEN))).status_code == 503

        await asyncio.to_thread(server.start)
        journal = door.running.app.state.house.token.journal
        await until(lambda: journal.is_empty, "the journal is replayed")
        recorded = await ledger_contacts(of_role(server))
        assert sorted(recorded) == sorted(str(p.contact_id) for p in people), "0 lost, 0 doubled"
        page = await door.feed_until(lambda p: p["confirmed_age"] < 3 and p["head"] >= 119)
        # Each was in force by contact id first, then whole: 1 + 59 twice, with no number missing.
        assert page["head"] == len(page["items"]) == 119
    assert list((tmp_path / "journal").iterdir()) == [], "a clean end leaves nothing to vouch for"


async def test_the_feed_does_not_vouch_past_a_journaled_no(
    server: PostgresServer, contacts: FakeContacts, tmp_path: Path
) -> None:
    """A process that dies with promises in its journal stops the feed's vouching until they are replayed."""
    account, _, people = crowd(contacts, 40)
    url, port = of_role(server), free_port()
    async with (
        served(contacts) as contacts_url,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        paths = ["/u/" + Door.token(None, account, p) for p in people]  # type: ignore[arg-type]
        async with process(url, contacts_url, tmp_path / "journal", port) as child:
            assert (await http.post(paths[0])).status_code == 200
            await asyncio.to_thread(server.stop)
            answers = await asyncio.gather(*(http.post(p) for p in paths[1:20]))
            assert {a.status_code for a in answers} == {200}
            child.kill()
            await child.wait()
        # Its successor starts while PostgreSQL is still away, and goes on with the same file.
        async with process(url, contacts_url, tmp_path / "journal", port):
            answers = await asyncio.gather(*(http.post(p) for p in paths[20:]))
            assert {a.status_code for a in answers} == {200}, answers[0].text
            await asyncio.to_thread(server.start)
            recorded: list[str] = []
            async with asyncio.timeout(30):
                while len(recorded) < len(people):
                    await asyncio.sleep(0.05)
                    recorded = await ledger_contacts(url)
        assert sorted(recorded) == sorted(str(p.contact_id) for p in people)


async def test_the_age_grows_while_the_journal_holds_something(
    url: str, contacts: FakeContacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, _, people = crowd(contacts, 2)
    async with (
        living(url, tmp_path / "mine", contacts) as mine,
        living(url, tmp_path / "other", contacts) as other,
    ):
        monkeypatch.setattr("mailmaker.suppression.actions.keep_journal.record", _refuse)
        monkeypatch.setattr("mailmaker.suppression.actions.group_commit.record", _refuse)
        assert (await mine.http.post("/u/" + mine.token(account, people[0]))).status_code == 200
        page = await other.feed_until(lambda p: p["confirmed_age"] >= 3)
        assert page["head"] == 0, "the other process does not vouch for what this one holds"
        monkeypatch.undo()
        page = await other.feed_until(lambda p: p["confirmed_age"] < 2.5)
        assert page["head"] >= 1


async def _refuse(*_: object) -> None:
    raise asyncpg.CannotConnectNowError("away")


async def test_a_full_disk_promises_nothing(
    server: PostgresServer, contacts: FakeContacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, _, people = crowd(contacts, 2)
    async with living(of_role(server), tmp_path / "journal", contacts) as door:
        await asyncio.to_thread(server.stop)
        paths = ["/u/" + door.token(account, p) for p in people]
        whole = os.write

        def half(descriptor: int, data: bytes) -> int:
            whole(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("mailmaker.suppression.storage.journal_file.os.write", half)
        assert (await door.http.post(paths[0])).status_code == 503
        monkeypatch.undo()
        assert (await door.http.post(paths[1])).status_code == 200
        await asyncio.to_thread(server.start)
        journal = door.running.app.state.house.token.journal
        await until(lambda: journal.is_empty, "the journal is replayed")
    assert await ledger_contacts(of_role(server)) == [str(people[1].contact_id)]
