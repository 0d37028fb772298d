"""common.demo.play: the whole walk: a file in, a mailing out, 2,000 "no"s while it runs, a kill -9 in the middle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailmaker.common.demo.client import Client, Refused
from mailmaker.common.demo.doors import Doors, Person, person_of, spread
from mailmaker.common.demo.stage import Stage
from mailmaker.common.testing.checker import Told, Verdict, judge

Show = Callable[[str, int, int], None]
"""Called with a step's name, what is done and what there is to do."""

ENDED = ("finished", "cancelled", "failed")


@dataclass
class Play:
    """What happened. Filled as the play goes on."""

    contacts: int = 0
    import_seconds: float = 0.0
    mailing_seconds: float = 0.0
    kills: int = 0
    told: list[Told] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None


async def perform(stage: Stage, file: Path, show: Show, *, noes: int = 2_000, kills: int = 1) -> Play:
    """Plays it on a raised stage and returns what both ledgers say."""
    play = Play()
    async with Client(stage.dev["base_url"], stage.dev["account_key"]) as client:
        list_id = await client.open_list(f"Newsletter {int(time.time())}")
        began = time.monotonic()
        done = await client.import_file(list_id, file, lambda i: show("import", *_progress(i)))
        if done["state"] != "applied":
            raise Refused(f"the import ended as {done['state']}: {done['error']}")
        play.import_seconds = time.monotonic() - began
        play.contacts = done["counts"]["rows"] - done["counts"]["rejected"]
        template, sender = await client.open_template(), await client.sender()

        earlier = await client.open_mailing("Last week's", [list_id], sender, template)
        persons = await _earlier_mailing(stage, client, earlier, min(noes, play.contacts // 2), show)
        running = await client.open_mailing("This week's", [list_id], sender, template)
        await _running_mailing(stage, client, running, list_id, persons, play, show, kills)
        await _judge(stage, client, {earlier, running}, play)
    return play


def _progress(job: Mapping[str, Any]) -> tuple[int, int]:
    progress = job.get("progress") or {}
    return int(progress.get("done") or 0), int(progress.get("total") or 0)


async def _earlier_mailing(
    stage: Stage, client: Client, mailing: str, wanted: int, show: Show
) -> list[Person]:
    """People say "no" with the links of a mail they have: an earlier mailing, taken back once enough have one."""
    await client.send("POST", f"/v1/mailings/{mailing}:start")
    while (received := stage.ledger.count()) < wanted:
        show("earlier mailing", received, wanted)
        found = await client.send("GET", f"/v1/mailings/{mailing}")
        if found["state"] in ENDED:
            break
        await asyncio.sleep(0.3)
    await client.send("POST", f"/v1/mailings/{mailing}:cancel")
    await client.wait(f"/v1/mailings/{mailing}", ENDED)
    show("earlier mailing", wanted, wanted)
    seen = [one for one in stage.ledger.load() if one.accepted and one.offset is not None]
    return [person_of(one.recipients[0], stage.ledger.message(one)) for one in seen[:wanted]]


async def _running_mailing(
    stage: Stage,
    client: Client,
    mailing: str,
    list_id: str,
    persons: list[Person],
    play: Play,
    show: Show,
    kills: int,
) -> None:
    doors = Doors(client, stage.dev, list_id)
    due: asyncio.Queue[float] = asyncio.Queue()
    before = stage.ledger.count()
    began = time.monotonic()
    await client.send("POST", f"/v1/mailings/{mailing}:start")
    speaking = asyncio.create_task(spread(doors, persons, due))
    try:
        ended = False
        while not ended:
            found = await client.patiently(f"/v1/mailings/{mailing}")
            ended = found.get("state") in ENDED
            seen = stage.ledger.count() - before
            share = 1.0 if ended else min(1.0, seen / max(1, play.contacts) * 1.25)
            due.put_nowait(share)
            if play.kills < kills and share > (play.kills + 1) / (kills + 1):
                play.kills += stage.kill("dispatch") is not None
            show("mailing", seen, play.contacts)
            await asyncio.sleep(0.5)
        play.mailing_seconds = time.monotonic() - began
        play.counts = found["counts"]
        play.told = await speaking
        play.told = [await _settled(doors, told) for told in play.told]
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await doors.close()


async def _settled(doors: Doors, told: Told) -> Told:
    """The platform's last word on a "no"; one said by mail takes a moment from 250 to the ledger."""
    for _ in range(100):
        known = await doors.outcome(told)
        if known.enforced_at is not None or told.answered_at is None:
            return known
        await asyncio.sleep(0.1)
    return known


async def _judge(stage: Stage, client: Client, mailing_ids: set[str], play: Play) -> None:
    numbers, delivered, maybe = {}, [], []
    for mailing in mailing_ids:
        found = await client.send("GET", f"/v1/mailings/{mailing}")
        numbers[int(found["number"])] = mailing
        async for state, address in _messages(client, mailing):
            if state == "delivered":
                delivered.append((mailing, address.casefold()))
            elif state in ("uncertain", "bounced", "sending"):
                maybe.append((mailing, address.casefold()))
    play.verdict = judge(stage.ledger.load(), play.told, numbers, delivered, maybe)


async def _messages(client: Client, mailing: str) -> AsyncIterator[tuple[str, str]]:
    for state in ("delivered", "uncertain", "bounced"):
        cursor: dict[str, str] = {}
        while True:
            page = await client.send(
                "GET", f"/v1/mailings/{mailing}/messages", params={"state": state, "limit": "1000", **cursor}
            )
            for item in page["items"]:
                yield state, str(item["address"])
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
