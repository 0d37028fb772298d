"""common.demo.doors: saying "no" as people and systems do: link, one-click, unsubscribe mail, API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from random import Random
from typing import Any

import aiosmtplib
import httpx
from mailmaker.common.demo.client import Client
from mailmaker.common.testing.checker import Told

DOORS = ("link", "one_click", "mail", "api")
PATIENCE = 30.0


@dataclass(frozen=True)
class Person:
    """Who will say "no": the address, and the two links of a mail received earlier."""

    address: str
    url: str
    mailto: str


class Doors:
    """The four doors of one platform, for one list."""

    def __init__(self, client: Client, dev: Mapping[str, Any], list_id: str) -> None:
        self._client = client
        self._dev = dev
        self._list_id = list_id
        self._public = httpx.AsyncClient(timeout=PATIENCE, trust_env=False)

    async def close(self) -> None:
        await self._public.aclose()

    async def say(self, person: Person, door: str) -> Told:
        """Says it once, again while the door cannot take it (5xx, 4xx by mail), and returns what the caller was told."""
        said = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while loop.time() < deadline:
            try:
                answer = await self._knock(person, door)
            except (httpx.TransportError, aiosmtplib.SMTPException, OSError):
                answer = None
            if answer is not None:
                known = {key: answer[key] for key in ("suppression_id", "recorded_at") if key in answer}
                return Told(person.address, door, said, datetime.now(UTC), **known)
            await asyncio.sleep(0.2)
        return Told(person.address, door, said, None)

    async def _knock(self, person: Person, door: str) -> dict[str, Any] | None:
        if door == "mail":
            await self._mail(person)
            return {}
        if door == "api":
            body = {
                "channel": "email", "email": person.address, "scope": "list", "list": self._list_id,
                "reason": "unsubscribe",
            }  # fmt: skip
            return await self._post(
                f"{self._dev['base_url']}/v1/suppressions",
                json=body,
                headers={"Authorization": f"Bearer {self._dev['account_key']}"},
            )
        if door == "one_click":
            return await self._post(person.url, data={"List-Unsubscribe": "One-Click"})
        page = await self._public.get(person.url)
        return await self._post(person.url, data={}) if page.status_code == 200 else None

    async def _post(self, url: str, **more: Any) -> dict[str, Any] | None:
        answer = await self._public.post(url, **more)
        if answer.status_code >= 500 or answer.status_code == 429:
            return None
        answer.raise_for_status()
        if not answer.headers.get("content-type", "").startswith("application/json"):
            return {}
        return {"suppression_id": answer.json()["id"]}

    async def _mail(self, person: Person) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = person.address, person.mailto, "unsubscribe"
        mail["Auto-Submitted"], mail["X-Apple-Unsubscribe"] = "auto-replied", "true"
        mail.set_content("unsubscribe")
        host, _, port = str(self._dev["inbound_smtp"]).rpartition(":")
        await aiosmtplib.send(
            mail,
            sender=person.address,
            recipients=[person.mailto],
            hostname=host,
            port=int(port),
            timeout=PATIENCE,
            start_tls=False,
        )

    async def outcome(self, told: Told) -> Told:
        """What the platform says of a "no" afterwards: recorded, enforced, and what it named in flight."""
        page = await self._client.send("GET", "/v1/suppressions", params={"email": told.address})
        for item in page["items"]:
            if item["scope"] == "list" and item["list"] == self._list_id:
                return replace(
                    told,
                    suppression_id=item["id"],
                    recorded_at=_moment(item["recorded_at"]),
                    enforced_at=_moment(item["enforced_at"]),
                    in_flight=frozenset(str(left["mailing"]) for left in item["in_flight"] or ()),
                )
        return told


async def spread(
    doors: Doors,
    persons: Sequence[Person],
    progress: asyncio.Queue[float],
    *,
    at_once: int = 20,
    seed: int = 7,
) -> list[Told]:
    """Says every "no", door after door in turn. `progress` gives the share of them that is due: a running mailing's."""
    order = list(persons)
    Random(seed).shuffle(order)
    told: list[Told] = []
    gate = asyncio.Semaphore(at_once)

    async def one(number: int, person: Person) -> None:
        async with gate:
            told.append(await doors.say(person, DOORS[number % len(DOORS)]))

    tasks: list[asyncio.Task[None]] = []
    while len(tasks) < len(order):
        due = min(len(order), int(await progress.get() * len(order)))
        for number in range(len(tasks), due):
            tasks.append(asyncio.create_task(one(number, order[number])))
    await asyncio.gather(*tasks)
    return told


def person_of(recipient: str, message: bytes) -> Person:
    """Reads List-Unsubscribe of a received mail: the https URI, then the mailto (RFC 2369)."""
    head = (
        message.partition(b"\r\n\r\n")[0]
        .replace(b"\r\n ", b" ")
        .replace(b"\r\n\t", b" ")
        .decode("ascii", "replace")
    )
    line = next(line for line in head.split("\r\n") if line.lower().startswith("list-unsubscribe:"))
    uris = [part.strip().strip("<>") for part in line.partition(":")[2].split(",")]
    url = next(uri for uri in uris if uri.startswith("http"))
    mailto = next(uri for uri in uris if uri.startswith("mailto:")).removeprefix("mailto:").partition("?")[0]
    return Person(recipient, url, mailto)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


__all__ = ["DOORS", "Doors", "Person", "person_of", "spread"]
