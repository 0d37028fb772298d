"""ingest.readers.keys: finds keys that come twice in a file, in 8 bytes a row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_PARTS = 64


class Keys:
    """Collects the hashes of all keys; equal hashes are candidates that a second look at the keys decides.

    Python's hash of texts is keyed anew in each process, so nobody can make a file that collides.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]
        self._append = [part.append for part in self._parts]

    def add(self, keys: Iterable[bytes]) -> None:
        """Takes the keys of a batch, as they are compared."""
        append = self._append
        for number in map(hash, keys):
            append[number & 63](number)

    def repeated(self) -> dict[int, int]:
        """The hashes that came more than once, each with no place yet (-1). One part at a time is held as a set."""
        found: dict[int, int] = {}
        for part in self._parts:
            if len(set(part)) == len(part):
                continue
            seen: set[int] = set()
            for number in part:
                if number in seen:
                    found[number] = -1
                seen.add(number)
        return found
