"""common.commands.check: whether houses could start with what the environment tells them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from mailmaker.common.commands.chosen import chosen
from mailmaker.common.ops.lifecycle import House, house_names
from mailmaker.common.ops.settings import PREFIX, Shared, WrongSettings, load, load_shared
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.ready import schema_is_current

_TIMEOUT = 10.0


def check_all(names: Sequence[str]) -> dict[str, str | None]:
    """By thing looked at: None when well, else what is wrong."""
    try:
        shared = load_shared(os.environ, house_names())
    except WrongSettings as wrong:
        return {"shared settings": str(wrong)}
    return asyncio.run(_check(shared, list(chosen(names).values())))


async def _check(shared: Shared, houses: Sequence[House]) -> dict[str, str | None]:
    found: dict[str, str | None] = {"shared settings": None}
    for house in houses:
        found |= await _check_house(shared, house)
    found["Kafka"] = await _check_kafka(shared.kafka) if shared.kafka else "MAILMAKER_KAFKA is empty"
    return found


async def _check_house(shared: Shared, house: House) -> dict[str, str | None]:
    try:
        settings = load(house.settings, os.environ, f"{PREFIX}{house.name.upper()}_")
    except WrongSettings as wrong:
        return {f"{house.name} settings": str(wrong)}
    url = (settings.database_url or shared.database_url).get_secret_value()
    return {f"{house.name} settings": None, f"{house.name} database": await _check_database(house.name, url)}


async def _check_database(house: str, url: str) -> str | None:
    if not url:
        return f"{PREFIX}DATABASE_URL or {PREFIX}{house.upper()}_DATABASE_URL is needed"
    db = Database(url, house=house, pool=2)
    try:
        async with asyncio.timeout(_TIMEOUT):
            await db.open()
            return await schema_is_current(db)()
    except Exception as wrong:  # whatever it is, it is what the caller wants to know
        return (str(wrong) or type(wrong).__name__).splitlines()[0]
    finally:
        await db.close()


async def _check_kafka(servers: str) -> str | None:
    from mailmaker.common.embedded.kafka_metadata import answers

    host, _, port = servers.partition(",")[0].rpartition(":")
    well = await asyncio.to_thread(answers, host, int(port), _TIMEOUT)
    return None if well else f"{servers} does not answer"
