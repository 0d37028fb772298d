"""The SMTP door of a real fbl on a real PostgreSQL; only contacts is played by a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fbl_house import DOMAIN, Contacts, Fbl
from mailmaker.common.mail.tokens import Token, TokenKeys
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.keyring import KeyRing
from mailmaker.fbl.actions.receive import Arrived, Kept, receive
from mailmaker.fbl.actions.settle import Settler
from mailmaker.fbl.inbound.door import Door
from mailmaker.fbl.inbound.server import SmtpServer
from mailmaker.fbl.parse.cell import Cell

CORPORA = Path(__file__).parents[3].parent / "shared" / "corpora" / "corpora.tar.xz"
# Mail nobody here wrote, kept beside the repository where it may be read; a clone does without.
collect_ignore = [] if CORPORA.exists() else ["test_fbl_corpora.py"]


@pytest.fixture
async def fbl(database_of: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Fbl]:
    db = await database_of("fbl")
    contacts = Contacts()
    account = contacts.open(7)
    clock, keys, cell = SystemClock(), TokenKeys({1: b"k" * 32}), Cell(wall_seconds=10)
    keyring = KeyRing(contacts, clock)
    settler = Settler(db, cell, keys, keyring, clock)

    async def keep(arrived: Arrived) -> Kept:
        return await receive(db, arrived)

    server = SmtpServer(
        Door(frozenset({DOMAIN}), keys, keyring, keep, clock),
        host="127.0.0.1",
        port=0,
        hostname=DOMAIN,
        most_bytes=1_000_000,
        most_sessions=5,
        timeout=30,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    await asyncio.wait_for(server.listening.wait(), 10)
    yield Fbl(db, contacts, settler, server, keys, account, Token(7, 3, new_id()))
    stop.set()
    await asyncio.wait_for(running, 10)
    await cell.close()
