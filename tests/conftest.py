"""tests: what every level shares: markers by folder, one PostgreSQL cluster and one Apache Kafka a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from mailmaker.common.embedded.kafka import KafkaServer
from mailmaker.common.embedded.postgres import PostgresServer
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.migrate import migrate
from sqlalchemy.engine import make_url

HERE = Path(__file__).parent
LEVELS = ("unit", "contract", "integration", "e2e", "proof")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        level = item.path.relative_to(HERE).parts[0]
        if level in LEVELS:
            item.add_marker(level)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The administrator's URL of a cluster of this run."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), fast=True)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Apache Kafka of this run; topics are made under fresh names by who needs them."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
async def template(postgres: str) -> Callable[[str], Awaitable[str]]:
    """Makes the migrated template database of a house once a run."""
    made: dict[str, str] = {}
    lock = asyncio.Lock()

    async def template_of(house: str) -> str:
        async with lock:
            if house not in made:
                name = f"template_{house}"
                await _admin(postgres, f'CREATE DATABASE "{name}"')
                await migrate(house, _of(postgres, name))
                made[house] = name
        return made[house]

    return template_of


@pytest.fixture
async def database_of(
    postgres: str, template: Callable[[str], Awaitable[str]]
) -> AsyncIterator[Callable[[str], Awaitable[Database]]]:
    """`await database_of("contacts")`: a fresh migrated database of a house, as its role; gone after the test."""
    opened: list[Database] = []
    names: list[str] = []

    async def make(house: str) -> Database:
        name = f"t_{new_id().hex}"
        await _admin(
            postgres, f'CREATE DATABASE "{name}" TEMPLATE "{await template(house)}" STRATEGY FILE_COPY'
        )
        names.append(name)
        db = Database(_of(postgres, name, f"mailmaker_{house}"), house=house)
        await db.open()
        opened.append(db)
        return db

    yield make
    for db in opened:
        await db.close()
    for name in names:
        await _admin(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


def _of(url: str, database: str, user: str | None = None) -> str:
    made = make_url(url).set(database=database)
    if user is not None:
        made = made.set(username=user, password=None)
    return made.render_as_string(hide_password=False)


async def _admin(url: str, statement: str) -> None:
    conn = await asyncpg.connect(url, timeout=10)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()
