"""dispatch.api: what the doors of this house use; made by main, found on the application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.keyset import LIMIT
from mailmaker.common.web.auth import may
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.dispatch.actions.find_sites import Resolver as MxResolver
from mailmaker.dispatch.actions.verify_domain import Resolver
from mailmaker.dispatch.domain.shaping import Shaping
from mailmaker.dispatch.storage.seal import Seal


@dataclass(frozen=True, slots=True)
class Desk:
    """The constructed things that doors hand to actions."""

    db: Database
    contacts: InternalClient
    resolver: Resolver
    seal: Seal
    clock: Clock
    mail_domain: str
    mx: MxResolver
    shaping: Shaping

    def now(self) -> datetime:
        return self.clock.now()


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.house
    return desk


Here = Annotated[Desk, Depends(_desk)]
Limit = Annotated[int, Query(ge=1, le=LIMIT)]
Cursor = Annotated[str | None, Query(max_length=400)]
MayReadDomains = Annotated[Call, may("domains:read")]
MayWriteDomains = Annotated[Call, may("domains:write")]
MayReadTemplates = Annotated[Call, may("templates:read")]
MayWriteTemplates = Annotated[Call, may("templates:write")]
MayReadMailings = Annotated[Call, may("mailings:read")]
MayWriteMailings = Annotated[Call, may("mailings:write")]
