"""common.bus.backoff: how long to wait before trying again: doubling, capped, with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from `first` to `cap` seconds, each between half and the whole of its step."""

    def __init__(self, first: float, cap: float) -> None:
        self._first = first
        self._cap = cap
        self._step = first

    def reset(self) -> None:
        """After a success."""
        self._step = self._first

    def next(self) -> float:
        """The next wait. Jittered, so that members who fell together do not come back together."""
        wait = self._step * random.uniform(0.5, 1.0)
        self._step = min(self._step * 2, self._cap)
        return wait
