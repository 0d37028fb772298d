"""suppression.main: constructs the house: settings -> engine -> rooms -> workers -> app. Nothing else constructs."""

from __future__ import annotations

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.figures import Figures as BusFigures
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.mail.address import pepper_check
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.lifecycle import House, Running
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.emptying import EmptyAccounts
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.pepper import GuardPepper
from mailmaker.common.storage.prune import Pruner
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing, RemoteKeys
from mailmaker.common.web.ready import keys_are_fresh, schema_is_current
from mailmaker.suppression.actions.ask_contacts import AskContacts
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.complete import Complete
from mailmaker.suppression.actions.figures import Figures, WatchPending
from mailmaker.suppression.actions.group_commit import GroupCommit
from mailmaker.suppression.actions.hear_nos import HearNos
from mailmaker.suppression.actions.hear_token import HearToken
from mailmaker.suppression.actions.keep_journal import KeepJournal
from mailmaker.suppression.actions.listen import Listen
from mailmaker.suppression.actions.record_wishes import RecordWishes
from mailmaker.suppression.api import internal, journals, suppressions, unsubscribe
from mailmaker.suppression.api.house import Rooms
from mailmaker.suppression.api.pages import Pages
from mailmaker.suppression.events.hears import CONSUMER, hears
from mailmaker.suppression.settings import Settings
from mailmaker.suppression.storage.emptying import EMPTYING
from mailmaker.suppression.storage.journal import Journal

NAME = "suppression"
PATHS = ("/v1/suppressions", "/v1/journals", "/u/")


async def build(settings: Settings, shared: Shared, bus: Bus) -> Running:
    """The house, connected to nothing yet."""
    clock, metrics, bell = SystemClock(), Metrics(), Bell()
    url = settings.database_url or shared.database_url
    db = Database(url.get_secret_value(), house=NAME, pool=settings.database_pool)
    client = InternalClient(shared.url_of("contacts"), shared.service_token)
    contacts = AskContacts(client, settings.contacts_timeout)
    keyring = KeyRing(RemoteKeys(client), clock, db)
    keys = TokenKeys.from_setting(shared.token_keys.get_secret_value())
    figures, bus_figures = Figures(metrics), BusFigures(metrics)
    commits = GroupCommit(db, bell)
    journal = Journal(settings.journal)
    keeper = KeepJournal(db, journal, keyring, bell)
    pepper = shared.pepper_bytes
    rooms = Rooms(
        db=db,
        bell=bell,
        figures=figures,
        contacts=contacts,
        wishes=RecordWishes(db, contacts, commits, bell, figures, clock, pepper),
        nos=HearNos(db, contacts, bell, figures),
        token=HearToken(keys, keyring, contacts, commits, journal, figures, clock, settings.record_timeout),
        pages=Pages(),
        pepper=pepper,
        pepper_check=pepper_check(pepper),
        page_wait=settings.page_wait,
    )
    guard = GuardPepper(db, rooms.pepper_check)
    app = create_app(
        NAME,
        [suppressions.router, journals.router, unsubscribe.router, internal.router],
        shared=shared,
        keyring=keyring,
        metrics=metrics,
        state=rooms,
        ready={
            "schema": schema_is_current(db),
            "keys": keys_are_fresh(keyring),
            "pepper": guard.ready,
        },
        description='The ledger of every "no": recorded, enforced, proved.',
    )
    workers = (
        keyring,
        Pruner(db),
        EmptyAccounts(db, EMPTYING),
        Consumer(db, bus, CONSUMER, hears(db), bus_figures, member=settings.member or None),
        Courier(db, bus, bus_figures),
        Listen(db, bell),
        Complete(db, contacts, bell),
        WatchPending(db, figures),
    )
    return Running(app, workers, (db, client, keyring, guard, commits, keeper))


HOUSE = House(NAME, PATHS, Settings, build)
