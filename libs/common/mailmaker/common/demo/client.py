"""common.demo.client: what a client's integration does, over the public API only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

POLL = 0.25
Tell = Callable[[Mapping[str, Any]], None]

_HTML = """<html><body><p>Gentile {{ name | default: "cliente" }} {{ surname }},</p>
<p>le novità di {{ city | default: "questa settimana" }} sono arrivate.</p>
{PARAGRAPHS}
<p><a href="{{ unsubscribe_url }}">Non voglio più ricevere queste mail</a></p></body></html>"""
_PARAGRAPH = (
    "<p>Ogni settimana scegliamo per voi i prodotti di chi lavora bene, con calma e vicino a casa.</p>\n"
)
_TEXT = """Gentile {{ name | default: "cliente" }} {{ surname }},

le novità di {{ city | default: "questa settimana" }} sono arrivate.

Per non ricevere più queste mail: {{ unsubscribe_url }}
"""


class Refused(RuntimeError):
    """The platform answered with a problem."""


class Client:
    """One account's integration."""

    def __init__(self, base_url: str, key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=50),
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """The answer's JSON. Raises Refused with the problem's words."""
        answer = await self._http.request(method, path, json=body, **more)
        if answer.status_code >= 400:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer as it is, whatever it says."""
        return await self._http.request(method, path, **more)

    async def open_list(self, name: str, key: str = "email") -> str:
        made = await self.send("POST", "/v1/lists", {
            "name": name, "key": key, "default_country": "IT", "timezone": "Europe/Rome",
            "controller": {"name": "Responsabile dei dati", "email": "privacy@demo.test"},
        })  # fmt: skip
        return str(made["id"])

    async def import_file(
        self, list_id: str, file: Path, tell: Tell | None = None, **options: Any
    ) -> dict[str, Any]:
        """Uploads a file and returns the import once it is applied."""
        with file.open("rb") as data:
            made = await self.send(
                "POST",
                "/v1/imports",
                files={"file": (file.name, data, "text/csv")},
                data={"options": json.dumps({"list": list_id, "mode": "incremental", **options})},
            )
        return await self.wait(
            f"/v1/imports/{made['id']}",
            ("applied", "failed", "rejected", "quarantined", "cancelled"),
            tell,
            1200,
        )

    async def open_mailing(self, name: str, list_ids: list[str], sender: str, template: str) -> str:
        made = await self.send("POST", "/v1/mailings", {
            "name": name, "channel": "email", "template": template, "sender": sender, "lists": list_ids,
            "class": "marketing",
        })  # fmt: skip
        return str(made["id"])

    async def open_template(self, size: int = 2_000) -> str:
        """A letter of about `size` bytes of HTML."""
        html = _HTML.replace("{PARAGRAPHS}", _PARAGRAPH * max(1, size // len(_PARAGRAPH)))
        made = await self.send("POST", "/v1/templates", {
            "channel": "email", "subject": "Le novità di {{ name }}", "html": html, "text": _TEXT,
        })  # fmt: skip
        return str(made["id"])

    async def sender(self) -> str:
        """The account's first sender."""
        return str((await self.send("GET", "/v1/senders"))["items"][0]["id"])

    async def wait(
        self, path: str, states: tuple[str, ...], tell: Tell | None = None, seconds: float = 600
    ) -> dict[str, Any]:
        """Polls a resource until its state is one of `states`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            found = await self.patiently(path)
            if tell is not None and found:
                tell(found)
            if found.get("state") in states:
                return found
            await asyncio.sleep(POLL)
        raise Refused(f"{path} reached none of {states} within {seconds:.0f} s")

    async def patiently(self, path: str) -> dict[str, Any]:
        """A house that is being started again answers 502 or 503 for a moment: that is no answer yet."""
        try:
            answer = await self._http.get(path)
        except httpx.TransportError:
            return {}
        if answer.status_code in (502, 503):
            return {}
        if answer.status_code >= 400:
            raise Refused(f"GET {path}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found
