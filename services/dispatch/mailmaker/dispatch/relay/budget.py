"""dispatch.relay: what is left of the budget that a path of a warming source has drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """A block of messages that a source which warms up may send until a boot time, and what became of the last ones."""

    messages: int = 0
    until: float = 0.0
    sent: int = 0
    deferred: int = 0

    def left(self, now: float) -> int:
        """How many more may go now."""
        return self.messages if now < self.until else 0

    def take(self) -> None:
        """One goes."""
        self.messages -= 1
        self.sent += 1

    def give_back(self, until: float) -> None:
        """One that was taken from the block that ends then was not sent. Of a block that has ended nothing comes back."""
        self.sent -= 1
        self.messages += until == self.until
