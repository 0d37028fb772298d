"""contacts.actions.stream_audience: the recipients of a mailing in one snapshot, of whole lists or of a segment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from mailmaker.common.mail.address import Channel
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.segments import kept_rule
from mailmaker.contacts.domain.segments import day_of
from mailmaker.contacts.errors import NoSuchThing, OtherList
from mailmaker.contacts.storage import audience, lists, segments
from mailmaker.contacts.storage.audience import Narrowed


async def narrowed(
    house: Contacts, account_id: UUID, list_ids: Sequence[UUID], segment_id: UUID | None, version: int | None
) -> Narrowed | None:
    """What a segment makes of its list: the rule that it had at a version, and the day that its dates count from.

    Raises NoSuchThing, OtherList when the audience is not just the segment's list, BrokenSegment when the rule names
    what the list has lost: nobody is guessed at, and nothing has been streamed yet."""
    if segment_id is None:
        return None
    async with house.db.account(account_id) as tx:
        it = await segments.of_version(tx, account_id, segment_id, version)
        of = None if it is None else await lists.one(tx, account_id, it.list_id)
    if it is None or of is None:
        raise NoSuchThing("no such segment, or it never had this version")
    if list(list_ids) != [it.list_id]:
        raise OtherList("a segment narrows its own list, and only that one may be asked for with it")
    return Narrowed(it.list_id, kept_rule(it, of), day_of(house.clock.now(), of.timezone))


async def stream_audience(
    house: Contacts,
    account_id: UUID,
    channel: Channel,
    list_ids: Sequence[UUID],
    fields: Sequence[str],
    rule: Narrowed | None = None,
) -> AsyncIterator[bytes]:
    """The contacts of some lists that have an address on the channel, in one snapshot, as CSV."""
    async with house.db.account(account_id) as tx:
        known = [await lists.one(tx, account_id, list_id) for list_id in list_ids]
        keys = [{} if it is None else {f.name: f.key for f in it.fields} for it in known]
        async for chunk in audience.stream(tx, account_id, channel, list_ids, fields, keys, rule):
            yield chunk
