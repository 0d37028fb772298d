"""ingest.drop.sessions: who is in the inboxes now: at most so many, and not longer than he may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from mailmaker.ingest.domain.drops import Drop


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sessions at once: of the door, of one address, of one drop. `idle`: seconds without a word; `login`: to log in."""

    sessions: int = 100
    per_address: int = 20
    per_drop: int = 10
    idle: float = 300.0
    login: float = 30.0


class Session:
    """One connection. `drop` is known once its client has shown that he may come in."""

    def __init__(self, peer: str, now: float, end: Callable[[], None]) -> None:
        self.peer = peer
        self.heard = now
        self.drop: Drop | None = None
        self.end = end


class Sessions:
    """The sessions of one door; used from its own thread only."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._all: set[Session] = set()

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, session: Session) -> bool:
        """A new connection, if there is room for it."""
        addresses = Counter(one.peer for one in self._all)
        if len(self._all) >= self._bounds.sessions or addresses[session.peer] >= self._bounds.per_address:
            return False
        self._all.add(session)
        return True

    def has_room(self, drop: Drop) -> bool:
        """Whether another session of a drop may begin."""
        mine = sum(one.drop is not None and one.drop.id == drop.id for one in self._all)
        return mine < self._bounds.per_drop

    def leave(self, session: Session) -> None:
        """It has ended."""
        self._all.discard(session)

    def drops(self) -> list[Drop]:
        """What the sessions opened, as it was then."""
        return [one.drop for one in self._all if one.drop is not None]

    def end_those(self, expelled: set[UUID], now: float) -> None:
        """Ends the sessions of these drops, and those that have said nothing for too long."""
        for one in list(self._all):
            gone = one.drop is not None and one.drop.id in expelled
            if gone or now - one.heard >= self._bounds.idle:
                one.end()

    def end_all(self) -> None:
        """The door closes."""
        for one in list(self._all):
            one.end()
