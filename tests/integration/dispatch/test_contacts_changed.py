"""integration: mail that waits for an address its contact has no more is skipped; of the erased nothing is left."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest
from dispatch_street import CLOCK, PEPPER, Person, Street
from mailmaker.common.bus.fate import Retry
from mailmaker.common.contracts.contacts import ContactChange, ContactsChanged, ContactsErased
from mailmaker.common.mail.address import address_key
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.testing.traces import tables_naming
from mailmaker.common.web.internal import InternalClient, Unreachable
from mailmaker.dispatch.actions.contact_messages import contact_messages
from mailmaker.dispatch.actions.forget_contacts import stop_erased
from mailmaker.dispatch.actions.read import decision_page, message_page, one_mailing
from mailmaker.dispatch.actions.readdress import hear_changed
from pydantic import SecretStr


class Owner:
    """contacts' word on whose address is which. `away`: it does not answer."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self.now: dict[UUID, str | None] = {}
        self.asked = 0
        self.away = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        contact_id = UUID(request.url.path.rpartition("/")[2])
        if self.away:
            return httpx.Response(503)
        row = {"account_id": str(self._street.account_id), "list_id": str(contact_id), "contact_id": str(contact_id),
               "email_key": key_of(self._street, self.now[contact_id]), "mobile_key": None, "fkey": None}  # fmt: skip
        return httpx.Response(200, json=row)

    async def client(self) -> InternalClient:
        made = InternalClient(
            "http://contacts", SecretStr("s" * 32), transport=httpx.MockTransport(self.answer)
        )
        await made.open()
        return made


def key_of(street: Street, address: str | None) -> str | None:
    return None if address is None else address_key(PEPPER, street.account_id, "email", address).hex()


def changed(street: Street, list_id: UUID, *people: tuple[Person, str | None]) -> ContactsChanged:
    return ContactsChanged(
        account_id=street.account_id,
        occurred_at=CLOCK.now(),
        list_id=list_id,
        contacts=tuple(
            ContactChange(
                contact_id=one.contact_id,
                email_key=key_of(street, address),
                email_consent="subscribed",
                sms_consent="subscribed",
                version=2,
            )
            for one, address in people
        ),
    )


async def test_what_waits_for_an_old_address_is_skipped_and_says_why(street: Street) -> None:
    ann, bob = Person("ann@x.test"), Person("bob@x.test")
    listed = street.contacts.open_list([ann, bob], {"day": 5})
    made = await street.mailing(listed)
    owner = Owner(street)
    owner.now = {ann.contact_id: "new@x.test"}
    client = await owner.client()
    event = changed(street, listed, (ann, "new@x.test"), (bob, "BOB@x.test"))
    await hear_changed(street.db, client, event, Heard("dispatch", event.event_id))

    counts = (await one_mailing(street.db, street.account_id, made.id)).counts
    assert (counts.skipped, counts.waiting, counts.planned) == (1, 1, 2)
    page = await decision_page(street.db, street.account_id, made.id, ann.contact_id, 1, None)
    assert (page.items[0].reason, page.items[0].verdict) == ("address_changed", "not_sent")
    assert owner.asked == 1, "whose address has not changed costs no question"
    with pytest.raises(AlreadyHeard):
        await hear_changed(street.db, client, event, Heard("dispatch", event.event_id))
    await client.close()


async def test_an_event_older_than_the_message_stops_nothing(street: Street) -> None:
    ann = Person("new@x.test")
    listed = street.contacts.open_list([ann])
    made = await street.mailing(listed)
    owner = Owner(street)
    owner.now = {ann.contact_id: "new@x.test"}
    client = await owner.client()
    late = changed(street, listed, (ann, "old@x.test"))
    owner.away = True
    with pytest.raises(Unreachable):
        await hear_changed(street.db, client, late, Heard("dispatch", late.event_id))
    owner.away = False
    await hear_changed(street.db, client, late, Heard("dispatch", late.event_id))
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.waiting == 1
    await client.close()


async def test_a_change_waits_for_the_expansion_whose_snapshot_may_be_older(street: Street) -> None:
    ann = Person("ann@x.test")
    listed = street.contacts.open_list([ann])
    made = await street.mailing(listed)
    owner = Owner(street)
    owner.now = {ann.contact_id: "new@x.test"}
    client = await owner.client()
    event = changed(street, listed, (ann, "new@x.test"))
    async with street.db.platform() as tx:
        await tx.driver.execute(
            "UPDATE expansions SET done_at = NULL, lease_until = now() + interval '1 hour' WHERE mailing_id = $1",
            made.id,
        )
    with pytest.raises(Retry):
        await hear_changed(street.db, client, event, Heard("dispatch", event.event_id))
    async with street.db.platform() as tx:
        await tx.driver.execute(
            "UPDATE expansions SET done_at = now(), lease_until = NULL WHERE mailing_id = $1", made.id
        )
    await hear_changed(street.db, client, event, Heard("dispatch", event.event_id))
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.skipped == 1
    await client.close()


async def test_of_an_erased_contact_no_table_holds_anything_once_its_mail_has_arrived(street: Street) -> None:
    person = ("zaira.erased@x.test", "Zaira", "KEY-77")
    zaira = Person("zaira.erased@x.test", fkey="KEY-77", merge={"name": "Zaira"})
    listed = street.contacts.open_list([zaira, Person("bob@x.test")])
    first, second = await street.mailing(listed), await street.mailing(listed)
    async with street.db.platform() as tx:
        await tx.driver.execute(
            "UPDATE messages SET state = 'sending' WHERE mailing_id = $1 AND contact_id = $2",
            first.id,
            zaira.contact_id,
        )
    event = ContactsErased(
        account_id=street.account_id, occurred_at=CLOCK.now(), list_id=listed, contact_ids=(zaira.contact_id,)
    )
    heard = Heard("dispatch", event.event_id)
    assert await tables_naming(street.db, person) == ["messages"]
    with pytest.raises(Retry):
        await stop_erased(street.db, event, heard)
    page = await message_page(street.db, street.account_id, second.id, "cancelled", 10, None)
    assert [(m.reason, m.address) for m in page.items] == [("contact_erased", "")]
    async with street.db.platform() as tx:
        await tx.driver.execute(
            "UPDATE messages SET state = 'delivered', reply_text = '250 zaira.erased@x.test' WHERE state = 'sending'"
        )
    await stop_erased(street.db, event, heard)
    assert await tables_naming(street.db, person) == []


async def test_what_was_meant_for_a_contact_is_told_without_addresses(street: Street) -> None:
    ann = Person("ann@x.test")
    listed = street.contacts.open_list([ann])
    first, second = await street.mailing(listed), await street.mailing(listed)
    found = await contact_messages(street.db, street.account_id, ann.contact_id, 1)
    assert ([one.mailing for one in found.items], found.more) == ([second.id], True)
    whole = await contact_messages(street.db, street.account_id, ann.contact_id, 2)
    assert ([one.mailing for one in whole.items], whole.more) == ([second.id, first.id], False)
    assert "ann@x.test" not in whole.model_dump_json()
    assert (await contact_messages(street.db, ann.contact_id, ann.contact_id, 2)).items == ()
