"""common.embedded.readiness: are all houses ready, and do all of them know the demo account?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from mailmaker.common.embedded.plan import Place, Plan

_TIMEOUT = 3.0


class Readiness:
    """Asks every process of every house."""

    def __init__(self, plan: Plan, http: httpx.AsyncClient) -> None:
        self._plan = plan
        self._http = http
        self.told = False
        """Whether dev.json has been written: who sees the front door ready may read it."""

    async def everything(self) -> Mapping[str, str]:
        """What is missing, by house; empty when nothing is, and that has been told. A house with one process left is
        ready: the front door finds it."""
        if not self.told:
            return {"up": "is starting"}
        missing = await self.missing()
        ready = {place.house for place in self._plan.places if place.name not in missing}
        return {name: what for name, what in missing.items() if name.partition("-")[0] not in ready}

    async def missing(self) -> Mapping[str, str]:
        """What is missing, by process; the demo account counts once it is made."""
        account = self._plan.state.secrets().get("account_id")
        answers = await asyncio.gather(*(self._ask(place, account) for place in self._plan.places))
        return {place.name: what for place, what in zip(self._plan.places, answers, strict=True) if what}

    async def _ask(self, place: Place, account: str | None) -> str:
        try:
            ready = await self._http.get(f"{place.url}/readyz", timeout=_TIMEOUT)
            if ready.status_code != 200:
                return ready.text[:500]
            if account is not None:
                headers = {"Authorization": f"Bearer {self._plan.service_token}"}
                url = f"{place.url}/internal/known/{account}"
                known = await self._http.get(url, headers=headers, timeout=_TIMEOUT)
                if known.status_code != 200:
                    return "does not know the demo account"
        except httpx.HTTPError as wrong:
            return f"does not answer ({type(wrong).__name__})"
        return ""
