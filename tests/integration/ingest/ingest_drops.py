"""The house's drops on a real disk: both doors open, the collector stepped by the test."""

from __future__ import annotations

import asyncio
import ftplib
import json
import os
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncssh
import httpx
from ingest_house import TOKEN, Ingest
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.seal import Seal
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.ingest.actions.collect import Collector, Patience
from mailmaker.ingest.actions.deliver import Deliverer
from mailmaker.ingest.actions.enter import Entrance
from mailmaker.ingest.actions.opening import Opener
from mailmaker.ingest.actions.pgp import PURPOSE, PgpKeys
from mailmaker.ingest.actions.receive import Receiver
from mailmaker.ingest.actions.tell import Teller
from mailmaker.ingest.drop.ftps import FtpsServer, Way
from mailmaker.ingest.drop.sessions import Bounds
from mailmaker.ingest.drop.sftp import SftpServer
from mailmaker.ingest.storage.inboxes import Inboxes, Limits
from pydantic import SecretStr

STABLE = 0.3
CUT = 3600.0
LARGEST = 1_000_000
GOOD = b"email,name\nada@example.it,Ada\nbruno@example.it,Bruno\n"
HOST = "127.0.0.1"


class FtpsClient(ftplib.FTP_TLS):
    """Python's own client, told to trust our self-signed certificate."""

    def __init__(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(context=context, timeout=20)


class Dropping:
    """Drops as their clients see them, and the collector's next look at the test's word."""

    def __init__(self, ingest: Ingest, *, plain: bool = False, bounds: Bounds | None = None) -> None:
        self.ingest = ingest
        db, clock = ingest.db, SystemClock()
        self.door = InternalClient(
            "http://contacts", SecretStr(TOKEN), transport=httpx.MockTransport(ingest.contacts.answer)
        )
        self.keyring = KeyRing(ingest.contacts, clock, db)
        self.inboxes = Inboxes(ingest.root, Limits(50, 2_000_000, LARGEST))
        entrance = Entrance(db, self.keyring, self.inboxes, clock)
        folder = ingest.root / "drops" / "keys"
        bounds = bounds or Bounds()
        self.sftp = SftpServer(entrance, clock, host=HOST, port=0, keys="", folder=folder, bounds=bounds)
        self.ftps = FtpsServer(entrance, clock, Way(HOST, 0, "", "", folder, plain=plain), bounds)
        receiver = Receiver(db, self.door, clock, asyncio.Event(), Opener(2, 1 << 30, clock))
        keys = PgpKeys(db, Seal("a secret of the tests only", PURPOSE))
        self.deliverer = Deliverer(db, ingest.files, receiver, self.keyring, keys, LARGEST)
        self.teller = Teller(db, ingest.files)
        self.collector = self.new_collector()
        self._stop = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    def new_collector(self, *, stable: float = STABLE, cut: float = CUT, kept: float = 3600.0) -> Collector:
        """A collector of a process that has just started."""
        patience = Patience(stable, cut, kept)
        return Collector(
            self.ingest.db, self.keyring, self.inboxes, self.deliverer, self.teller, SystemClock(), patience
        )

    async def __aenter__(self) -> Dropping:
        await self.inboxes.open()
        await self.door.open()
        await self.keyring.pull()
        self._running = [asyncio.create_task(door.run(self._stop)) for door in (self.sftp, self.ftps)]
        await self.until("both doors are open", lambda: self.sftp.address and self.ftps.address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.wait_for(asyncio.gather(*self._running), 20)
        await self.door.close()

    async def until(self, what: str, condition: Any, seconds: float = 15.0) -> Any:
        """Waits until a condition, of either colour, says something true."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            assert loop.time() < deadline, f"not within {seconds:.0f} s: {what}"
            await asyncio.sleep(0.02)

    async def open(self, **wish: Any) -> dict[str, Any]:
        """A new drop, with its password."""
        body = {"name": "CRM", "list": str(self.ingest.list_id), "protocols": ["sftp", "ftps"], **wish}
        answer = await self.ingest.http.post("/v1/drops", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def home(self, drop: dict[str, Any], *names: str) -> Path:
        root = self.ingest.root / "drops" / str(self.ingest.account) / drop["id"] / "home"
        return root.joinpath(*names)

    def names(self, drop: dict[str, Any], folder: str) -> list[str]:
        return sorted(os.listdir(self.home(drop, folder)))

    def bytes_in(self, drop: dict[str, Any]) -> int:
        return sum(path.stat().st_size for path in self.home(drop, "in").iterdir())

    def ssh(self, drop: dict[str, Any], **more: Any) -> Any:
        """An SSH connection; by password unless told otherwise."""
        assert self.sftp.address is not None
        given = {"username": drop["user_name"], "password": drop["password"], "client_keys": None, **more}
        return asyncssh.connect(
            HOST, self.sftp.address[1], known_hosts=None, config=None, agent_path=None, **given
        )

    def ftp(self, drop: dict[str, Any], password: str | None = None) -> FtpsClient:
        """A logged-in FTPS client. Blocking."""
        assert self.ftps.address is not None
        client = FtpsClient()
        client.connect(HOST, self.ftps.address[1])
        try:
            client.login(drop["user_name"], drop["password"] if password is None else password)
            client.prot_p()
        except BaseException:
            client.close()
            raise
        return client

    async def put(self, drop: dict[str, Any], name: str, data: bytes = GOOD) -> None:
        """A file that an SFTP client writes and closes."""
        async with (
            self.ssh(drop) as conn,
            conn.start_sftp_client() as sftp,
            sftp.open(f"/in/{name}", "wb") as file,
        ):
            await file.write(data)

    async def look(self) -> None:
        await self.collector.look()

    async def taken(self, drop: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
        """Looks until so many files have been taken; the newest first."""

        async def enough() -> list[dict[str, Any]]:
            await self.look()
            found = [one for one in await self.files(drop) if one["state"] != "taking"]
            return found if len(found) >= count else []

        return list(await self.until(f"{count} files are taken", enough))

    async def files(self, drop: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.ingest.http.get(f"/v1/drops/{drop['id']}/files")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def imports(self) -> list[dict[str, Any]]:
        return list((await self.ingest.http.get("/v1/imports")).json()["items"])

    async def progress(self, import_id: str, state: str, **more: Any) -> None:
        """contacts' word on an import."""
        word = {
            "import_id": import_id,
            "account_id": str(self.ingest.account),
            "state": state,
            "at": SystemClock().now().isoformat(),
            **more,
        }
        path = f"/internal/imports/{import_id}/progress"
        answer = await self.ingest.internal("POST", path, {"items": [word]})
        assert answer.status_code == 200, answer.text

    def report(self, drop: dict[str, Any], ending: str = "Z.json") -> dict[str, Any]:
        """The one report of that kind."""
        (name,) = [one for one in self.names(drop, "reports") if one.endswith(ending)]
        found: dict[str, Any] = json.loads(self.home(drop, "reports", name).read_text())
        return found
