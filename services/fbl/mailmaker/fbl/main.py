"""fbl.main: constructs the house: SMTP door, parser, hand-over, courier and the reports' HTTP door."""

from __future__ import annotations

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.figures import Figures
from mailmaker.common.bus.handover import Handover
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.lifecycle import House, Running
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.emptying import EmptyAccounts
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing, RemoteKeys
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.fbl.actions.receive import Arrived, Kept, receive
from mailmaker.fbl.actions.settle import Settler
from mailmaker.fbl.api import internal, reports
from mailmaker.fbl.events.hears import CONSUMER, hears
from mailmaker.fbl.inbound.door import Door
from mailmaker.fbl.inbound.server import SmtpServer
from mailmaker.fbl.parse.cell import Cell
from mailmaker.fbl.settings import Settings
from mailmaker.fbl.storage.emptying import EMPTYING

NAME = "fbl"


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics = SystemClock(), Metrics()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    contacts = InternalClient(shared.url_of("contacts"), shared.service_token)
    suppression = InternalClient(shared.url_of("suppression"), shared.service_token)
    keyring = KeyRing(RemoteKeys(contacts), clock, db)
    keys = TokenKeys.from_setting(shared.token_keys.get_secret_value())
    cell = Cell()
    figures = Figures(metrics)
    settler = Settler(db, cell, keys, keyring, clock)
    mails = metrics.counter("mailmaker_fbl_mails_total", "Inbound mails answered 250.", ("result",))

    async def keep(arrived: Arrived) -> Kept:
        kept = await receive(db, arrived)
        mails.labels(result="opt_out" if kept.opt_outs else "new" if kept.new else "repeated").inc()
        if kept.waiting:
            settler.wake.set()
        return kept

    door = Door(settings.domain_names(shared.mail_domain), keys, keyring, keep, clock)
    smtp = SmtpServer(
        door,
        host=settings.smtp_host,
        port=settings.smtp_port,
        hostname=shared.mail_domain,
        most_bytes=settings.max_mail,
        most_sessions=settings.max_sessions,
        timeout=settings.smtp_timeout,
    )
    app = create_app(
        NAME,
        [reports.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=db,
        ready={"schema": schema_is_current(db), "keys": keys_are_fresh(keyring), "smtp": smtp.ready},
        description="Bounces, complaints and unsubscribe mail: what came in, what it says, what was done.",
    )
    workers = (
        smtp,
        settler,
        keyring,
        Pruner(db),
        EmptyAccounts(db, EMPTYING),
        Consumer(db, bus, CONSUMER, hears(db), figures, member=settings.member or None),
        Courier(db, bus, figures),
        Handover(db, {"suppression": suppression}, figures),
    )
    return Running(app, workers, (db, contacts, suppression, keyring, cell))


HOUSE = House(NAME, ("/v1/reports",), Settings, build)
