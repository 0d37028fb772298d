"""tests: a dispatch database with an account, a verified sender, lists and a contacts house that answers in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import httpx
from mailmaker.common.contracts.internal import AccountRow, FeedItem, KeyRow, KeysPage
from mailmaker.common.mail.address import address_key
from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.dispatch.actions.add_domain import add_domain
from mailmaker.dispatch.actions.add_sender import add_sender
from mailmaker.dispatch.actions.add_template import TemplateWish, add_template
from mailmaker.dispatch.actions.expand_audience import Expander
from mailmaker.dispatch.actions.mailing_views import MailingView
from mailmaker.dispatch.actions.move_mailing import start_mailing
from mailmaker.dispatch.actions.open_mailing import MailingWish, open_mailing
from mailmaker.dispatch.actions.read import one_mailing
from mailmaker.dispatch.actions.verify_domain import OwnZone, verify_domain
from mailmaker.dispatch.api.desk import Desk
from mailmaker.dispatch.domain.mx import Destination, MxHost, NoSuchDomain, Route
from mailmaker.dispatch.relay.shaped import shipped
from mailmaker.dispatch.storage.seal import Seal
from pydantic import SecretStr

PEPPER = b"p" * 32
MAIL_DOMAIN = "mail.example.test"
CLOCK = SystemClock()


@dataclass
class Person:
    """One line of an audience."""

    address: str | None
    consent: str = "subscribed"
    fkey: str | None = None
    contact_id: UUID = field(default_factory=new_id)
    merge: dict[str, str] = field(default_factory=dict)


class NoDns:
    """A resolver beyond the demo zone: there is nothing."""

    async def txt(self, name: str) -> list[str]:
        return []


class Contacts:
    """contacts' internal doors, from memory. `break_after` cuts the next audience stream after so many bytes."""

    def __init__(self, account_id: UUID) -> None:
        self.account_id = account_id
        self.lists: dict[UUID, list[Person]] = {}
        self.caps: dict[UUID, dict[str, object]] = {}
        self.break_after: int | None = None
        self.asked: list[str] = []
        self.segments: dict[UUID, dict[str, object]] = {}
        self.audiences: list[httpx.QueryParams] = []

    def open_list(self, people: Sequence[Person], caps: dict[str, object] | None = None) -> UUID:
        list_id = new_id()
        self.lists[list_id] = list(people)
        self.caps[list_id] = {"email": caps or {}, "sms": {}}
        return list_id

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path.startswith("/internal/lists/"):
            list_id = UUID(path.rpartition("/")[2])
            if list_id not in self.lists:
                return httpx.Response(404, json={})
            row = {
                "account_id": str(self.account_id),
                "list_id": str(list_id),
                "name": "A list",
                "key_kind": "email",
                "default_country": "IT",
                "timezone": "Europe/Rome",
                "caps": self.caps[list_id],
                "version": 1,
                "controller": {"name": "Somebody", "email": "dpo@example.test"},
            }
            return httpx.Response(200, json=row)
        if path.startswith("/internal/segments/"):
            found = self.segments.get(UUID(path.rpartition("/")[2]))
            return httpx.Response(404, json={}) if found is None else httpx.Response(200, json=found)
        if path == "/internal/audience":
            self.audiences.append(request.url.params)
            wanted = [UUID(one) for one in request.url.params.get_list("list")]
            return httpx.Response(200, content=self._stream(wanted))
        return httpx.Response(404, json={})

    async def _stream(self, wanted: list[UUID]) -> AsyncIterator[bytes]:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for place, list_id in enumerate(wanted):
            for one in self.lists[list_id]:
                writer.writerow(self._row(place, list_id, one))
        text = out.getvalue().encode()
        cut, self.break_after = self.break_after, None
        for at in range(0, len(text), 65536):
            if cut is not None and at >= cut:
                raise httpx.ReadError("the stream was cut")
            yield text[at : at + 65536]
        if cut is not None:
            raise httpx.ReadError("the stream was cut")

    def _row(self, place: int, list_id: UUID, one: Person) -> list[object]:
        key = None
        if one.address is not None:
            key = "\\x" + address_key(PEPPER, self.account_id, "email", one.address).hex()
        return [
            place,
            list_id,
            one.contact_id,
            one.fkey,
            one.address,
            key,
            one.consent,
            json.dumps(one.merge),
        ]


