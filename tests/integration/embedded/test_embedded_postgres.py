"""embedded.postgres: one cluster in a directory, through starts, stops and kills."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from mailmaker.common.embedded.errors import AlreadyUp, EmbeddedError
from mailmaker.common.embedded.postgres import PostgresServer


@pytest.fixture(params=[True, False], ids=["fast", "durable"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path / "pg", fast=request.param)
    yield server
    server.stop()


async def ask(server: PostgresServer, sql: str) -> object:
    connection = await asyncpg.connect(server.url, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_data_stays_through_a_stop_and_a_kill(server: PostgresServer) -> None:
    assert server.start() == server.url
    await ask(server, "CREATE TABLE kept (n int)")
    await ask(server, "INSERT INTO kept VALUES (1)")
    server.stop()
    assert not server.alive

    server.start()
    await ask(server, "INSERT INTO kept VALUES (2)")
    server.kill()

    server.start()
    assert await ask(server, "SELECT sum(n) FROM kept") == 3


async def test_second_start_of_the_same_server_does_nothing(server: PostgresServer) -> None:
    url = server.start()
    pid = server.pid
    assert server.start() == url
    assert server.pid == pid


async def test_pid_file_of_a_stranger_is_no_obstacle(server: PostgresServer) -> None:
    server.start()
    server.kill()
    pid_file = server.directory / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join(["1", *lines[1:]]) + "\n")

    server.start()
    assert await ask(server, "SELECT 1") == 1


async def test_a_running_cluster_is_not_started_twice(tmp_path: Path) -> None:
    first = PostgresServer(tmp_path, fast=True)
    first.start()
    try:
        with pytest.raises(AlreadyUp):
            PostgresServer(tmp_path, fast=True).start(timeout=30.5)
    finally:
        first.stop()


def test_a_cluster_of_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="MAILMAKER_PG_BIN"):
        PostgresServer(tmp_path).start()


async def test_a_password_is_asked_for(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path)
    server.start()
    try:
        assert (tmp_path / "password").stat().st_mode & 0o077 == 0
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url.replace("://postgres:", "://postgres:x"), timeout=10)
    finally:
        server.stop()
