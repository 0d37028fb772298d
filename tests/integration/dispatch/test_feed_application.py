"""tests: the feed applied to messages at rest: idempotent, scoped, releases undo nothing, removed contacts stop."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from dispatch_street import CLOCK, PEPPER, Person, Street, a_no
from mailmaker.common.contracts.contacts import ContactsErased, ContactsRemoved, ContactsRestored
from mailmaker.common.contracts.internal import FeedPage
from mailmaker.common.feed import FeedFollower
from mailmaker.common.mail.address import pepper_check
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.apply_feed import WAIT, FeedApplier
from mailmaker.dispatch.actions.forget_contacts import let_restored, stop_erased, stop_removed
from mailmaker.dispatch.actions.read import message_page, one_mailing
from mailmaker.dispatch.actions.watermark import feed_is_fresh, watermark


def applier(street: Street, follower: object = None) -> FeedApplier:
    return FeedApplier(street.db, cast(FeedFollower, follower), CLOCK, Metrics())


async def test_a_no_stops_its_messages_in_its_scope_once(street: Street) -> None:
    ann, other = Person("ann@x.test"), Person("ann@x.test")
    first, second = street.contacts.open_list([ann]), street.contacts.open_list([other])
    here, there = await street.mailing(first), await street.mailing(second)
    item = a_no(street, 1, ann, first)

    assert await applier(street).apply(0, [item]) == 1
    assert await applier(street).apply(0, [item]) is None, "another applier was faster: nothing is done twice"

    assert (await one_mailing(street.db, street.account_id, here.id)).counts.suppressed == 1
    assert (await one_mailing(street.db, street.account_id, there.id)).counts.waiting == 1
    assert await applier(street).apply(1, [a_no(street, 2, ann)]) == 2, (
        "the whole account: the other list's too"
    )
    assert (await one_mailing(street.db, street.account_id, there.id)).counts.suppressed == 1
    async with street.db.platform() as tx:
        bodies = await tx.driver.fetch("SELECT body FROM handovers ORDER BY created_at, id")
        events = await tx.driver.fetchval("SELECT count(*) FROM outbox WHERE topic = 'deliveries.v1'")
    assert [len(row["body"]["stopped"]) for row in bodies] == [1, 1]
    assert events == 2


async def test_a_release_opens_later_mailings_and_brings_nothing_back(street: Street) -> None:
    ann = Person("ann@x.test")
    listed = street.contacts.open_list([ann])
    made = await street.mailing(listed)
    no, yes = a_no(street, 1, ann), a_no(street, 2, ann, released=True)
    await applier(street).apply(0, [no, yes])

    assert (await one_mailing(street.db, street.account_id, made.id)).counts.suppressed == 1
    assert (await street.mailing(listed)).counts.waiting == 1
    async with street.db.platform() as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM handovers") == 1, "a release is not enforced"


async def test_removed_contacts_stop_once_and_for_what_is_still_expanding(street: Street) -> None:
    ann, bob = Person("ann@x.test"), Person("bob@x.test")
    listed = street.contacts.open_list([ann, bob])
    made = await street.mailing(listed)
    late = await street.mailing(listed, expand=False)
    event = ContactsRemoved(
        account_id=street.account_id, occurred_at=CLOCK.now(), list_id=listed, contact_ids=(ann.contact_id,)
    )

    await stop_removed(street.db, event, Heard("dispatch", event.event_id))
    assert await street.expander.step()

    counts = (await one_mailing(street.db, street.account_id, made.id)).counts
    assert (counts.cancelled, counts.waiting) == (1, 1)
    page = await message_page(street.db, street.account_id, made.id, "cancelled", 10, None)
    assert page.items[0].reason == "contact_removed"
    assert (await one_mailing(street.db, street.account_id, late.id)).counts.waiting == 1


async def test_contacts_that_came_back_get_later_mailings_whatever_is_heard_again(street: Street) -> None:
    ann = Person("ann@x.test")
    listed = street.contacts.open_list([ann])
    made = await street.mailing(listed)
    about = {"account_id": street.account_id, "occurred_at": CLOCK.now(), "list_id": listed}
    removed = ContactsRemoved.model_validate({**about, "contact_ids": (ann.contact_id,)})
    restored = ContactsRestored.model_validate({**about, "contact_ids": (ann.contact_id,)})
    await stop_removed(street.db, removed, Heard("dispatch", removed.event_id))
    await let_restored(street.db, restored, Heard("dispatch", restored.event_id))
    # The bus says at least once: both come again.
    with pytest.raises(AlreadyHeard):
        await stop_removed(street.db, removed, Heard("dispatch", removed.event_id))
    with pytest.raises(AlreadyHeard):
        await let_restored(street.db, restored, Heard("dispatch", restored.event_id))

    later = await street.mailing(listed)
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.cancelled == 1
    assert (await one_mailing(street.db, street.account_id, later.id)).counts.waiting == 1


async def test_an_erased_contact_leaves_no_address(street: Street) -> None:
    ann = Person("ann@x.test", merge={"name": "Ann"})
    listed = street.contacts.open_list([ann])
    made = await street.mailing(listed)
    event = ContactsErased(
        account_id=street.account_id, occurred_at=CLOCK.now(), list_id=listed, contact_ids=(ann.contact_id,)
    )
    await stop_erased(street.db, event, Heard("dispatch", event.event_id))

    page = await message_page(street.db, street.account_id, made.id, None, 10, None)
    assert [(m.state, m.address) for m in page.items] == [("cancelled", "")]


async def test_no_word_is_fresh_until_the_feed_was_followed_to_its_head(street: Street) -> None:
    class Follower:
        async def pull(self, after: int, *, wait: float = 1.0, limit: int = 500) -> FeedPage:
            items = (a_no(street, 1, Person("x@x.test")),) if after == 0 else ()
            return FeedPage(items=items, head=2, confirmed_age=0.1, pepper_check=pepper_check(PEPPER))

    assert await feed_is_fresh(street.db)() is not None
    await applier(street, Follower()).step()
    assert await feed_is_fresh(street.db)() is not None, "one item is missing: nothing may be vouched for"

    class AtHead(Follower):
        async def pull(self, after: int, *, wait: float = 1.0, limit: int = 500) -> FeedPage:
            return FeedPage(items=(), head=1, confirmed_age=0.1, pepper_check=pepper_check(PEPPER))

    await applier(street, AtHead()).step()
    number, age = await watermark(street.db)
    assert number == 1
    assert 0.1 <= age < 10


async def test_a_wake_cuts_the_long_poll_short(street: Street) -> None:
    waits: list[float] = []
    polling = asyncio.Event()

    class Slow:
        async def pull(self, after: int, *, wait: float = 1.0, limit: int = 500) -> FeedPage:
            waits.append(wait)
            polling.set()
            await asyncio.sleep(wait * 150)
            return FeedPage(items=(), head=0, confirmed_age=0.0, pepper_check=pepper_check(PEPPER))

    worker = applier(street, Slow())
    async with asyncio.timeout(10):
        step = asyncio.create_task(worker.step())
        await polling.wait()
        worker.wake(0)
        worker.wake(5)
        await step
    assert waits == [WAIT, 0]


async def test_another_accounts_rows_are_not_there(street: Street) -> None:
    await street.mailing(street.contacts.open_list([Person("a@x.test")]))
    async with street.db.account(new_id()) as tx:
        for table in (
            "domains",
            "senders",
            "templates",
            "lists",
            "mailings",
            "expansions",
            "messages",
            "mailing_numbers",
        ):
            assert await tx.driver.fetchval(f"SELECT count(*) FROM {table}") == 0, table
