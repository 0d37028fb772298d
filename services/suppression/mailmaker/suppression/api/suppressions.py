"""suppression.api.suppressions: the ledger for clients: record, look up, release, replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from mailmaker.common.mail.address import Channel, InvalidAddress
from mailmaker.common.storage.keyset import LIMIT, Page, decode_cursor, encode_cursor
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.problem import Fault, Forbidden, Invalid
from mailmaker.suppression.actions import read_ledger
from mailmaker.suppression.actions.enforced_of import enforced_of
from mailmaker.suppression.actions.record import Outcome
from mailmaker.suppression.actions.release import release
from mailmaker.suppression.api.house import House
from mailmaker.suppression.api.schemas import (
    FaultView,
    FeedView,
    FullView,
    ItemsView,
    ItemView,
    ReleaseBody,
    SuppressionView,
    WishBody,
    WishesBody,
)
from mailmaker.suppression.api.shapes import evidence_of, full_view, invalid, line_view, view
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.domain.wish import ANY_COUNTRY, Wish, faults, subject_of, wrong_address

ENFORCED_WAIT = 5.0

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"])
Records = Annotated[Call, may("suppressions:write", records_a_no=True)]
Writes = Annotated[Call, may("suppressions:write")]
Reads = Annotated[Call, may("suppressions:read")]
Wait = Annotated[
    Literal["enforced"] | None, Query(description="Holds the answer until it is enforced, at most 5 s.")
]


@router.post("", status_code=201, responses={200: {"model": SuppressionView, "description": "Said before."}})
async def record(
    body: WishBody, call: Records, house: House, request: Request, response: Response, wait: Wait = None
) -> SuppressionView:
    """Records one "no". Answers after it is durable; a repeated one with its first entry."""
    _may_say(call, body)
    checked = (await house.wishes.check(call, [body.wish()]))[0]
    if not isinstance(checked, No):
        raise invalid(checked)
    outcomes = await house.wishes.record(call, [checked], evidence_of(request))
    response.status_code = 200 if outcomes[0].repeated else 201
    return view((await _entries(house, call, outcomes, wait))[outcomes[0].entry])


@router.post(":batch")
async def record_many(
    body: WishesBody, call: Records, house: House, request: Request, wait: Wait = None
) -> ItemsView:
    """Records up to a thousand in one commit, one answer each. An item that is not understood holds up no other."""
    for item in body.items:
        _may_say(call, item)
    checked = await house.wishes.check(call, [item.wish() for item in body.items])
    nos = [no for no in checked if isinstance(no, No)]
    outcomes = await house.wishes.record(call, nos, evidence_of(request)) if nos else []
    found = await _entries(house, call, outcomes, wait)
    answers = iter(outcomes)
    items: list[ItemView] = []
    for place, one in enumerate(checked):
        if isinstance(one, No):
            answer = next(answers)
            items.append(
                ItemView(status=200 if answer.repeated else 201, suppression=view(found[answer.entry]))
            )
        else:
            wrong = tuple(
                FaultView(pointer=f"/items/{place}/{w.name}", code=w.code, detail=w.detail) for w in one
            )
            items.append(ItemView(status=422, errors=wrong))
    return ItemsView(items=items)


@router.get("")
async def look_up(
    call: Reads,
    house: House,
    email: Annotated[str | None, Query(max_length=1000)] = None,
    mobile: Annotated[str | None, Query(max_length=100)] = None,
    fkey: Annotated[str | None, Query(max_length=1000)] = None,
    list: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
    cursor: str | None = None,
) -> Page[SuppressionView]:
    """The account's entries, newest first, of every scope; one person's, by email, by mobile, or by list and fkey."""
    subjects = await _subjects(house, call, email, mobile, fkey, list)
    entries = await read_ledger.newest(house.db, call, subjects, _before(cursor), limit + 1)
    page = entries[:limit]
    more = len(entries) > limit
    after = encode_cursor(page[-1].recorded_at.isoformat(), str(page[-1].id)) if more else None
    return Page(items=[view(entry) for entry in page], next=after)


@router.get("/feed")
async def own_feed(
    call: Reads,
    house: House,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 500,
) -> FeedView:
    """The account's own feed, in its own gapless numbers: replay from any of them."""
    if call.list_ids is not None:
        raise Forbidden(
            "the feed is of the whole account; this key is limited to some lists", code="list_not_allowed"
        )
    rows, head = await read_ledger.own_feed(house.db, call, after, limit)
    return FeedView(items=[line_view(row) for row in rows], head=head)


