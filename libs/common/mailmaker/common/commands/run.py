"""common.commands.run: one house as a pod runs it, or all of them in one process."""

from __future__ import annotations

import os

from mailmaker.common.bus.protocol import Bus
from mailmaker.common.commands.chosen import chosen
from mailmaker.common.ops.lifecycle import run_houses
from mailmaker.common.ops.logging import setup
from mailmaker.common.ops.settings import WrongSettings

ALL = "all"


def run(what: str) -> None:
    """Until SIGTERM. Raises WrongSettings."""
    import uvloop

    houses = chosen([] if what == ALL else [what])
    setup(what, os.environ.get("MAILMAKER_LOG_LEVEL", "info"))
    uvloop.run(run_houses(list(houses.values()), os.environ, _bus(what)))


def _bus(what: str) -> Bus:
    kafka = os.environ.get("MAILMAKER_KAFKA", "")
    if kafka:
        from mailmaker.common.bus.kafka import KafkaBus

        return KafkaBus(kafka)
    if what != ALL:
        # The in-process bus would take this house's events, find nobody who hears them, and call them delivered.
        raise WrongSettings("MAILMAKER_KAFKA is empty: the in-process bus serves `mailmaker run all` only")
    from mailmaker.common.bus.memory import MemoryBus

    return MemoryBus()
