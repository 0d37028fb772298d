"""ingest.main: constructs the house: doors for files, readers, courier."""

from __future__ import annotations

import asyncio

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.figures import Figures
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.lifecycle import House, Running, Worker
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing, RemoteKeys
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.ingest.actions.read import ReaderWorker
from mailmaker.ingest.actions.receive import Receiver
from mailmaker.ingest.actions.sweep import Sweeper
from mailmaker.ingest.api import imports, internal, state
from mailmaker.ingest.events.hears import CONSUMER, hears
from mailmaker.ingest.settings import Settings
from mailmaker.ingest.storage.files import Files

NAME = "ingest"


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics, wake = SystemClock(), Metrics(), asyncio.Event()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    contacts = InternalClient(shared.url_of("contacts"), shared.service_token)
    keyring = KeyRing(RemoteKeys(contacts), clock, db)
    files = Files(settings.files)
    receiver = Receiver(db, contacts, clock, wake)
    app = create_app(
        NAME,
        [imports.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=state.House(db, files, receiver, contacts, clock, settings.max_upload),
        ready={"schema": schema_is_current(db), "keys": keys_are_fresh(keyring)},
        description="Files of contacts: what came in, what was good, what was refused and why.",
        unlimited=("/v1/imports",),
    )
    figures = Figures(metrics)
    workers: list[Worker] = [
        keyring,
        Pruner(db),
        Courier(db, bus, figures),
        Consumer(db, bus, CONSUMER, hears(db, files), figures, member=settings.member or None),
        Sweeper(db, files),
    ]
    workers += [ReaderWorker(n, db, files, clock, wake) for n in range(1, settings.parsers + 1)]
    return Running(app, workers, (db, files, contacts, keyring))


HOUSE = House(NAME, ("/v1/imports", "/v1/import-profiles", "/v1/drops"), Settings, build)
