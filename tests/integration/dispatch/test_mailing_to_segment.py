"""integration: a mailing to a segment: checked at its making and its start, its rule frozen by the start."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from dispatch_street import CLOCK, Person, Street
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.problem import Invalid
from mailmaker.dispatch.actions.move_mailing import preflight, start_mailing
from mailmaker.dispatch.actions.open_mailing import MailingWish, open_mailing
from mailmaker.dispatch.errors import NotReady


def a_segment(street: Street, list_id: UUID, **more: object) -> UUID:
    segment_id = new_id()
    street.contacts.segments[segment_id] = {
        "account_id": str(street.account_id),
        "list_id": str(list_id),
        "segment_id": str(segment_id),
        "name": "Romans",
        "version": 3,
        **more,
    }
    return segment_id


def a_wish(street: Street, segment: UUID | None, *lists: UUID, later: bool = False) -> MailingWish:
    at = CLOCK.now() + timedelta(days=1) if later else None
    return MailingWish(
        "News", "email", street.template, street.sender, lists, "marketing", at, None, None, segment
    )


async def test_the_start_freezes_the_rule_and_the_audience_asks_for_that_version(street: Street) -> None:
    listed = street.contacts.open_list([Person("a@x.test")])
    segment = a_segment(street, listed)
    made = await open_mailing(
        street.db, street.client, street.call, a_wish(street, segment, listed, later=True), CLOCK.now()
    )
    assert (made.segment, made.segment_version, made.segment_rule) == (segment, None, "frozen_at_start")

    started = await start_mailing(street.db, street.client, street.call, made.id, CLOCK.now())
    assert (started.state, started.segment_version) == ("scheduled", 3)

    street.contacts.segments[segment] |= {"version": 4, "retired": True}
    async with street.db.platform() as tx:
        await tx.driver.execute("UPDATE expansions SET due_at = clock_timestamp()")
    assert await street.expander.step()
    asked = street.contacts.audiences[-1]
    assert (asked["segment"], asked["segment_version"]) == (str(segment), "3")


async def test_a_whole_list_asks_for_no_segment(street: Street) -> None:
    await street.mailing(street.contacts.open_list([Person("a@x.test")]))
    assert "segment" not in street.contacts.audiences[-1]


async def test_a_segment_that_cannot_be_used_is_named(street: Street) -> None:
    listed, other = street.contacts.open_list([]), street.contacts.open_list([])
    foreign = a_segment(street, listed, account_id=str(new_id()))
    for wrong, lists, code in (
        (new_id(), (listed,), "segment.unknown"),
        (foreign, (listed,), "segment.unknown"),
        (a_segment(street, listed, retired=True), (listed,), "segment.unknown"),
        (a_segment(street, listed, broken=True), (listed,), "segment.broken"),
        (a_segment(street, listed), (other,), "segment.other_list"),
        (a_segment(street, listed), (listed, other), "segment.other_list"),
    ):
        with pytest.raises(Invalid) as told:
            await open_mailing(
                street.db, street.client, street.call, a_wish(street, wrong, *lists), CLOCK.now()
            )
        assert [(f.pointer, f.code) for f in told.value.faults] == [("/segment", code)]


async def test_a_segment_that_went_since_keeps_the_mailing_from_starting(street: Street) -> None:
    listed = street.contacts.open_list([Person("a@x.test")])
    segment = a_segment(street, listed)
    made = await open_mailing(
        street.db, street.client, street.call, a_wish(street, segment, listed), CLOCK.now()
    )
    street.contacts.segments[segment]["retired"] = True

    found = await preflight(street.db, street.client, street.account_id, made.id, CLOCK.now())
    assert [(b.pointer, b.code) for b in found.blockers] == [("/segment", "segment.unknown")]
    with pytest.raises(NotReady):
        await start_mailing(street.db, street.client, street.call, made.id, CLOCK.now())
