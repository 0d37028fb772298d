"""common.bus.kafka_window: which position of a partition may be committed while its keys are handled side by side."""

from __future__ import annotations

from collections import deque


class Window:
    """The offsets of one partition that were taken and are not all settled."""

    def __init__(self) -> None:
        self._taken: deque[int] = deque()
        self._settled: set[int] = set()
        self._position: int | None = None
        self._committed: int | None = None

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, offset: int) -> None:
        self._taken.append(offset)

    def settle(self, offset: int) -> None:
        self._settled.add(offset)
        while self._taken and self._taken[0] in self._settled:
            lowest = self._taken.popleft()
            self._settled.discard(lowest)
            self._position = lowest + 1

    @property
    def due(self) -> int | None:
        """The position to commit: everything below it is settled. None when that is committed already."""
        return self._position if self._position != self._committed else None

    def committed(self, position: int) -> None:
        self._committed = position
