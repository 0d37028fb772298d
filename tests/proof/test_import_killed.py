"""proof: contacts and ingest are killed -9 at random points of an import: a reader sees the old list or the new one only.

Every file is the whole list of its generation: it says so in a field of each row, and has a number of rows of its own. So
one count tells which list is there, and the count of one generation whether it is there whole. What was accepted is
applied in the end, in the order in which it was accepted, with the counts that it would have had without the kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from e2e_rig import Rig
from soak_traffic import Traffic
from test_soak import platform

ROWS = int(os.environ.get("PROOF_IMPORT_ROWS", "100000"))
KILLS = int(os.environ.get("PROOF_IMPORT_KILLS", "5"))
SEED = int(os.environ.get("PROOF_SEED", str(Random().randrange(1 << 32))))
NEW, GONE = 10, 20
"""Rows that a generation has and the one before it has not, and the other way round."""
PAGE = 200
ENDED = ("applied", "failed", "rejected", "quarantined", "cancelled")
WITHIN = 120.0 + ROWS / 500
"""Seconds for one import, with the start of what was killed."""
ALL: dict[str, Any] = {"all": []}


def size(generation: int) -> int:
    return ROWS - generation * (GONE - NEW)


def write(generation: int, directory: Path) -> Path:
    file = directory / f"generation-{generation}.csv"
    first = generation * GONE
    with file.open("w", encoding="ascii") as out:
        out.write("email,surname,generation\n")
        for number in range(first, first + size(generation)):
            out.write(f"reader{number}@example.test,Reader {number},{generation}\n")
    return file


@dataclass
class Reader:
    """Counts and reads the list all the time, by HTTP. A house that does not answer says nothing."""

    client: httpx.AsyncClient
    list_id: str
    newest: int = 0
    """The last generation that was sent."""
    at: int = 0
    """The generation that was seen last: no earlier one comes back."""
    seen: dict[int, int] = field(default_factory=dict)
    """How often each was."""

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(0.05)

    async def look(self) -> None:
        if (count := await self._count(ALL)) is not None:
            found = [g for g in range(self.at, self.newest + 1) if size(g) == count]
            assert found, f"{count} contacts: neither the list of generation {self.at} nor a later one"
            self._was(found[0])
        for generation in range(self.at, self.newest + 1):
            count = await self._count({"field": "custom.generation", "op": "eq", "value": generation})
            assert count in (None, 0, size(generation)), f"{count} of {size(generation)} of {generation}"
            if count:
                self._was(generation)
        page = await self._ask("GET", f"/v1/lists/{self.list_id}/contacts", params={"limit": PAGE})
        generations = {int(one["custom"]["generation"]) for one in (page or {}).get("items", ())}
        assert len(generations) <= 1, f"one page shows the generations {sorted(generations)}"
        for generation in generations:
            self._was(generation)

    def _was(self, generation: int) -> None:
        assert self.at <= generation <= self.newest, f"generation {generation} after {self.at}"
        self.at = generation
        self.seen[generation] = self.seen.get(generation, 0) + 1

    async def _count(self, rule: Mapping[str, Any]) -> int | None:
        found = await self._ask("POST", f"/v1/lists/{self.list_id}/segments:count", json={"rule": rule})
        return None if found is None else int(found["count"])

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        with suppress(httpx.TransportError):
            answer = await self.client.request(method, path, **more)
            if answer.status_code not in (429, 502, 503, 504):
                assert answer.status_code == 200, answer.text
                return answer.json()
        return None


@dataclass
class Imports:
    """One client that sends the next generation, and waits until it is the list."""

    rig: Rig
    reader: Reader
    clerk: Traffic

    async def send(self) -> tuple[int, str]:
        """The next generation, accepted. The reader knows of it before ingest does."""
        generation = self.reader.newest + 1
        return generation, await self._post(generation)

    async def first(self) -> None:
        await self.applied(0, await self._post(0))

    async def _post(self, generation: int) -> str:
        file = await asyncio.to_thread(write, generation, self.rig.directory)
        self.reader.newest = generation
        made = await self.clerk.insist(
            "POST",
            "/v1/imports",
            files={"file": (file.name, await asyncio.to_thread(file.read_bytes), "text/csv")},
            data={"options": json.dumps({"list": self.reader.list_id, "mode": "full"})},
        )
        await asyncio.to_thread(file.unlink)
        return str(made["id"])

    async def applied(self, generation: int, import_id: str) -> None:
        found = await self.rig.client.wait(f"/v1/imports/{import_id}", ENDED, seconds=WITHIN)
        assert found["state"] == "applied", found
        rest = dict.fromkeys(("unchanged", "protected", "rejected", "duplicate"), 0)
        created, removed = (NEW, GONE) if generation else (ROWS, 0)
        changes = {"created": created, "updated": size(generation) - created, "removed": removed}
        assert found["counts"] == {"rows": size(generation), **changes, **rest}


async def _killed(rig: Rig, house: str, after: float) -> None:
    await asyncio.sleep(after)
    await rig.kill(house)


@pytest.mark.timeout(600 + KILLS * WITHIN)
async def test_import_killed_anywhere(tmp_path: Path) -> None:
    print(f"PROOF_SEED={SEED} PROOF_IMPORT_ROWS={ROWS} PROOF_IMPORT_KILLS={KILLS}")
    chance = Random(SEED)
    async with platform(tmp_path) as rig:
        list_id = await rig.client.open_list(f"killed {SEED}")
        fields = {"fields": [{"name": "generation", "type": "number"}]}
        await rig.client.send("PUT", f"/v1/lists/{list_id}/fields", fields)
        headers = {"Authorization": f"Bearer {rig.stage.dev['account_key']}"}
        async with httpx.AsyncClient(
            base_url=rig.stage.dev["base_url"], headers=headers, timeout=30, trust_env=False
        ) as http:
            reader = Reader(http, list_id)
            imports = Imports(rig, reader, Traffic(rig, chance))
            began = time.monotonic()
            await imports.first()
            took = time.monotonic() - began
            reading = asyncio.create_task(reader.run())
            work = asyncio.create_task(_kills(imports, chance, took))
            try:
                await asyncio.wait((reading, work), return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
                await work
            finally:
                for task in (reading, work):
                    task.cancel()
                await asyncio.gather(reading, work, return_exceptions=True)
            await rig.ready()
            await reader.look()
            assert reader.at == reader.newest == KILLS + 1
            print(f"\nan import took {took:.1f} s; the reader saw {reader.seen}")


async def _kills(imports: Imports, chance: Random, took: float) -> None:
    """At each point one house dies while a file is on its way; at the last one, while two are."""
    for point in range(KILLS):
        house, after = chance.choice(("contacts", "ingest")), chance.uniform(0, took)
        killing = asyncio.create_task(_killed(imports.rig, house, after))
        sent = [await imports.send() for _ in range(2 if point == KILLS - 1 else 1)]
        await killing
        for generation, import_id in sent:
            await imports.applied(generation, import_id)
        print(f"{house} killed after {after:.2f} s")
        await imports.rig.ready()
