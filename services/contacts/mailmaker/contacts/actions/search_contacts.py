"""contacts.actions.search_contacts: contacts of a list by what they hold, and a person's records in every list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.mail.address import InvalidAddress, canonical_address, canonical_mobile
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import ContactView
from mailmaker.contacts.actions.count_segment import see_members
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.lists import see_list
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.lists import ContactList
from mailmaker.contacts.domain.protection import keys_for
from mailmaker.contacts.domain.segments import searched
from mailmaker.contacts.errors import wrong_fields
from mailmaker.contacts.storage import lists, search

NO_COUNTRY = "ZZ"
"""Across lists there is no default country: a number needs its own."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. Addresses and the key are compared as they would be stored. `consent` is a state, or
    `email:STATE` or `sms:STATE`; `sort` an order of storage.search, `-` before it turns it round."""

    email: str | None = None
    mobile: str | None = None
    fkey: str | None = None
    q: str | None = None
    consent: str | None = None
    changed_since: datetime | None = None
    sort: str = "key"


async def search_contacts(
    house: Contacts, call: Call, list_id: UUID, wish: Search, limit: int, cursor: str | None
) -> Page[ContactView]:
    """A page of a list's contacts. A contact that is not written meanwhile is met exactly once, whatever else is written.

    Raises WrongFields, Invalid for a cursor of another order, SearchTooSlow.
    """
    it = await see_list(house, call, list_id)
    asked = _asked(house, it, wish)
    sort = wish.sort.removeprefix("-")
    async with house.db.account(call.account_id) as tx:
        found = await search.page(
            tx,
            call.account_id,
            list_id,
            asked,
            sort=sort,
            descending=wish.sort.startswith("-"),
            after=_place(wish.sort, cursor) if cursor else None,
            limit=limit + 1,
        )
    more = None
    if len(found) > limit:
        contact, place = found[limit - 1]
        more = encode_cursor(
            wish.sort, place if isinstance(place, str) else place.isoformat(), str(contact.id)
        )
    return Page(items=[ContactView.of(c, it) for c, _ in found[:limit]], next=more)


async def search_segment(
    house: Contacts,
    call: Call,
    list_id: UUID,
    segment_id: UUID,
    wish: Search,
    limit: int,
    cursor: str | None,
) -> Page[ContactView]:
    """Whom a segment means now, among those with an address, a key or a text. Raises WrongFields for what its rule says
    itself."""
    it = await see_list(house, call, list_id)
    if wish.consent is not None or wish.changed_since is not None or wish.sort != "key":
        why = "with a segment the rule says consent and times, and the order is the key's"
        raise wrong_fields([("/segment", "segment.alone", why)])
    email, mobile = _canonical(wish.email, wish.mobile, it.default_country)
    also = searched(email, mobile, wish.fkey, wish.q)
    return await see_members(house, call, list_id, segment_id, also, limit, cursor)


async def search_everywhere(
    house: Contacts, call: Call, email: str | None, mobile: str | None, limit: int, cursor: str | None
) -> Page[ContactView]:
    """A person's records in every list of the account, or of the key's lists, by one address. Raises WrongFields."""
    if (email is None) == (mobile is None):
        raise wrong_fields([("/email", "address.needed", "say one address: email or mobile")])
    email, mobile = _canonical(email, mobile, NO_COUNTRY)
    keys = keys_for(house.pepper, call.account_id, NOBODY, email, mobile)
    after = _uuid(_position(cursor, 1)[0]) if cursor else NOBODY
    async with house.db.account(call.account_id) as tx:
        found = await search.anywhere(
            tx,
            call.account_id,
            keys.email or keys.mobile or b"",
            mobile=mobile is not None,
            lists=None if call.list_ids is None else sorted(call.list_ids),
            after=after,
            limit=limit + 1,
        )
        known: dict[UUID, ContactList] = {}
        for list_id in {c.list_id for c in found[:limit]}:
            if (it := await lists.one(tx, call.account_id, list_id)) is not None:
                known[list_id] = it
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    return Page(items=[ContactView.of(c, known[c.list_id]) for c in found[:limit]], next=more)


def _asked(house: Contacts, it: ContactList, wish: Search) -> search.Asked:
    email, mobile = _canonical(wish.email, wish.mobile, it.default_country)
    keys = keys_for(house.pepper, it.account_id, it.id, email, mobile, wish.fkey)
    channel, _, state = (wish.consent or "").rpartition(":")
    if wish.consent is not None and (channel not in ("", "email", "sms") or state not in set(Consent)):
        raise wrong_fields([("/consent", "consent.unknown", "a state, or email:STATE, or sms:STATE")])
    if wish.sort.removeprefix("-") not in search.SORTS:
        raise wrong_fields([("/sort", "sort.unknown", f"one of {', '.join(search.SORTS)}, or - before it")])
    if wish.changed_since is not None and wish.changed_since.tzinfo is None:
        raise wrong_fields([("/changed_since", "time.zone_needed", "a time with its offset, as …Z")])
    return search.Asked(
        email_key=keys.email,
        mobile_key=keys.mobile,
        fkey_hash=keys.fkey,
        like=search.pattern(wish.q) if wish.q else None,
        email_consent=state if channel == "email" else None,
        sms_consent=state if channel == "sms" else None,
        any_consent=state if state and not channel else None,
        changed_since=wish.changed_since,
    )


def _canonical(email: str | None, mobile: str | None, country: str) -> tuple[str | None, str | None]:
    faults = []
    try:
        email = canonical_address(email) if email else None
    except InvalidAddress as wrong:
        faults.append(("/email", wrong.code, wrong.detail))
    try:
        mobile = canonical_mobile(mobile, country) if mobile else None
    except InvalidAddress as wrong:
        faults.append(("/mobile", wrong.code, wrong.detail))
    if faults:
        raise wrong_fields(faults)
    return email, mobile


def _place(sort: str, cursor: str) -> search.Place:
    said, place, contact_id = _position(cursor, 3)
    try:
        at = (
            datetime.fromisoformat(place) if sort.removeprefix("-") in ("created_at", "changed_at") else place
        )
        if said == sort:
            return at, UUID(contact_id)
    except ValueError:
        pass
    raise _foreign()


def _position(cursor: str, parts: int) -> list[str]:
    found = [str(part) for part in decode_cursor(cursor)]
    if len(found) != parts:
        raise _foreign()
    return found


def _foreign() -> Exception:
    return wrong_fields([("/cursor", "cursor.unknown", "not a cursor of this search; begin without one")])


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as wrong:
        raise _foreign() from wrong
