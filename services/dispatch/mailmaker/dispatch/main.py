"""dispatch.main: constructs the house: doors, the feed's applier, expansion, relay, courier and consumer."""

from __future__ import annotations

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.figures import Figures
from mailmaker.common.bus.handover import Handover
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.feed import FeedFollower
from mailmaker.common.mail.address import pepper_check
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.lifecycle import House, Running, Worker
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.emptying import EmptyAccounts
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing, RemoteKeys
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.dispatch.actions.apply_feed import FeedApplier
from mailmaker.dispatch.actions.expand_audience import Expander
from mailmaker.dispatch.actions.find_sites import FindSites
from mailmaker.dispatch.actions.settle_mailings import Settler
from mailmaker.dispatch.actions.stop_account import stopping
from mailmaker.dispatch.actions.sweep_leases import LeaseSweeper
from mailmaker.dispatch.actions.verify_domain import OwnZone
from mailmaker.dispatch.actions.watermark import feed_is_fresh
from mailmaker.dispatch.api import domains, egress, internal, mailings, templates
from mailmaker.dispatch.api.desk import Desk
from mailmaker.dispatch.events.hears import CONSUMER, hears
from mailmaker.dispatch.relay.connect import Smarthost
from mailmaker.dispatch.relay.mx import MxResolver
from mailmaker.dispatch.relay.resolver import SystemResolver
from mailmaker.dispatch.relay.shaped import load
from mailmaker.dispatch.relay.shift import RelaySettings
from mailmaker.dispatch.relay.source import Sources
from mailmaker.dispatch.relay.worker import Relay
from mailmaker.dispatch.render.mail import Doors
from mailmaker.dispatch.settings import Settings
from mailmaker.dispatch.storage.emptying import EMPTYING
from mailmaker.dispatch.storage.seal import Seal

NAME = "dispatch"
PATHS = (
    "/v1/domains",
    "/v1/senders",
    "/v1/templates",
    "/v1/mailings",
    "/v1/decisions",
    "/v1/pools",
    "/v1/sources",
    "/v1/routes",
)


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics = SystemClock(), Metrics()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    contacts = InternalClient(shared.url_of("contacts"), shared.service_token)
    suppression = InternalClient(shared.url_of("suppression"), shared.service_token)
    keyring = KeyRing(RemoteKeys(contacts), clock, db)
    keys = TokenKeys.from_setting(shared.token_keys.get_secret_value())
    figures = Figures(metrics)
    seal = Seal(settings.signing_secret.get_secret_value())
    follower = FeedFollower(suppression, pepper_check(shared.pepper_bytes))
    applier = FeedApplier(db, follower, clock, metrics, patience=settings.feed_patience)
    resolver = OwnZone(settings.demo_zone, db, shared.mail_domain, SystemResolver())
    mx = MxResolver(clock, settings.nameserver or None, allow_private=settings.private_targets)
    shaping = load(settings.shaping)
    app = create_app(
        NAME,
        [domains.router, egress.router, templates.router, mailings.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=Desk(db, contacts, resolver, seal, clock, shared.mail_domain, mx, shaping),
        ready={"schema": schema_is_current(db), "keys": keys_are_fresh(keyring), "feed": feed_is_fresh(db)},
        description="Mailings: who gets them, who got them, and why not.",
    )
    workers: list[Worker] = [
        keyring,
        applier,
        Expander(db, contacts, keyring, clock),
        Settler(db, clock),
        LeaseSweeper(db, metrics),
        FindSites(db, mx, shaping, clock),
        Consumer(
            db, bus, CONSUMER, hears(db, contacts, applier.wake), figures, member=settings.member or None
        ),
        Pruner(db),
        EmptyAccounts(db, EMPTYING, stopping(db, clock)),
        Courier(db, bus, figures),
        Handover(db, {"suppression": suppression}, figures),
    ]
    if settings.relay:
        told = _relay(settings, shared)
        sources = Sources(clock, mx, shaping, seal, told.smarthost, settings.smtp_port)
        workers.append(Relay(db, clock, keys, seal, told, metrics, sources))
    return Running(app, workers, (db, contacts, suppression, keyring, mx))


def _relay(settings: Settings, shared: Shared) -> RelaySettings:
    host, _, port = settings.smarthost.rpartition(":")
    return RelaySettings(
        smarthost=Smarthost(host, int(port), settings.ehlo) if settings.smarthost else None,
        paths=settings.paths,
        doors=Doors(shared.base_url, shared.mail_domain),
        connections=settings.connections,
        nice=settings.nice,
    )


HOUSE = House(NAME, PATHS, Settings, build)
