"""ingest.main: constructs the house: doors for files (HTTP, SFTP, FTPS), readers, courier."""

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
from mailmaker.common.storage.emptying import EmptyAccounts
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.storage.seal import Seal
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing, RemoteKeys
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.ingest.actions.collect import Collector, Patience
from mailmaker.ingest.actions.deliver import Deliverer
from mailmaker.ingest.actions.enter import Entrance
from mailmaker.ingest.actions.forget_account import forgetting
from mailmaker.ingest.actions.opening import Opener
from mailmaker.ingest.actions.pgp import PURPOSE, PgpKeys
from mailmaker.ingest.actions.read import ReaderWorker
from mailmaker.ingest.actions.read_lines import LineReader
from mailmaker.ingest.actions.receive import Receiver
from mailmaker.ingest.actions.sweep import DAY, Sweeper
from mailmaker.ingest.actions.tell import Teller
from mailmaker.ingest.api import drops, imports, internal, profiles, state
from mailmaker.ingest.drop.ftps import FtpsServer, Way
from mailmaker.ingest.drop.sessions import Bounds
from mailmaker.ingest.drop.sftp import SftpServer
from mailmaker.ingest.events.hears import CONSUMER, hears
from mailmaker.ingest.settings import Settings
from mailmaker.ingest.storage.emptying import EMPTYING
from mailmaker.ingest.storage.files import Files
from mailmaker.ingest.storage.inboxes import Inboxes, Limits

NAME = "ingest"


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics, wake = SystemClock(), Metrics(), asyncio.Event()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    contacts = InternalClient(shared.url_of("contacts"), shared.service_token)
    keyring = KeyRing(RemoteKeys(contacts), clock, db)
    files = Files(settings.files)
    opener = Opener(settings.parsers, settings.max_unpacked, clock)
    receiver = Receiver(db, contacts, clock, wake, opener)
    secret = settings.seal_secret.get_secret_value()
    pgp_keys = PgpKeys(db, Seal(secret, PURPOSE) if secret else None)
    limits = Limits(settings.drop_quota_files, settings.drop_quota_bytes, settings.max_upload)
    inboxes = Inboxes(settings.files, limits)
    doors = _doors(settings, Entrance(db, keyring, inboxes, clock), clock)
    deliverer = Deliverer(db, files, receiver, keyring, pgp_keys, settings.max_upload)
    patience = Patience(settings.drop_stable, settings.drop_cut, settings.drop_kept_days * 86400)
    collector = Collector(db, keyring, inboxes, deliverer, Teller(db, files), clock, patience)
    of_doors = (settings.max_upload, pgp_keys, settings.ftp_plain)
    lines = LineReader(db, files, clock, settings.parsers)
    house = state.House(db, files, receiver, lines, contacts, clock, *of_doors)
    app = create_app(
        NAME,
        [imports.router, profiles.router, drops.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=house,
        ready={"schema": schema_is_current(db), "keys": keys_are_fresh(keyring)}
        | {door.name: door.ready for door in doors},
        description="Files of contacts: what came in, what was good, what was refused and why.",
        unlimited=("/v1/imports",),
    )
    figures = Figures(metrics)
    workers: list[Worker] = [
        keyring,
        Pruner(db),
        EmptyAccounts(db, EMPTYING, forgetting(db, files)),
        Courier(db, bus, figures),
        Consumer(db, bus, CONSUMER, hears(db, files), figures, member=settings.member or None),
        Sweeper(db, files, old=settings.files_kept_days * DAY, rejects_old=settings.rejects_kept_days * DAY),
    ]
    workers += [ReaderWorker(n, db, files, clock, wake) for n in range(1, settings.parsers + 1)]
    workers += [collector, *doors]
    return Running(app, workers, (db, files, inboxes, contacts, keyring))


def _doors(settings: Settings, entrance: Entrance, clock: SystemClock) -> list[SftpServer | FtpsServer]:
    """The doors that have a port."""
    host, folder = settings.drop_host, settings.files / "drops" / "keys"
    bounds = Bounds(sessions=settings.drop_sessions, idle=settings.drop_idle)
    doors: list[SftpServer | FtpsServer] = []
    if settings.sftp_port is not None:
        keys = settings.sftp_host_keys
        port = settings.sftp_port
        doors.append(
            SftpServer(entrance, clock, host=host, port=port, keys=keys, folder=folder, bounds=bounds)
        )
    if settings.ftps_port is not None:
        way = Way(
            host=host,
            port=settings.ftps_port,
            certificate=settings.ftps_certificate,
            key=settings.ftps_key,
            folder=folder,
            passive_ports=settings.passive_ports,
            public_address=settings.ftps_public_address,
            plain=settings.ftp_plain,
        )
        doors.append(FtpsServer(entrance, clock, way, bounds))
    return doors


HOUSE = House(NAME, ("/v1/imports", "/v1/import-profiles", "/v1/drops"), Settings, build)
