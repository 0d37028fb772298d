"""Fixtures of contacts' integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from contacts_house import Rig, rig_on
from mailmaker.common.storage.engine import Database


@pytest.fixture
async def rig(database_of: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Rig]:
    """The house on a fresh database."""
    async with asynccontextmanager(rig_on)(await database_of("contacts")) as found:
        yield found
