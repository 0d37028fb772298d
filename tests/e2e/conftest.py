"""One platform for all the promises: real processes, real Kafka, two relays, and a sink that fsyncs before it answers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from e2e_rig import Rig
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.stage import raised

GRACE = 15
"""Seconds until the data of a closed account goes: 30 days elsewhere."""


@pytest.fixture(scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Started once a run: what one test breaks must have healed for the next."""
    directory = tmp_path_factory.mktemp("street")
    env = {**os.environ, "MAILMAKER_CONTACTS_ACCOUNT_GRACE_DAYS": f"{GRACE / 86400:.6f}"}
    async with raised(directory, env=env) as stage:
        dev = stage.dev
        async with (
            Client(dev["base_url"], dev["account_key"]) as client,
            Client(dev["base_url"], dev["operator_key"]) as operator,
        ):
            yield Rig(stage, client, operator, directory)


@pytest.fixture
async def rig(street: Rig) -> Rig:
    """The street, ready again."""
    await street.ready()
    return street
