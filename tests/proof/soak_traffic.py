"""proof: what clients do all day, for as long as a soak lasts: files, the same files again, edits, mailings, "no"s.

A client that is not answered asks again with the same Idempotency-Key, as ours are told to; what it was told in the end
is what the soak holds the platform to.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from e2e_rig import ENDED, Rig, sample
from mailmaker.common.demo.doors import DOORS, Doors, Person, person_of
from mailmaker.common.testing.checker import Told, unbalanced

PEOPLE = 2_000
"""Of one list. Each round has a list of its own, so that the "no"s of an hour do not silence it."""
NOES = 60
EDITS = 40
PATIENCE = 120.0
ROUND_WITHIN = 300.0
_AGAIN = frozenset({409, 429, 502, 503, 504})


@dataclass
class Traffic:
    """One client's work, and what it was told of it."""

    rig: Rig
    chance: Random
    told: list[tuple[str, Told]] = field(default_factory=list)
    """Every "no", with its list."""
    cities: dict[tuple[str, str], str] = field(default_factory=dict)
    """The last acknowledged city of (list, address)."""
    mailings: list[str] = field(default_factory=list)
    rounds: int = 0
    stopped: int = 0
    """Messages that a "no" took out of a running mailing."""

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until told to stop; the round that has begun is finished."""
        sender, template = await self.rig.client.sender(), await self.rig.client.open_template()
        while not stop.is_set():
            async with asyncio.timeout(ROUND_WITHIN):
                await self._round(sender, template)
            self.rounds += 1

    async def _round(self, sender: str, template: str) -> None:
        file = sample(PEOPLE, self.chance.randrange(1 << 30), self.rig.directory)
        list_id = str((await self.insist("POST", "/v1/lists", {
            "name": f"soak {self.rounds}", "key": "email", "default_country": "IT", "timezone": "Europe/Rome",
            "controller": {"name": "Responsabile dei dati", "email": "privacy@demo.test"},
        }))["id"])  # fmt: skip
        first = await self._import(list_id, file)
        assert first["counts"]["created"] == PEOPLE, first
        earlier = await self._start(list_id, sender, template)
        await self._finished(earlier)
        readers = self._readers(earlier)
        both = [await self._start(list_id, sender, template) for _ in range(2)]
        said = asyncio.create_task(self._noes(list_id, readers))
        try:
            again = await self._import(list_id, file)
            await self._edits(list_id, file)
            await said
        finally:
            said.cancel()
            await asyncio.gather(said, return_exceptions=True)
        counts = again["counts"]
        assert counts["rows"] == PEOPLE, counts
        assert counts["unchanged"] + counts["protected"] == PEOPLE, counts
        for mailing in both:
            await self._finished(mailing)
        await asyncio.to_thread(file.unlink)

    # -- files and edits

    async def _import(self, list_id: str, file: Path) -> dict[str, Any]:
        data = await asyncio.to_thread(file.read_bytes)
        options = json.dumps({"list": list_id, "mode": "incremental"})
        made = await self.insist(
            "POST", "/v1/imports", files={"file": (file.name, data, "text/csv")}, data={"options": options}
        )
        found = await self.rig.client.wait(
            f"/v1/imports/{made['id']}", ("applied", "failed", "rejected", "quarantined"), seconds=PATIENCE
        )
        assert found["state"] == "applied", found
        return found

    async def _edits(self, list_id: str, file: Path) -> None:
        """Changes one field of some contacts, and of some of them again."""
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        addresses = [line.split('","')[1] for line in text.splitlines()[1:]]
        for number in range(EDITS):
            address, city = self.chance.choice(addresses[: EDITS // 2]), f"Borgo {self.rounds}.{number}"
            body = {"email": address, "city": city}
            answer = await self.insist("PUT", f"/v1/lists/{list_id}/contacts", body)
            assert answer["contact"]["city"] == city
            self.cities[list_id, address] = city

    async def forgotten_edits(self) -> list[str]:
        """Acknowledged edits that are not there."""
        wrong = []
        for (list_id, address), city in self.cities.items():
            page = await self.insist("GET", f"/v1/lists/{list_id}/contacts", params={"email": address})
            if [item["city"] for item in page["items"]] != [city]:
                wrong.append(f"{list_id}: {city}")
        return wrong

    # -- mailings

    async def _start(self, list_id: str, sender: str, template: str) -> str:
        made = await self.insist("POST", "/v1/mailings", {
            "name": f"soak {self.rounds} {len(self.mailings)}", "channel": "email", "template": template,
            "sender": sender, "lists": [list_id], "class": "marketing",
        })  # fmt: skip
        mailing = str(made["id"])
        self.rig.numbers[int(made["number"])] = mailing
        self.mailings.append(mailing)
        await self.insist("POST", f"/v1/mailings/{mailing}:start")
        return mailing

    async def _finished(self, mailing: str) -> None:
        found = await self.rig.client.wait(f"/v1/mailings/{mailing}", ENDED, seconds=PATIENCE)
        assert found["state"] == "finished", found
        assert unbalanced(found["counts"]) == 0, found
        self.stopped += found["counts"]["suppressed"]

    # -- people

    def _readers(self, mailing: str) -> list[Person]:
        """People who have a mail of this mailing, with its links."""
        ledger = self.rig.stage.ledger
        kept = [one for one in self.rig.seen(mailing) if one.accepted and one.offset is not None]
        chosen = self.chance.sample(kept, min(NOES, len(kept)))
        return [person_of(one.recipients[0], ledger.message(one)) for one in chosen]

    async def _noes(self, list_id: str, readers: list[Person]) -> None:
        doors = Doors(self.rig.client, self.rig.stage.dev, list_id)
        try:
            for number, reader in enumerate(readers):
                self.told.append((list_id, await doors.say(reader, DOORS[number % len(DOORS)])))
                await asyncio.sleep(self.chance.expovariate(10))
        finally:
            await doors.close()

    async def enforced(self) -> list[Told]:
        """What the platform says in the end of every acknowledged "no"."""
        found = []
        doors: dict[str, Doors] = {}
        for list_id, told in self.told:
            doors.setdefault(list_id, self.rig.doors(list_id))
            found.append(await self.rig.enforced(doors[list_id], told))
        for one in doors.values():
            await one.close()
        return found

    # -- manners of a client

    async def insist(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """Until there is an answer: a house that was killed a moment ago says 502 or 503, or breaks off."""
        if method == "POST":
            more["headers"] = {"Idempotency-Key": str(uuid.uuid4())}
        deadline = time.monotonic() + PATIENCE
        words = ""
        while time.monotonic() < deadline:
            try:
                answer = await self.rig.client.raw(method, path, json=body, **more)
            except httpx.TransportError as wrong:
                words = type(wrong).__name__
            else:
                if answer.status_code < 400:
                    return dict(answer.json()) if answer.content else {}
                words = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code not in _AGAIN:
                    break
            await asyncio.sleep(0.2)
        raise AssertionError(f"{method} {path}: {words}")
