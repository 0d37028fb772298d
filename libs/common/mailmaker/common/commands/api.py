"""common.commands.api: how a command speaks to a running platform: where it is, with which key, and patiently."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

BASE_URL, API_KEY = "MAILMAKER_BASE_URL", "MAILMAKER_API_KEY"
_POLL = 0.25
_PATIENCE = 60.0


class Refused(Exception):
    """The platform said no, or does not answer: in words for who ran the command."""


@dataclass(frozen=True, slots=True)
class Where:
    """A platform and an account's key on it."""

    base_url: str
    key: str

    @classmethod
    def found(cls, base_url: str | None, key: str | None, state: Path) -> Where:
        """By the options, else the environment, else the machine that runs in `state`. Raises Refused."""
        dev: dict[str, Any] = {}
        told = state / "dev.json"
        if told.exists():
            dev = json.loads(told.read_text())
        url = base_url or os.environ.get(BASE_URL) or dev.get("base_url")
        secret = key or os.environ.get(API_KEY) or dev.get("account_key")
        if not url or not secret:
            raise Refused(f"say --base-url and --key, or {BASE_URL} and {API_KEY}, or start `mailmaker up`")
        return cls(str(url).rstrip("/"), str(secret))


class Api:
    """Calls to the public API."""

    def __init__(self, where: Where) -> None:
        headers = {"Authorization": f"Bearer {where.key}"}
        limits = httpx.Timeout(60.0, write=300.0)
        self._http = httpx.Client(base_url=where.base_url, headers=headers, timeout=limits, trust_env=False)

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer. A house that is being started again is waited for. Raises Refused."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                answer = self._http.get(path, params=dict(query or {}))
            except httpx.TransportError as wrong:
                if time.monotonic() > deadline:
                    raise Refused("the platform does not answer") from wrong
            else:
                if answer.status_code not in (502, 503) or time.monotonic() > deadline:
                    return _body(answer)
            time.sleep(_POLL)

    def post(self, path: str, **more: Any) -> dict[str, Any]:
        """The answer of one attempt. Raises Refused."""
        try:
            return _body(self._http.post(path, **more))
        except httpx.TransportError as wrong:
            raise Refused("the platform does not answer, or the upload was cut off") from wrong

    def wait(
        self, path: str, ended: Callable[[dict[str, Any]], bool], tell: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Asks for a thing until it has ended; `tell` hears each answer."""
        while True:
            found = self.get(path)
            tell(found)
            if ended(found):
                return found
            time.sleep(_POLL)


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: Any = answer.json() if answer.content else {}
    except ValueError:
        found = {}
    if answer.status_code < 400:
        return dict(found)
    words = [str(found.get("detail") or f"status {answer.status_code}")] if isinstance(found, dict) else []
    for fault in found.get("errors", []) if isinstance(found, dict) else []:
        words.append(f"{fault['pointer']}: {fault['detail']} ({fault['code']})")
    raise Refused("\n  ".join(words) or f"status {answer.status_code}")
