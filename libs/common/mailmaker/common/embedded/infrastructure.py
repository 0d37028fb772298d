"""common.embedded.infrastructure: PostgreSQL, Apache Kafka and the SMTP sandbox of one machine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import asyncpg
from mailmaker.common.embedded import postgres_home
from mailmaker.common.embedded.errors import Missing
from mailmaker.common.embedded.kafka import KafkaServer
from mailmaker.common.embedded.kept import Say
from mailmaker.common.embedded.options import BusKind
from mailmaker.common.embedded.plan import DATABASE, HOST, in_database
from mailmaker.common.embedded.postgres import PostgresServer
from mailmaker.common.embedded.process import Child
from mailmaker.common.embedded.state import State


class Sandbox:
    """Takes every mail and keeps it in a directory: `ledger.jsonl` tells of each, `bytes.bin` holds them."""

    _MOST = 2 << 30

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self._port = port
        self._child: Child | None = None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self) -> None:
        if self.alive:
            return
        self._turn_the_page()
        module = [sys.executable, "-m", "mailmaker.common.testing.sink"]
        options = ["--dir", str(self.directory), "--port", str(self._port), "--keep-bytes", "all"]
        self._child = Child([*module, *options], log=self.directory / "sandbox.log")
        deadline = time.monotonic() + 30
        while not _answers(self._port):
            if not self._child.alive or time.monotonic() > deadline:
                failure = self._child.failure("The SMTP sandbox")
                self._child.kill()
                raise failure
            time.sleep(0.03)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=10)

    def _turn_the_page(self) -> None:
        """More than 2 GiB of mails is set aside at a start, over what was set aside before."""
        kept = self.directory / "bytes.bin"
        if kept.exists() and kept.stat().st_size > self._MOST:
            for name in ("bytes.bin", "ledger.jsonl"):
                (self.directory / name).replace(self.directory / f"{name}.1")


class PostgresHere:
    """The database of this machine: a cluster of our own, or the server that MAILMAKER_DATABASE_URL names."""

    def __init__(self, state: State) -> None:
        self.given = os.environ.get("MAILMAKER_DATABASE_URL", "")
        self._state = state
        self.server = None if self.given else PostgresServer(state.folder("postgres"))

    async def open(self) -> str:
        """The administrator's URL of the database that holds all houses' schemas."""
        if self.server is None:
            return self.given
        admin = await asyncio.to_thread(self._start, self.server)
        connection = await asyncpg.connect(admin, timeout=10)
        try:
            if not await connection.fetchval(
                "SELECT 1 FROM pg_database WHERE datname = $1", DATABASE, timeout=10
            ):
                await connection.execute(f"CREATE DATABASE {DATABASE}", timeout=60)
        finally:
            await connection.close(timeout=10)
        return in_database(admin, DATABASE)

    def _start(self, server: PostgresServer) -> str:
        if postgres_home.find().user != "-":
            # Someone else has to run it: he may pass through, and each folder beside his own is closed to him.
            self._state.directory.chmod(0o711)
        return server.start()


class KafkaHere:
    """The broker of this machine: our own, the one that MAILMAKER_KAFKA names, or none."""

    def __init__(self, state: State, wanted: BusKind, say: Say) -> None:
        self.given = os.environ.get("MAILMAKER_KAFKA", "") if wanted is BusKind.KAFKA else ""
        self._say = say
        self.server: KafkaServer | None = None
        if wanted is BusKind.KAFKA and not self.given:
            self.server = KafkaServer(state.folder("kafka"))

    async def open(self) -> str:
        """host:port with every declared topic on it; empty where the in-process bus is to be used."""
        address = self.given
        if self.server is not None:
            try:
                address = await asyncio.to_thread(self.server.start)
            except Missing as wrong:
                self.server = None
                self._say(f"NO KAFKA: {wrong}\nAll five services run in one process, on the in-process bus.")
        if address:
            from mailmaker.common.bus.kafka_topics import make_topics

            await make_topics(address)
        return address


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 1) as peer:
            return peer.recv(3) == b"220"
    except OSError:
        return False
