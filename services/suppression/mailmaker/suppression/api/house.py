"""suppression.api.house: what the doors of this house use (`request.app.state.house`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from mailmaker.common.storage.engine import Database
from mailmaker.suppression.actions.ask_contacts import AskContacts
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.figures import Figures
from mailmaker.suppression.actions.hear_nos import HearNos
from mailmaker.suppression.actions.hear_token import HearToken
from mailmaker.suppression.actions.record_wishes import RecordWishes
from mailmaker.suppression.api.pages import Pages


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything constructed by main that a door may need."""

    db: Database
    bell: Bell
    figures: Figures
    contacts: AskContacts
    wishes: RecordWishes
    nos: HearNos
    token: HearToken
    pages: Pages
    pepper: bytes
    pepper_check: str
    page_wait: float


def _rooms(request: Request) -> Rooms:
    return cast("Rooms", request.app.state.house)


House = Annotated[Rooms, Depends(_rooms)]
