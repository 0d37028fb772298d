"""contacts.actions.see_history: everything that was done to a contact, and what it was sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import ContactMessages
from mailmaker.common.storage.keyset import decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import Refused, Unreachable
from mailmaker.contacts.actions.history_shapes import HistoryEntry, HistoryView, SentView
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.fields import facts_by_names
from mailmaker.contacts.errors import NoSuchThing, wrong_fields
from mailmaker.contacts.storage import contacts, history, lists

MOST_MESSAGES = 100
PATIENCE = 2.0


async def see_history(
    house: Contacts, call: Call, list_id: UUID, contact_id: UUID, limit: int, cursor: str | None
) -> HistoryView:
    """Everything done to a contact, also after it left its list. Raises NoSuchThing when nothing is known.

    The first page has its latest messages too: dispatch is asked, and where it does not answer the page says so.
    """
    after = _place(cursor) if cursor else history.START
    async with house.db.account(call.account_id) as tx:
        of = await lists.one(tx, call.account_id, list_id)
        if of is None:
            raise NoSuchThing("no such list")
        found = await history.of_contact(tx, call.account_id, list_id, contact_id, after, limit + 1)
        unknown = not found and await contacts.one(tx, call.account_id, list_id, contact_id) is None
    if unknown and cursor is None:
        raise NoSuchThing("no such contact")
    items = [
        HistoryEntry.model_validate(
            {
                "at": e.at,
                "what": e.what,
                "by": e.by,
                "door": e.door,
                "before": facts_by_names(e.before, of),
                "after": facts_by_names(e.after, of),
            }
        )
        for e in found[:limit]
    ]
    last = found[limit - 1] if len(found) > limit else None
    more = encode_cursor(last.at.isoformat(), last.tie) if last else None
    if cursor is not None:
        return HistoryView(items=items, next=more, messages=[], messages_state="first_page_only")
    return await _with_messages(house, call.account_id, contact_id, HistoryView(items=items, next=more))


async def _with_messages(
    house: Contacts, account_id: UUID, contact_id: UUID, view: HistoryView
) -> HistoryView:
    try:
        answer = await house.dispatch.get(
            f"/internal/accounts/{account_id}/contacts/{contact_id}/messages",
            ContactMessages,
            {"limit": MOST_MESSAGES},
            timeout=PATIENCE,
        )
    except (Unreachable, Refused):
        answer = None
    if answer is None:
        return view
    view.messages = [SentView.model_validate(one.model_dump()) for one in answer.items]
    view.messages_state = "latest" if answer.more else "complete"
    return view


def _place(cursor: str) -> tuple[datetime, str]:
    at, *rest = decode_cursor(cursor)
    try:
        if len(rest) == 1:
            return datetime.fromisoformat(str(at)), str(rest[0])
    except ValueError:
        pass
    raise wrong_fields([("/cursor", "cursor.unknown", "not a cursor of a history; begin without one")])
