"""common.embedded.machine: everything on one machine: starts it in order, keeps it alive, stops it in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from mailmaker.common.embedded.demo_account import DemoAccount
from mailmaker.common.embedded.errors import StartFailed
from mailmaker.common.embedded.frontdoor import FrontDoor, Routes
from mailmaker.common.embedded.infrastructure import KafkaHere, PostgresHere, Sandbox
from mailmaker.common.embedded.kept import Say, ServiceProcess, Startable, keep
from mailmaker.common.embedded.options import UpOptions
from mailmaker.common.embedded.plan import HOST, Plan, draw
from mailmaker.common.embedded.readiness import Readiness
from mailmaker.common.embedded.state import State
from mailmaker.common.ops.lifecycle import House, house_names, houses
from mailmaker.common.storage.migrate import migrate

_READY_WITHIN = 120.0


class Machine:
    """One running Mail-Maker. `start` returns when everything is ready, `stop` when everything has gone."""

    def __init__(self, options: UpOptions, state: State, say: Say) -> None:
        self._say = say
        self.plan: Plan = draw(state, options, house_names())
        self._postgres = PostgresHere(state)
        self._kafka = KafkaHere(state, options.bus, say)
        self._sandbox: Sandbox | None = None
        if self.plan.sandbox_port is not None:
            self._sandbox = Sandbox(state.folder("sandbox"), self.plan.sandbox_port)
        self._services: dict[str, ServiceProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._http = httpx.AsyncClient(trust_env=False, timeout=30)
        self._readiness = Readiness(self.plan, self._http)
        self._door: FrontDoor | None = None

    async def start(self) -> dict[str, Any]:
        """Brings everything up; the answer is what dev.json holds."""
        installed, (database_url, kafka) = await asyncio.gather(
            asyncio.to_thread(houses), self._infrastructure()
        )
        self._launch(database_url, kafka)
        self._door = await self._open_door(installed)
        await self._until_ready()
        demo = DemoAccount(self.plan, self._http)
        await demo.open()
        await self._until_ready()
        facts = {
            "base_url": self.plan.base_url,
            "operator_key": self.plan.operator_key,
            "account_key": demo.account_key,
            "account_id": demo.account_id,
            "inbound_smtp": f"{HOST}:{self.plan.inbound_port}",
            "sftp": f"{HOST}:{self.plan.sftp_port}",
            "ftps": f"{HOST}:{self.plan.ftps_port}",
            "sandbox": f"{HOST}:{self.plan.sandbox_port}" if self._sandbox else None,
            "database_url": database_url,
            "kafka": kafka or None,
        }
        self.plan.state.tell(facts)
        self._readiness.told = True
        return facts

    async def stop(self) -> None:
        """Doors first, then the services, then what they stand on. Within 60 s."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._door is not None:
            await self._door.close()
        await self._stop_all(list(self._services.values()))
        await self._http.aclose()
        servers = [self._sandbox, self._kafka.server, self._postgres.server]
        await self._stop_all([server for server in servers if server is not None])

    async def _stop_all(self, things: Sequence[Startable]) -> None:
        for wrong in await asyncio.gather(
            *(asyncio.to_thread(thing.stop) for thing in things), return_exceptions=True
        ):
            if isinstance(wrong, BaseException):
                self._say(f"not stopped cleanly: {wrong}")

    async def _infrastructure(self) -> tuple[str, str]:
        self._say("starting PostgreSQL and Apache Kafka" if self._kafka.server else "starting PostgreSQL")
        sandbox = asyncio.to_thread(self._sandbox.start) if self._sandbox else asyncio.sleep(0)
        database_url, kafka, _ = await asyncio.gather(self._database(), self._kafka.open(), sandbox)
        for name, server in (
            ("PostgreSQL", self._postgres.server),
            ("Apache Kafka", self._kafka.server),
            ("the SMTP sandbox", self._sandbox),
        ):
            if server is not None:
                self._keep(name, server)
        return database_url, kafka

    async def _database(self) -> str:
        url = await self._postgres.open()
        for house in house_names():
            await migrate(house, url, self.plan.role_password(house))
        return url

    def _launch(self, database_url: str, kafka: str) -> None:
        """A process each; without Kafka one process for all, since only a process shares the in-process bus."""
        self._say("starting the services")
        logs = self.plan.state.folder("logs")
        if kafka:
            for place in self.plan.places:
                env = self.plan.environment([place], database_url, kafka)
                self._services[place.name] = ServiceProcess(place.house, env, logs / f"{place.name}.log")
        else:
            self.plan = self.plan.in_one_process()
            self._readiness = Readiness(self.plan, self._http)
            env = self.plan.environment(self.plan.places, database_url, kafka)
            self._services["all"] = ServiceProcess("all", env, logs / "all.log")
        for name, service in self._services.items():
            service.start()
            self._keep(name, service)

    def _keep(self, name: str, thing: Startable) -> None:
        self._keepers.append(asyncio.create_task(keep(name, thing, self._say), name=f"keep {name}"))

    async def _open_door(self, installed: Mapping[str, House]) -> FrontDoor:
        lines: dict[str, list[tuple[str, int]]] = {}
        for place in self.plan.places:
            lines.setdefault(place.house, []).append((HOST, place.port))
        routes = Routes({name: house.paths for name, house in installed.items()})
        door = FrontDoor(routes, lines, self._readiness.everything)
        try:
            await door.open(HOST, self.plan.front_port)
        except OSError as wrong:
            raise StartFailed(
                f"the front door's port {self.plan.front_port} is taken; choose another with --port"
            ) from wrong
        return door

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while missing := await self._readiness.missing():
            if time.monotonic() > deadline:
                told = "\n".join(f"  {name}: {what}" for name, what in missing.items())
                raise StartFailed(f"not ready within {_READY_WITHIN:.0f} s:\n{told}")
            await asyncio.sleep(0.1)
