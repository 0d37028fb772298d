"""common.testing.ledger: what the ledger sink saw, a JSON line per transaction, read back for the checker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LEDGER = "ledger.jsonl"
BYTES = "bytes.bin"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """One transaction. `begun` is the DATA command and `ended` the final dot, in nanoseconds.

    `ended` is None when the connection broke between them: nothing was accepted, but the send had begun.
    """

    number: int
    connection: int
    begun_monotonic: int
    begun_utc: int
    ended_monotonic: int | None
    ended_utc: int | None
    mail_from: str
    recipients: tuple[str, ...]
    message_id: str
    token: str
    sha256: str
    size: int
    offset: int | None
    """Where the message starts in the bytes file; None when its bytes were not kept."""
    peer: str = ""
    """The IP address it came from."""

    @property
    def accepted(self) -> bool:
        return self.ended_utc is not None

    @property
    def begun_at(self) -> datetime:
        return moment(self.begun_utc)

    def line(self) -> bytes:
        return json.dumps([getattr(self, name) for name in _NAMES], separators=(",", ":")).encode() + b"\n"


_NAMES = (
    "number",
    "connection",
    "begun_monotonic",
    "begun_utc",
    "ended_monotonic",
    "ended_utc",
    "mail_from",
    "recipients",
    "message_id",
    "token",
    "sha256",
    "size",
    "offset",
    "peer",
)


def moment(nanoseconds: int) -> datetime:
    """A ledger's clock reading as a time, to the microsecond (rounded down)."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


class Ledger:
    """Reads a sink's directory. A torn last line (the sink was killed) was never answered: it is left out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.load())

    def load(self) -> list[Seen]:
        return self.since(0)[0]

    def since(self, position: int) -> tuple[list[Seen], int]:
        """What was written after a position (0 is the beginning), and the position to ask from next."""
        found: list[Seen] = []
        path = self.directory / LEDGER
        if not path.exists():
            return found, position
        with path.open("rb") as lines:
            lines.seek(position)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                values = dict(zip(_NAMES, json.loads(line), strict=False))
                found.append(Seen(**(values | {"recipients": tuple(values["recipients"])})))
                position += len(line)
        return found, position

    def count(self) -> int:
        """Whole lines so far, without reading them."""
        path = self.directory / LEDGER
        if not path.exists():
            return 0
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def message(self, seen: Seen) -> bytes:
        """The exact bytes received, dot-stuffing undone. Raises KeyError when they were not kept."""
        if seen.offset is None:
            raise KeyError(seen.number)
        with (self.directory / BYTES).open("rb") as file:
            file.seek(seen.offset)
            return file.read(seen.size)
