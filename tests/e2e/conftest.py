"""One platform for all the promises: real processes, real Kafka, two relays, and a sink that fsyncs before it answers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from e2e_rig import Rig, World
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.stage import raised
from mailmaker.common.embedded.ports import free_port
from mailmaker.common.testing.nameserver import Nameserver

GRACE = 15
"""Seconds until the data of a closed account goes: 30 days elsewhere."""


@pytest.fixture(scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Started once a run: what one test breaks must have healed for the next."""
    directory = tmp_path_factory.mktemp("street")
    async with Nameserver({}) as dns:
        told = {
            "MAILMAKER_CONTACTS_ACCOUNT_GRACE_DAYS": f"{GRACE / 86400:.6f}",
            "MAILMAKER_DISPATCH_NAMESERVER": dns.address,
            "MAILMAKER_DISPATCH_SMTP_PORT": str(free_port("127.0.1.1")),
            "MAILMAKER_DISPATCH_PRIVATE_TARGETS": "true",
        }
        async with raised(directory, env=os.environ | told) as stage:
            dev = stage.dev
            async with (
                Client(dev["base_url"], dev["account_key"]) as client,
                Client(dev["base_url"], dev["operator_key"]) as operator,
            ):
                rest = World(dns, int(told["MAILMAKER_DISPATCH_SMTP_PORT"]))
                yield Rig(stage, client, operator, directory, rest)


@pytest.fixture
async def rig(street: Rig) -> Rig:
    """The street, ready again."""
    await street.ready()
    return street
