"""The whole street on one machine, and hands to shake it with: kill, stop, continue, count.

Everything is done and seen from outside: public HTTP, SMTP, signals, the sink's ledger. PostgreSQL is read only where a
promise is about what PostgreSQL wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import asyncpg
import httpx
from mailmaker.common.demo.client import Client, Refused
from mailmaker.common.demo.doors import Doors, Person, person_of
from mailmaker.common.demo.people import HEADER, people
from mailmaker.common.demo.stage import Stage
from mailmaker.common.testing.checker import Told, Verdict, judge, mailing_of, unbalanced
from mailmaker.common.testing.ledger import Seen
from mailmaker.common.testing.nameserver import Nameserver
from mailmaker.common.testing.processes import command_line, descendants, is_alive

RECIPIENTS = int(os.environ.get("MAILMAKER_E2E_RECIPIENTS", "20000"))
NOES = max(100, RECIPIENTS // 50)
"""2,000 of 100,000, and as many a second in a smaller run."""
CONNECTIONS = 20
"""SMTP connections of one relay, as `up` leaves them."""
Answer = TypeVar("Answer")
ENDED = ("finished", "cancelled", "failed")
PATIENCE = float(os.environ.get("MAILMAKER_E2E_PATIENCE", "900"))


def sample(count: int, seed: int, directory: Path, *, without: Iterable[int] = ()) -> Path:
    """A CSV file of `count` people of their own; row numbers in `without` (from 0) are left out."""
    gone = set(without)
    path = directory / f"people-{seed}-{count}-{len(gone)}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADER) + "\r\n")
        for number, row in enumerate(people(count, seed)):
            if number not in gone:
                # Each test has its own people: one test's "no" must not silence another's mail.
                row = (row[0], f"s{seed}.{row[1]}", *row[2:])
                file.write(",".join(f'"{cell}"' for cell in row) + "\r\n")
    return path


async def eventually(what: str, condition: Any, seconds: float = 60.0, every: float = 0.1) -> Any:
    """The first true answer of an async condition. Fails naming `what`."""
    deadline = time.monotonic() + seconds
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(every)
    return found


@dataclass
class World:
    """What lies beyond the platform: the DNS it asks, and the port on which recipients' servers listen."""

    dns: Nameserver
    port: int


