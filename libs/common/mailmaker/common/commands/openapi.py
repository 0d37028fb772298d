"""common.commands.openapi: the OpenAPI document of a house, from its doors; nothing is connected to."""

from __future__ import annotations

import asyncio
import json

from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.commands.chosen import chosen
from mailmaker.common.commands.placeholders import placeholder_settings
from mailmaker.common.ops.lifecycle import House


def openapi_document(name: str) -> str:
    """Sorted and indented: the same code always gives the same bytes. Raises WrongSettings for no such house."""
    return asyncio.run(_document(chosen([name])[name]))


async def _document(house: House) -> str:
    settings, shared = placeholder_settings(house)
    running = await house.build(settings, shared, MemoryBus())
    return json.dumps(running.app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