class OneAccount:
    """The word on keys: one open account."""

    def __init__(self, account_id: UUID) -> None:
        self._row = AccountRow(account_id=account_id, number=1, name="An account", state="open", version=1)

    async def changes(self, after: int) -> KeysPage:
        return KeysPage(accounts=(self._row,), keys=(), version=1)

    async def key(self, secret_hash: str) -> KeyRow | None:
        return None

    async def account(self, id_or_number: str) -> AccountRow | None:
        return self._row


@dataclass
class Street:
    """Everything a test of this house stands on."""

    db: Database
    account_id: UUID
    contacts: Contacts
    client: InternalClient
    keyring: KeyRing
    sender: UUID
    template: UUID

    @property
    def call(self) -> Call:
        return Call(self.account_id, 1, new_id(), "request")

    @property
    def expander(self) -> Expander:
        return Expander(self.db, self.client, self.keyring, CLOCK)

    async def mailing(
        self, *lists: UUID, expand: bool = True, schedule: datetime | None = None
    ) -> MailingView:
        """A started mailing to the lists; with `expand`, its messages are there."""
        wish = MailingWish(
            "News", "email", self.template, self.sender, lists, "marketing", schedule, None, None
        )
        made = await open_mailing(self.db, self.client, self.call, wish, CLOCK.now())
        await start_mailing(self.db, self.client, self.call, made.id, CLOCK.now())
        if expand:
            assert await self.expander.step()
        return await one_mailing(self.db, self.account_id, made.id)


async def open_street(db: Database) -> Street:
    """An account with a verified domain, a sender and a template."""
    account_id = new_id()
    contacts = Contacts(account_id)
    client = InternalClient(
        "http://contacts", SecretStr("s" * 32), transport=httpx.MockTransport(contacts.answer)
    )
    await client.open()
    keyring = KeyRing(OneAccount(account_id), CLOCK, db)
    await keyring.pull()
    call = Call(account_id, 1, new_id(), "request")
    seal = Seal("a secret of sixteen")
    domain = await add_domain(db, seal, call, "example.test", CLOCK.now(), MAIL_DOMAIN)
    zone = OwnZone("example.test", db, MAIL_DOMAIN, NoDns())
    checked = await verify_domain(db, seal, zone, call, domain.id, CLOCK.now(), MAIL_DOMAIN)
    assert checked.state == "verified"
    sender = await add_sender(db, call, "A Shop", "news@example.test", None, CLOCK.now())
    wish = TemplateWish(
        "t",
        "email",
        "Ciao {{ name }}",
        "<p>Ciao {{ name }} <a href='{{ unsubscribe_url }}'>basta</a></p>",
        "Ciao {{ name }} {{ unsubscribe_url }}",
        "marketing",
    )
    template = await add_template(db, call, wish, CLOCK.now())
    return Street(db, account_id, contacts, client, keyring, sender.id, template.id)


class Dns:
    """Where mail goes, from memory."""

    def __init__(self, hosts: dict[str, list[str]] | None = None) -> None:
        self.hosts = hosts or {}

    async def hosts_of(self, domain: str) -> Route:
        if domain not in self.hosts:
            return NoSuchDomain("not in the test's DNS")
        return Destination(tuple(MxHost(name, 10) for name in self.hosts[domain]), False, CLOCK.boot() + 60)


def a_desk(street: Street, zone: OwnZone | None = None, dns: Dns | None = None) -> Desk:
    """What the doors use."""
    return Desk(
        street.db,
        street.client,
        zone or OwnZone("shop.test", street.db, MAIL_DOMAIN, NoDns()),
        Seal("a secret of sixteen"),
        CLOCK,
        MAIL_DOMAIN,
        dns or Dns(),
        shipped(),
    )


def a_no(
    street: Street, number: int, person: Person, list_id: UUID | None = None, *, released: bool = False
) -> FeedItem:
    """A feed item about a person, by address and contact."""
    assert person.address is not None
    key = address_key(PEPPER, street.account_id, "email", person.address)
    now = CLOCK.now()
    return FeedItem(
        number=number,
        suppression_id=new_id(),
        account_id=street.account_id,
        channel="email",
        scope="account" if list_id is None else "list",
        list_id=list_id,
        subjects=(address_subject(key).hex(), contact_subject(person.contact_id).hex()),
        reason="unsubscribe",
        door="one_click",
        released=released,
        received_at=now,
        recorded_at=now,
    )
