"""contacts.main: constructs the house: doors, imports, the feed's follower, courier, consumer, hand-over."""

from __future__ import annotations

from datetime import timedelta

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.figures import Figures
from mailmaker.common.bus.handover import Handover
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.feed import FeedFollower
from mailmaker.common.mail.address import pepper_check
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.lifecycle import House, Running, Worker
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.pepper import GuardPepper
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.contacts.actions.apply_opt_outs import LANE
from mailmaker.contacts.actions.close_account import EmptyAccounts
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.forget_engagement import ForgetEngagement
from mailmaker.contacts.actions.forget_exports import ForgetExports
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.keys import OwnKeys
from mailmaker.contacts.actions.run_exports import RunExports
from mailmaker.contacts.actions.run_imports import RunImports
from mailmaker.contacts.api import accounts, contacts, exports, fields, internal, lists, plans, segments
from mailmaker.contacts.events.hears import CONSUMER, hears
from mailmaker.contacts.settings import Settings

NAME = "contacts"
PATHS = ("/v1/accounts", "/v1/api-keys", "/v1/contacts", "/v1/lists", "/v1/plans")


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics = SystemClock(), Metrics()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    ingest = InternalClient(shared.url_of("ingest"), shared.service_token)
    suppression = InternalClient(shared.url_of("suppression"), shared.service_token)
    pepper = shared.pepper_bytes
    keyring = KeyRing(OwnKeys(db), clock)
    dispatch = InternalClient(shared.url_of("dispatch"), shared.service_token)
    fbl = InternalClient(shared.url_of("fbl"), shared.service_token)
    archives = {"ingest": ingest, "dispatch": dispatch, "suppression": suppression, "fbl": fbl}
    feed = FeedFollower(suppression, pepper_check(pepper))
    kept = timedelta(days=settings.export_kept_days)
    grace = timedelta(days=settings.account_grace_days)
    house = Contacts(
        db, clock, pepper, ingest, feed, dispatch, export_kept=kept, account_grace=grace, archives=archives
    )
    guard = GuardPepper(db, pepper_check(pepper))
    follow, figures = FollowSuppressions(house), Figures(metrics)
    app = create_app(
        NAME,
        [
            accounts.router,
            lists.router,
            fields.router,
            segments.router,
            contacts.router,
            exports.router,
            plans.router,
            internal.router,
        ],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=house,
        ready={"schema": schema_is_current(db), "keys": keys_are_fresh(keyring), "pepper": guard.ready},
        description="Accounts, API keys, lists, contacts, their consent, segments, and the plans of imports.",
    )
    workers: list[Worker] = [
        keyring,
        follow,
        Consumer(db, bus, CONSUMER, hears(house), figures, member=settings.member or None),
        Pruner(db),
        ForgetEngagement(house),
        ForgetExports(house),
        EmptyAccounts(house),
        Courier(db, bus, figures),
        Handover(db, {"suppression": suppression, LANE: suppression, "ingest": ingest}, figures),
    ]
    workers += [RunImports(house, follow, number) for number in range(1, settings.imports + 1)]
    workers += [RunExports(house, number) for number in range(1, settings.exports + 1)]
    return Running(app, workers, (db, guard, ingest, suppression, dispatch, fbl, keyring))


HOUSE = House(NAME, PATHS, Settings, build)