@router.get("/{id}")
async def one(id: UUID, call: Reads, house: House) -> FullView:
    """One entry, with its evidence and repetitions."""
    return full_view(await read_ledger.one(house.db, call, id))


@router.delete("/{id}")
async def take_back(
    id: UUID,
    call: Writes,
    house: House,
    body: ReleaseBody | None = None,
    reason: Annotated[str | None, Query(max_length=500)] = None,
) -> SuppressionView:
    """Releases an entry that the client may take back. An opt-out or a complaint: 409, only the person can."""
    why = body.reason if body is not None else (reason or "").strip()
    if not why:
        raise Invalid(
            "a release needs a reason",
            faults=[Fault("/reason", "reason.missing", "say why it is taken back")],
        )
    return view(await release(house.db, house.bell, call, id, why))


def _may_say(call: Call, body: WishBody) -> None:
    if body.scope == "account" and call.list_ids is not None:
        raise Forbidden("this key is limited to some lists", code="list_not_allowed")
    if body.list is not None:
        check_list(call, body.list)


async def _entries(
    house: House, call: Call, outcomes: Sequence[Outcome], wait: Literal["enforced"] | None
) -> dict[UUID, Entry]:
    """The entries of the outcomes; one made a moment ago is not read again, unless its enforcement is waited for."""
    made = {o.entry: o.made for o in outcomes if o.made is not None and wait is None}
    unread = [o.entry for o in outcomes if o.entry not in made]
    if not unread:
        return made
    seconds = ENFORCED_WAIT if wait == "enforced" else 0.0
    return made | await enforced_of(house.db, house.bell, call.account_id, unread, seconds)


def _before(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    position = decode_cursor(cursor)
    try:
        at, id = position
        return datetime.fromisoformat(str(at)), UUID(str(id))
    except ValueError as wrong:
        fault = Fault("/cursor", "cursor.unknown", "begin without a cursor")
        raise Invalid("the cursor is not one of ours", faults=[fault]) from wrong


async def _subjects(
    house: House, call: Call, email: str | None, mobile: str | None, fkey: str | None, list_id: UUID | None
) -> list[bytes] | None:
    """The keys a look-up means; None: everybody's."""
    if email is None and mobile is None and fkey is None:
        if list_id is not None:
            raise invalid(faults(Wish("email", "list", "manual", list_id)))
        return None
    channel: Channel = "email" if mobile is None else "sms"
    # In a query string a plus sign is a space: a number written with it arrives without.
    number = None if mobile is None else "+" + mobile[1:] if mobile.startswith(" ") else mobile
    wish = Wish(channel, "account", "manual", list_id, email, number, fkey)
    if wrong := faults(wish):
        raise invalid(wrong)
    if list_id is not None:
        check_list(call, list_id)
    country = ANY_COUNTRY if number is None or list_id is None else await _country(house, list_id)
    try:
        return [subject_of(wish, house.pepper, call.account_id, country)]
    except InvalidAddress as wrong_one:
        raise invalid([wrong_address(wish, wrong_one)]) from wrong_one


async def _country(house: House, list_id: UUID) -> str:
    try:
        row = await house.contacts.list(list_id)
    except Unreachable:
        return ANY_COUNTRY
    return ANY_COUNTRY if row is None else row.default_country
