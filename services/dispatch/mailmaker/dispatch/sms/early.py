"""dispatch.sms: receipts that may be about a submit still without answer (SMS-4): held until it is known.

A receipt can overtake the submit_sm_resp that tells its message id. Which of the submits on their way it belongs to
cannot be seen, but it belongs to none that is written later: once all that were on their way when it came have ended,
it is about a message of another session.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Early(Generic[T]):
    """At most `most` receipts, each for `patience` seconds at the longest; what it cannot keep it gives back."""

    def __init__(self, most: int, patience: float) -> None:
        self._most = most
        self._patience = patience
        self._number = 0
        self._held: OrderedDict[int, tuple[str, int, float, T]] = OrderedDict()
        self._by_key: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: str, last: int, now: float, item: T) -> list[T]:
        """Keeps it for the submits up to number `last`. Returns the oldest, if there are too many now."""
        self._number += 1
        self._held[self._number] = key, last, now + self._patience, item
        self._by_key.setdefault(key, []).append(self._number)
        return [self._let_go(next(iter(self._held)))] if len(self._held) > self._most else []

    def accepted(self, key: str) -> list[T]:
        """Those about the message that was just accepted, in the order they came."""
        return [self._let_go(number) for number in self._by_key.get(key, [])[:]]

    def passed(self, oldest: int | None, now: float) -> list[T]:
        """Those that wait for nothing any more. `oldest`: the first submit still without answer, None without any."""
        done: list[T] = []
        while self._held:
            number, (_, last, until, _) = next(iter(self._held.items()))
            if oldest is not None and oldest <= last and now < until:
                break
            done.append(self._let_go(number))
        return done

    def _let_go(self, number: int) -> T:
        key, _, _, item = self._held.pop(number)
        numbers = self._by_key[key]
        numbers.remove(number)
        if not numbers:
            del self._by_key[key]
        return item