@dataclass
class Rig:
    """One running platform with its account's client and its operator's."""

    stage: Stage
    client: Client
    operator: Client
    directory: Path
    world: World | None = None
    numbers: dict[int, str] = field(default_factory=dict)
    """Every mailing these tests made: number -> id."""
    _seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    _read: int = 0

    # -- work a client does

    async def list_of(self, name: str, file: Path | None, **options: Any) -> tuple[str, dict[str, Any]]:
        """A new list with a file in it, and the applied import."""
        list_id = await self.client.open_list(f"{name} {time.time_ns()}")
        return list_id, {} if file is None else await self.import_file(list_id, file, **options)

    async def import_file(self, list_id: str, file: Path, **options: Any) -> dict[str, Any]:
        done = await self.client.import_file(list_id, file, **options)
        assert done["state"] == "applied", done
        assert done["error"] is None
        counts = done["counts"]
        assert sum(n for name, n in counts.items() if name not in ("rows", "removed")) == counts["rows"], (
            counts
        )
        return done

    async def mailing(self, list_ids: Sequence[str], name: str = "mailing") -> str:
        template, sender = await self.client.open_template(), await self.client.sender()
        made = await self.client.open_mailing(f"{name} {time.time_ns()}", list(list_ids), sender, template)
        self.numbers[int((await self.client.send("GET", f"/v1/mailings/{made}"))["number"])] = made
        return made

    async def start(self, mailing: str) -> None:
        await self.client.send("POST", f"/v1/mailings/{mailing}:start")

    async def counts(self, mailing: str) -> dict[str, int]:
        found = await self.client.patiently(f"/v1/mailings/{mailing}")
        return dict(found.get("counts") or {})

    async def finished(self, mailing: str, seconds: float = PATIENCE) -> dict[str, int]:
        """Waits for the end, and holds the counts to their promises."""
        found = await self.client.wait(f"/v1/mailings/{mailing}", ENDED, seconds=seconds)
        assert found["state"] == "finished", found
        counts: dict[str, int] = found["counts"]
        assert unbalanced(counts) == 0, counts
        assert counts["deferred"] == counts["held"] == counts["waiting"] == 0, counts
        return counts

    async def reached(self, mailing: str, share: float, planned: int) -> None:
        """Returns when the sink has so large a share of a mailing."""

        async def enough() -> bool:
            return len(self.seen(mailing)) >= share * planned

        await eventually(f"{share:.0%} of a mailing at the sink", enough, PATIENCE, 0.2)

    async def messages(self, mailing: str, state: str) -> list[dict[str, Any]]:
        return await self.every(f"/v1/mailings/{mailing}/messages", state=state)

    async def every(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All items of a collection."""
        items: list[dict[str, Any]] = []
        while True:
            asked = functools.partial(self.client.send, "GET", path, params={**query, "limit": "1000"})
            page = await self.patiently(asked)
            items += page["items"]
            if page["next"] is None:
                return items
            query = {**query, "cursor": page["next"]}

    async def patiently(self, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """A read, again while a house says 503: one whose view of keys is old may, a fallen one's neighbours too."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return await read()
            except Refused as wrong:
                if not re.search(r": 50[23] ", str(wrong)) or time.monotonic() > deadline:
                    raise
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)

    # -- people who say "no"

    async def readers(self, list_id: str, wanted: int) -> list[Person]:
        """People of a list with the links of a mail they have had: an earlier mailing, taken back when enough have it.
        A mailing is sent in no order of the list, so these people are anywhere in the next one."""
        earlier = await self.mailing([list_id], "earlier")
        await self.start(earlier)

        async def received() -> bool:
            if len(self.seen(earlier)) >= wanted * 1.1 + CONNECTIONS:
                return True
            return (await self.client.patiently(f"/v1/mailings/{earlier}")).get("state") in ENDED

        await eventually(f"{wanted} mails of an earlier mailing", received, PATIENCE, 0.2)
        with contextlib.suppress(RuntimeError):  # a small one may have ended by itself
            await self.client.send("POST", f"/v1/mailings/{earlier}:cancel")
        await self.client.wait(f"/v1/mailings/{earlier}", ENDED)
        seen = [one for one in self.seen(earlier) if one.accepted]
        chosen = Random(wanted).sample(seen, wanted)
        return [person_of(one.recipients[0], self.stage.ledger.message(one)) for one in chosen]

    def doors(self, list_id: str) -> Doors:
        return Doors(self.client, self.stage.dev, list_id)

    async def enforced(self, doors: Doors, told: Told, seconds: float = 60.0) -> Told:
        """What the ledger of suppressions says in the end of an acknowledged "no"."""
        deadline = time.monotonic() + seconds
        while True:
            known = await self.patiently(lambda: doors.outcome(told))
            if known.enforced_at is not None or told.answered_at is None or time.monotonic() > deadline:
                return known
            await asyncio.sleep(0.2)

    # -- what the sink saw

    def seen(self, *mailings: str) -> list[Seen]:
        """What the sink has seen of some mailings until now, broken sends too."""
        new, self._read = self.stage.ledger.since(self._read)
        for one in new:
            self._seen[mailing_of(one, self.numbers)].append(one)
        return [one for mailing in mailings for one in self._seen[mailing]]

    async def verdict(self, mailing: str, told: Sequence[Told]) -> Verdict:
        """Judges one mailing by what the sink saw of it."""
        delivered = [
            (mailing, item["address"].casefold()) for item in await self.messages(mailing, "delivered")
        ]
        maybe = [
            (mailing, item["address"].casefold())
            for state in ("uncertain", "bounced")
            for item in await self.messages(mailing, state)
        ]
        return judge(self.seen(mailing), told, self.numbers, delivered, maybe)

    # -- what happens to machines

    def processes(self, house: str) -> list[int]:
        return self.stage.processes(house)

    def relays(self) -> list[int]:
        """The processes of dispatch that send."""
        return self.stage.relays()

    def kafka(self) -> list[int]:
        """The broker's process."""
        return sorted(pid for pid in descendants(self.stage.up.pid) if "kafka.Kafka" in command_line(pid))

    async def kill(self, house: str, *, enforcer: bool = False) -> int:
        """kill -9 of the first process of a house, of dispatch the first that sends, or the one that enforces; returns once
        it is dead."""

        async def one() -> list[int]:
            if house == "dispatch":
                return self.stage.enforcers() if enforcer else self.relays()
            return self.processes(house)

        pid = int((await eventually(f"a process of {house}", one))[0])
        os.kill(pid, signal.SIGKILL)

        async def dead() -> bool:
            return not is_alive(pid)

        await eventually(f"{house} is dead", dead, 10, 0.01)
        return pid

    async def ready(self, seconds: float = 120.0) -> None:
        await eventually("the front door says ready", self.stage.ready, seconds)

    @contextlib.asynccontextmanager
    async def stopped(self, pids: Sequence[int]) -> AsyncIterator[None]:
        """SIGSTOP, and SIGCONT whatever happens."""
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def sql(self, query: str, *values: object) -> list[Mapping[str, Any]]:
        conn = await asyncpg.connect(self.stage.dev["database_url"], timeout=10)
        try:
            return [dict(row) for row in await conn.fetch(query, *values)]
        finally:
            await conn.close()


def sent_by_curl(base_url: str, key: str) -> httpx.AsyncClient:
    """A client that reads problems instead of raising them."""
    return httpx.AsyncClient(
        base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=120, trust_env=False
    )


def options(list_id: str, mode: str = "incremental", **more: Any) -> dict[str, str]:
    """The form field of an import."""
    return {"options": json.dumps({"list": list_id, "mode": mode, **more})}
