"""Fixtures of suppression's integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from mailmaker.common.storage.engine import Database
from suppression_house import Door, FakeContacts, living


@pytest.fixture
async def url(database_of: Callable[[str], Awaitable[Database]]) -> str:
    """A fresh database of the house, as its role."""
    return (await database_of("suppression"))._dsn.render_as_string(hide_password=False)


@pytest.fixture
def contacts() -> FakeContacts:
    return FakeContacts()


@pytest.fixture
async def door(url: str, contacts: FakeContacts, tmp_path: Path) -> AsyncIterator[Door]:
    """The house, living."""
    async with living(url, tmp_path / "journal", contacts) as found:
        yield found
