"""tests: an audience becomes messages in one transaction: every recipient in exactly one state."""

from __future__ import annotations

import asyncio
import time

from dispatch_street import Person, Street, a_no
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.read import decision_page, one_mailing
from mailmaker.dispatch.domain.directives import directives_of, latest
from mailmaker.dispatch.storage import directives as standing
from mailmaker.dispatch.storage import expansions


async def test_every_recipient_has_one_state(street: Street) -> None:
    ann, bob, eve = Person("ann@x.test"), Person("bob@x.test", "unsubscribed"), Person("eve@x.test")
    twin = Person("ANN@x.test")
    odd, none = Person(" not plain <a@x.test>"), Person(None)
    uni = Person("Anna.B@xn--bcher-kva.example", merge={"name": "Anna"})
    first = street.contacts.open_list([ann, bob, eve, odd, none])
    second = street.contacts.open_list([twin, uni])
    async with street.db.platform() as tx:
        await standing.stand(tx, latest(directives_of([a_no(street, 1, eve)])))

    made = await street.mailing(first, second)

    counts = made.counts.model_dump()
    assert counts["planned"] == 7
    assert counts["waiting"] == 2
    assert counts["suppressed"] == 1
    assert counts["skipped"] == 4
    assert counts["planned"] == sum(n for name, n in counts.items() if name != "planned")
    reasons = {}
    for person in (bob, twin, odd, none, eve):
        page = await decision_page(street.db, street.account_id, made.id, person.contact_id, 10, None)
        reasons[person.contact_id] = page.items[0].reason
    assert reasons == {
        bob.contact_id: "consent",
        twin.contact_id: "duplicate",
        odd.contact_id: "address",
        none.contact_id: "no_address",
        eve.contact_id: "unsubscribe",
    }


async def test_a_broken_stream_leaves_nothing_and_is_begun_again(street: Street) -> None:
    listed = street.contacts.open_list([Person(f"p{n}@x.test") for n in range(3000)])
    made = await street.mailing(listed, expand=False)
    street.contacts.break_after = 70_000

    assert await street.expander.step()
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.planned == 0

    async with street.db.platform() as tx:
        await tx.driver.execute("UPDATE expansions SET due_at = clock_timestamp()")
    assert await street.expander.step()
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.waiting == 3000


async def test_an_attempt_that_was_overtaken_commits_nothing(street: Street) -> None:
    listed = street.contacts.open_list([Person("a@x.test")])
    made = await street.mailing(listed, expand=False)
    async with street.db.platform() as tx:
        slow = await expansions.take(tx, new_id(), street.keyring.open_accounts())
        assert slow is not None
        await tx.driver.execute("UPDATE expansions SET lease_until = clock_timestamp() - interval '1 s'")

    assert await street.expander.step()
    async with street.db.account(street.account_id) as tx:
        assert not await expansions.mine(tx, slow)
    assert (await one_mailing(street.db, street.account_id, made.id)).counts.planned == 1
    assert not await street.expander.step()


async def test_two_expanders_make_one_audience(street: Street) -> None:
    listed = street.contacts.open_list([Person(f"p{n}@x.test") for n in range(500)])
    made = await street.mailing(listed, expand=False)

    await asyncio.gather(*(street.expander.step() for _ in range(4)))

    assert (await one_mailing(street.db, street.account_id, made.id)).counts.planned == 500


async def test_twenty_thousand_recipients_are_a_matter_of_seconds(street: Street) -> None:
    listed = street.contacts.open_list(
        [Person(f"p{n}@x.test", merge={"name": f"N{n}"}) for n in range(20_000)]
    )
    made = await street.mailing(listed, expand=False)

    began = time.monotonic()
    assert await street.expander.step()

    assert (await one_mailing(street.db, street.account_id, made.id)).counts.waiting == 20_000
    assert time.monotonic() - began < 20
