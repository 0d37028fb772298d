"""dispatch.sms: the submits of one connection that have no answer yet: at most so many, each with a deadline (SMS-2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mailmaker.dispatch.sms.ends import End, Unanswered

_LAST_SEQUENCE = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class _Submitted:
    number: int
    deadline: float
    ending: asyncio.Future[End]


class Window:
    """Numbers our requests and keeps the futures of the submits among them. Each future ends exactly once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, _Submitted] = {}
        self._number = 0
        self._held_up = False
        self._closed = False
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        return not self._closed and not self._held_up and len(self._pending) < self._size

    @property
    def numbers(self) -> tuple[int, int] | None:
        """Of the oldest submit without answer, and of the last request that was written; None without any such submit."""
        if not self._pending:
            return None
        return next(iter(self._pending.values())).number, self._number

    async def room(self) -> None:
        """Until there is room, or there will never be."""
        while not self.has_room and not self._closed:
            await self._room.wait()

    def next(self) -> int:
        """The sequence number of our next request (SMPP 3.4 section 3.2: 1 to 0x7FFFFFFF)."""
        self._number += 1
        return (self._number - 1) % _LAST_SEQUENCE + 1

    def take(self, sequence: int, deadline: float) -> asyncio.Future[End]:
        """A submit is being written: under the number that `next` gave last."""
        ending: asyncio.Future[End] = self._loop.create_future()
        self._pending[sequence] = _Submitted(self._number, deadline, ending)
        self._settle()
        return ending

    def finish(self, sequence: int, end: End) -> bool:
        """False when no submit of that number waits for an answer."""
        one = self._pending.pop(sequence, None)
        if one is None:
            return False
        if not one.ending.done():
            one.ending.set_result(end)
        self._settle()
        return True

    def expire(self, now: float) -> None:
        """Gives up those whose deadline is over: what was written is uncertain."""
        while self._pending:
            sequence, one = next(iter(self._pending.items()))
            if now < one.deadline:
                return
            self.finish(sequence, Unanswered(True, "no answer in time"))

    def hold_up(self, held: bool) -> None:
        """The connection takes no more octets for now, or takes them again."""
        self._held_up = held
        self._settle()

    def close(self) -> None:
        """No submit any more. Those without answer still wait for it."""
        self._closed = True
        self._settle()

    def give_up(self, why: str) -> None:
        """The connection has ended: no answer will come."""
        self.close()
        for sequence in list(self._pending):
            self.finish(sequence, Unanswered(True, why))

    async def answered(self, patience: float) -> None:
        """Waits, no longer than that, until none is without answer."""
        if self._pending:
            await asyncio.wait([one.ending for one in self._pending.values()], timeout=patience)

    def _settle(self) -> None:
        if self.has_room or self._closed:
            self._room.set()
        else:
            self._room.clear()
