"""Runs the house as a pod does, for tests that kill it: configuration by environment alone."""

from __future__ import annotations

import asyncio
import os

from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.ops.lifecycle import run_houses
from mailmaker.common.ops.logging import setup
from mailmaker.suppression.main import HOUSE

if __name__ == "__main__":
    setup("suppression", "error")
    asyncio.run(run_houses([HOUSE], os.environ, MemoryBus()))
