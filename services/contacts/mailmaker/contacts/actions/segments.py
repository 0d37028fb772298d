"""contacts.actions.segments: saves, changes, retires and shows segments: rules that say who of a list is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from mailmaker.common.contracts.internal import SegmentRow
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.segment_shapes import SegmentChange, SegmentView, SegmentWish
from mailmaker.contacts.domain.lists import ContactList
from mailmaker.contacts.domain.read_rule import FaultAt, read_rule
from mailmaker.contacts.domain.segment_fields import known_fields
from mailmaker.contacts.domain.segments import MOST_SEGMENTS, Rule, Segment, written
from mailmaker.contacts.errors import BrokenSegment, NoSuchThing, Stale, TooManySegments, wrong_fields
from mailmaker.contacts.storage import lists, segments


async def save_segment(house: Contacts, call: Call, list_id: UUID, wish: SegmentWish) -> SegmentView:
    """Saves a rule under a name. Raises WrongFields naming every fault of the rule, TooManySegments at the 501st."""
    now = house.clock.now()
    async with house.db.write(call, "segment.saved") as tx:
        if (first := tx.replayed(SegmentView)) is not None:
            return first
        # The list's row is the lock that makes counting and adding one step.
        of = await _list(tx, call, list_id, lock=True)
        rule = rule_of(wish.rule, of)
        if await segments.count(tx, call.account_id, list_id) >= MOST_SEGMENTS:
            raise TooManySegments(f"a list has at most {MOST_SEGMENTS} segments")
        it = Segment(call.account_id, list_id, new_id(), wish.name, written(rule), now, now, 1)
        await segments.insert(tx, it)
        tx.subject(it.id)
        return await tx.keep(SegmentView.of(it))


async def change_segment(
    house: Contacts, call: Call, list_id: UUID, segment_id: UUID, change: SegmentChange, version: int | None
) -> SegmentView:
    """Changes what is named. Mailings that were started before keep the rule they were started with.

    Raises Stale when `version` (If-Match) is not the present one."""
    async with house.db.write(call, "segment.changed") as tx:
        of = await _list(tx, call, list_id)
        it = await _held(tx, call, list_id, segment_id, version)
        rule = it.rule if change.rule is None else written(rule_of(change.rule, of))
        it = replace(it, name=change.name or it.name, rule=rule, version=it.version + 1)
        it = replace(it, changed_at=house.clock.now())
        await segments.update(tx, it)
        return SegmentView.of(it, faults_of(it, of))


async def retire_segment(
    house: Contacts, call: Call, list_id: UUID, segment_id: UUID, version: int | None
) -> None:
    """Takes a segment away. Mailings that were started before keep its rule; no other can be."""
    async with house.db.write(call, "segment.retired") as tx:
        it = await _held(tx, call, list_id, segment_id, version)
        await segments.update(
            tx, replace(it, version=it.version + 1, changed_at=house.clock.now(), retired=True)
        )


async def see_segment(house: Contacts, call: Call, list_id: UUID, segment_id: UUID) -> SegmentView:
    async with house.db.account(call.account_id) as tx:
        of = await _list(tx, call, list_id)
        it = await segments.one(tx, call.account_id, list_id, segment_id)
    if it is None:
        raise NoSuchThing("no such segment")
    return SegmentView.of(it, faults_of(it, of))


async def see_segments(
    house: Contacts, call: Call, list_id: UUID, limit: int, cursor: str | None
) -> Page[SegmentView]:
    """A list's segments, oldest first."""
    after = UUID(str(decode_cursor(cursor)[0])) if cursor else NOBODY
    async with house.db.account(call.account_id) as tx:
        of = await _list(tx, call, list_id)
        found = await segments.after(tx, call.account_id, list_id, after, limit + 1)
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    return Page(items=[SegmentView.of(it, faults_of(it, of)) for it in found[:limit]], next=more)


async def segment_row(house: Contacts, segment_id: UUID) -> SegmentRow | None:
    """A segment of any account as it is now, for another house; retired ones too."""
    async with house.db.platform() as tx:
        it = await segments.anywhere(tx, segment_id)
        of = None if it is None else await lists.one(tx, it.account_id, it.list_id)
    if it is None:
        return None
    return SegmentRow(
        account_id=it.account_id,
        list_id=it.list_id,
        segment_id=it.id,
        name=it.name,
        version=it.version,
        retired=it.retired or of is None or of.closed,
        broken=of is not None and bool(faults_of(it, of)),
    )


def rule_of(source: Mapping[str, object], of: ContactList) -> Rule:
    """A rule that a client sends. Raises WrongFields."""
    rule, faults = read_rule(dict(source), known_fields(of))
    if rule is None:
        raise wrong_fields(faults, "the rule cannot be taken; `errors` says where")
    return rule


def faults_of(it: Segment, of: ContactList) -> tuple[FaultAt, ...]:
    """What of a saved rule cannot be applied any more."""
    return read_rule(dict(it.rule), known_fields(of), kept=True)[1]


def kept_rule(it: Segment, of: ContactList) -> Rule:
    """A saved rule, to be applied now. Raises BrokenSegment when it names what the list has lost."""
    rule, faults = read_rule(dict(it.rule), known_fields(of), kept=True)
    if rule is None:
        raise BrokenSegment(
            "the segment's rule names what the list does not have any more; change the segment",
            faults=[Fault(*fault) for fault in faults],
        )
    return rule


async def _list(tx: Transaction, call: Call, list_id: UUID, *, lock: bool = False) -> ContactList:
    of = await lists.one(tx, call.account_id, list_id, lock=lock)
    if of is None or of.closed:
        raise NoSuchThing("no such list")
    return of


async def _held(tx: Transaction, call: Call, list_id: UUID, segment_id: UUID, version: int | None) -> Segment:
    it = await segments.one(tx, call.account_id, list_id, segment_id, lock=True)
    if it is None:
        raise NoSuchThing("no such segment")
    if version is not None and version != it.version:
        raise Stale("the segment has changed since; read it again")
    tx.subject(segment_id)
    return it
