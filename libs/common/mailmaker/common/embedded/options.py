"""common.embedded.options: what `mailmaker up` may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SCALABLE = ("dispatch",)
"""Houses of which several processes may share this machine. The others own a port or a local journal."""

BESIDE = {"dispatch": 3}
"""Processes of a house unless told otherwise. Of dispatch the first answers HTTP and puts every "no" into force, the others
send: neither waits for the other's work, and each is stood in for while it is killed and started again."""


class BusKind(StrEnum):
    """What carries the events."""

    KAFKA = "kafka"
    MEMORY = "memory"


@dataclass(frozen=True)
class UpOptions:
    """The options of `mailmaker up`."""

    state: Path = Path(".mailmaker")
    port: int | None = None
    bus: BusKind = BusKind.KAFKA
    smarthost: str | None = None
    scale: Mapping[str, int] = field(default_factory=dict)

    def processes(self, house: str) -> int:
        """How many processes of a house there are to be."""
        return self.scale.get(house, BESIDE.get(house, 1) if self.bus is BusKind.KAFKA else 1)

    def __post_init__(self) -> None:
        for house, count in self.scale.items():
            if house not in SCALABLE or not 1 <= count <= 32:
                raise ValueError(f"--scale takes {', '.join(SCALABLE)}=1 to 32, not {house}={count}")
        if self.scale and self.bus is BusKind.MEMORY:
            raise ValueError("--scale needs Kafka: --bus memory is one process")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"--port is a number from 1 to 65535, not {self.port}")
        if self.smarthost is not None:
            host, _, port = self.smarthost.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"--smarthost is HOST:PORT, not {self.smarthost}")


def scale_of(texts: list[str]) -> dict[str, int]:
    """`dispatch=2` as a mapping. Raises ValueError."""
    scale = {}
    for text in texts:
        house, _, count = text.partition("=")
        if not count.isdigit():
            raise ValueError(f"--scale is HOUSE=NUMBER, not {text}")
        scale[house] = int(count)
    return scale
