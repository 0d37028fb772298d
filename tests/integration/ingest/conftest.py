"""A real ingest for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from ingest_drops import Dropping
from ingest_house import CORPORA, TOKEN, Contacts, Ingest
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.seal import Seal
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.ingest.actions.opening import Opener
from mailmaker.ingest.actions.pgp import PURPOSE, PgpKeys
from mailmaker.ingest.actions.read import ReaderWorker
from mailmaker.ingest.actions.read_lines import LineReader
from mailmaker.ingest.actions.receive import Receiver
from mailmaker.ingest.api import drops, imports, internal, profiles, state
from mailmaker.ingest.storage.files import Files
from pydantic import SecretStr

MAX_UPLOAD = 1_200_000
MAX_UNPACKED = 1 << 30

# Foreign material is not ours to keep: its tests are collected where it lies beside the repository.
collect_ignore = [] if CORPORA.exists() else ["test_ingest_foreign_files.py"]


@pytest.fixture
async def ingest(database_of: Callable[[str], Awaitable[Database]], tmp_path: Path) -> AsyncIterator[Ingest]:
    db = await database_of("ingest")
    contacts, clock, wake = Contacts(), SystemClock(), asyncio.Event()
    account, secret = contacts.account_key()
    door = InternalClient("http://contacts", SecretStr(TOKEN), transport=httpx.MockTransport(contacts.answer))
    keyring = KeyRing(contacts, clock, db)
    files = Files(tmp_path)
    pgp_keys = PgpKeys(db, Seal("a secret of the tests only", PURPOSE))
    shared = Shared(
        service_token=SecretStr(TOKEN), token_keys=SecretStr("1:" + "a" * 43), pepper=SecretStr("a" * 43)
    )  # type: ignore[call-arg]
    receiver = Receiver(db, door, clock, wake, Opener(2, MAX_UNPACKED, clock))
    app = create_app(
        "ingest",
        [imports.router, profiles.router, drops.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=Metrics(),
        state=state.House(
            db, files, receiver, LineReader(db, files, clock, 2), door, clock, MAX_UPLOAD, pgp_keys
        ),
        ready={},
        unlimited=("/v1/imports",),
    )
    for resource in (files, door, keyring):
        await resource.open()
    stop = asyncio.Event()
    await keyring.pull()
    pulling = asyncio.create_task(keyring.run(stop))
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as http:
        worker = ReaderWorker(1, db, files, clock, wake)
        yield Ingest(db, files, tmp_path, contacts, http, worker, account, contacts.open_list(account))
    stop.set()
    await asyncio.wait_for(pulling, 10)
    for resource in (keyring, door, files):
        await resource.close()


@pytest.fixture
async def dropping(ingest: Ingest) -> AsyncIterator[Dropping]:
    """The house with its SFTP and FTPS doors open."""
    async with Dropping(ingest) as made:
        yield made
