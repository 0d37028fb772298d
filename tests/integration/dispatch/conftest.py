"""tests: the street of dispatch for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from dispatch_street import Street, open_street
from mailmaker.common.storage.engine import Database


@pytest.fixture
async def street(database_of: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Street]:
    made = await open_street(await database_of("dispatch"))
    yield made
    await made.client.close()
