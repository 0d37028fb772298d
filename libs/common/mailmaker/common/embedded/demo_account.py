"""common.embedded.demo_account: the demo account, its verified domain and its sender, made over the public API."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from mailmaker.common.embedded.errors import StartFailed
from mailmaker.common.embedded.plan import DEMO_ZONE, Plan
from mailmaker.common.embedded.state import random_key

_NAME = "Demo"
_PASSING = (502, 503, 504, 409, 429)


class DemoAccount:
    """Made once; its id and key are kept with the other secrets."""

    def __init__(self, plan: Plan, http: httpx.AsyncClient) -> None:
        self._state = plan.state
        self._operator_key = plan.operator_key
        self._base_url = plan.base_url
        self._http = http

    @property
    def account_id(self) -> str:
        return self._state.secrets().get("account_id", "")

    @property
    def account_key(self) -> str:
        return self._state.secrets().get("account_key", "")

    async def open(self) -> None:
        if not self.account_key:
            await self._make_account()
        if "demo_sender" not in self._state.secrets():
            await self._make_sender()

    async def _make_account(self) -> None:
        # The answer that holds the key is given once. If we die before keeping it, the repeat of this request says
        # which account it was and not its key: then another account is made under another request key.
        while True:
            request_key = self._state.secret("account_request", random_key)
            made = await self._post("/v1/accounts", {"name": _NAME}, self._operator_key, request_key)
            if made["key"]:
                self._state.keep(account_id=made["id"], account_key=made["key"])
                return
            self._state.keep(account_request=random_key())

    async def _make_sender(self) -> None:
        """Each step is looked up before it is made: any of them may have been the last of an earlier start."""
        domain = await self._one("/v1/domains", {"name": DEMO_ZONE}, "name")
        verified = await self._post(f"/v1/domains/{domain['id']}:verify", {}, self.account_key)
        if verified.get("state") != "verified":
            raise StartFailed(f"the demo domain {DEMO_ZONE} was not verified: {verified}")
        wish = {"name": "Mail-Maker Demo", "email": f"news@{DEMO_ZONE}"}
        sender = await self._one("/v1/senders", wish, "email")
        self._state.keep(demo_sender=sender["id"])

    async def _one(self, path: str, wish: dict[str, Any], name: str) -> dict[str, Any]:
        found = await self._ask("GET", path, None, self.account_key)
        for item in found["items"]:
            if item.get(name) == wish[name]:
                return dict(item)
        return await self._post(path, wish, self.account_key)

    async def _post(
        self, path: str, body: dict[str, Any], key: str, request_key: str | None = None
    ) -> dict[str, Any]:
        return await self._ask("POST", path, body, key, request_key or random_key())

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, key: str, request_key: str | None = None
    ) -> dict[str, Any]:
        """Asks until the answer is not a passing one: the houses learn of each other in their first second."""
        headers = {"Authorization": f"Bearer {key}"} | (
            {"Idempotency-Key": request_key} if request_key else {}
        )
        deadline = time.monotonic() + 30
        while True:
            answer = await self._http.request(method, self._base_url + path, json=body, headers=headers)
            if answer.status_code < 300:
                return dict(answer.json())
            if answer.status_code not in _PASSING or time.monotonic() > deadline:
                raise StartFailed(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
            await asyncio.sleep(0.1)
