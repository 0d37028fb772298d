"""contacts.actions.count_segment: says how many contacts a rule means now, shows some, and pages through all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import ContactView
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.lists import see_list
from mailmaker.contacts.actions.segment_shapes import CountWish, SegmentCount
from mailmaker.contacts.actions.segments import kept_rule, rule_of
from mailmaker.contacts.domain.segments import Group, Rule, day_of
from mailmaker.contacts.errors import NoSuchThing, TooManyCounts
from mailmaker.contacts.storage import segments

SAMPLE = 20
PATIENCE = 10.0
"""Seconds a count waits for others of this process to end."""


async def count_segment(house: Contacts, call: Call, list_id: UUID, wish: CountWish) -> SegmentCount:
    """Counts the contacts a rule means now, and shows up to twenty of them. Raises WrongFields, TooSlow, TooManyCounts."""
    of = await see_list(house, call, list_id)
    rule = rule_of(wish.rule, of)
    began = time.perf_counter()
    async with _turn(house), house.db.account(call.account_id) as tx:
        day = day_of(house.clock.now(), of.timezone)
        many, some = await segments.how_many(tx, call.account_id, list_id, rule, day, SAMPLE)
    took = round(time.perf_counter() - began, 6)
    return SegmentCount(count=many, sample=[ContactView.of(c, of) for c in some], took=took)


async def see_members(
    house: Contacts,
    call: Call,
    list_id: UUID,
    segment_id: UUID,
    also: Rule | None,
    limit: int,
    cursor: str | None,
) -> Page[ContactView]:
    """Contacts that a segment means now, and `also` as well, in the order of the list's keys.

    Raises BrokenSegment, TooSlow, TooManyCounts."""
    of = await see_list(house, call, list_id)
    after = str(decode_cursor(cursor)[0]) if cursor else ""
    async with _turn(house), house.db.account(call.account_id) as tx:
        it = await segments.one(tx, call.account_id, list_id, segment_id)
        if it is None:
            raise NoSuchThing("no such segment")
        rule = kept_rule(it, of)
        if also is not None:
            rule = Group("all", (rule, also))
        day = day_of(house.clock.now(), of.timezone)
        found = await segments.page(tx, call.account_id, list_id, rule, day, after, limit + 1)
    more = encode_cursor(found[limit - 1].key_text) if len(found) > limit else None
    return Page(items=[ContactView.of(c, of) for c in found[:limit]], next=more)


@asynccontextmanager
async def _turn(house: Contacts) -> AsyncIterator[None]:
    """A few rules at a time: the doors that write need connections too."""
    try:
        async with asyncio.timeout(PATIENCE):
            await house.counting.acquire()
    except TimeoutError as wrong:
        raise TooManyCounts(
            "other counts are at work; try again in a moment", headers={"Retry-After": "2"}
        ) from wrong
    try:
        yield
    finally:
        house.counting.release()
