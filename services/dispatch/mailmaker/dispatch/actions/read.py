"""dispatch.actions: reads: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.mailing_views import (
    DecisionView,
    MailingView,
    MessageView,
    decision_view,
    mailing_view,
    message_view,
)
from mailmaker.dispatch.actions.views import (
    DomainView,
    SenderView,
    TemplateView,
    domain_view,
    sender_view,
    template_view,
)
from mailmaker.dispatch.domain.counts import STATES, WAITING, counts_of
from mailmaker.dispatch.domain.decisions import Message
from mailmaker.dispatch.errors import UnknownDomain, UnknownMailing, UnknownMessage, UnknownTemplate
from mailmaker.dispatch.storage import domains, mailings, messages, templates

LAST = UUID(int=(1 << 128) - 1)
T = TypeVar("T")
V = TypeVar("V")


async def domain_page(
    db: Database, account_id: UUID, limit: int, cursor: str | None, mail_domain: str
) -> Page[DomainView]:
    """The account's domains."""
    async with db.account(account_id) as tx:
        found = await domains.page(tx, account_id, _after(cursor), limit)
    return _page(found, limit, lambda d: domain_view(d, mail_domain), lambda d: str(d.id))


async def one_domain(db: Database, account_id: UUID, domain_id: UUID, mail_domain: str) -> DomainView:
    """A domain with the records to publish."""
    async with db.account(account_id) as tx:
        found = await domains.one(tx, account_id, domain_id)
    if found is None:
        raise UnknownDomain("there is no such domain")
    return domain_view(found, mail_domain)


async def sender_page(db: Database, account_id: UUID, limit: int, cursor: str | None) -> Page[SenderView]:
    """The account's senders."""
    async with db.account(account_id) as tx:
        found = await domains.sender_page(tx, account_id, _after(cursor), limit)
    return _page(found, limit, sender_view, lambda s: str(s.id))


async def template_page(db: Database, account_id: UUID, limit: int, cursor: str | None) -> Page[TemplateView]:
    """The account's templates."""
    async with db.account(account_id) as tx:
        found = await templates.page(tx, account_id, _after(cursor), limit)
    return _page(found, limit, template_view, lambda t: str(t.id))


async def one_template(db: Database, account_id: UUID, template_id: UUID) -> TemplateView:
    """A template."""
    async with db.account(account_id) as tx:
        found = await templates.one(tx, account_id, template_id)
    if found is None:
        raise UnknownTemplate("there is no such template")
    return template_view(found)


async def mailing_page(db: Database, account_id: UUID, limit: int, cursor: str | None) -> Page[MailingView]:
    """The account's mailings, the newest first, each with its counts."""
    before = LAST if cursor is None else _after(cursor)
    async with db.account(account_id) as tx:
        found = await mailings.page(tx, account_id, before, limit)
        views = [(m, mailing_view(m, counts_of(await messages.counts(tx, account_id, m.id)))) for m in found]
    return _page(views, limit, lambda pair: pair[1], lambda pair: str(pair[0].id))


async def one_mailing(db: Database, account_id: UUID, mailing_id: UUID) -> MailingView:
    """A mailing with its counts."""
    async with db.account(account_id) as tx:
        found = await mailings.one(tx, account_id, mailing_id)
        if found is None:
            raise UnknownMailing("there is no such mailing")
        return mailing_view(found, counts_of(await messages.counts(tx, account_id, mailing_id)))


async def message_page(
    db: Database, account_id: UUID, mailing_id: UUID, state: str | None, limit: int, cursor: str | None
) -> Page[MessageView]:
    """Who a mailing is for; `state` is one of a message's states, or `waiting`."""
    found = await _messages(db, account_id, mailing_id, state, limit, cursor)
    return _page(found, limit, message_view, lambda m: (m.state, str(m.id)))


async def decision_page(
    db: Database,
    account_id: UUID,
    mailing_id: UUID | None,
    contact_id: UUID | None,
    limit: int,
    cursor: str | None,
) -> Page[DecisionView]:
    """Why, or why not: of one mailing, of one contact, or of both together."""
    if mailing_id is not None and contact_id is not None:
        async with db.account(account_id) as tx:
            one = await messages.one(tx, account_id, mailing_id, contact_id)
        if one is None:
            raise UnknownMessage("this contact is no recipient of this mailing")
        return Page(items=await _explained(db, account_id, [one]), next=None)
    if mailing_id is not None:
        found = await _messages(db, account_id, mailing_id, None, limit, cursor)
        end = _end(found, limit, lambda m: (m.state, str(m.id)))
        return Page(items=await _explained(db, account_id, found), next=end)
    if contact_id is None:
        raise Invalid(
            "say whose decisions", faults=[Fault("/mailing", "missing", "give mailing, contact, or both")]
        )
    async with db.account(account_id) as tx:
        found = await messages.of_contact(tx, account_id, contact_id, _after(cursor), limit)
    end = _end(found, limit, lambda m: str(m.mailing_id))
    return Page(items=await _explained(db, account_id, found), next=end)


async def _explained(db: Database, account_id: UUID, found: list[Message]) -> list[DecisionView]:
    """Decisions with the mailings they name."""
    numbers = sorted({number for message in found for number in message.cap_holders})
    named: dict[int, UUID] = {}
    if numbers:
        async with db.account(account_id) as tx:
            named = await mailings.ids_of(tx, account_id, numbers)
    return [decision_view(message, named) for message in found]


async def _messages(
    db: Database, account_id: UUID, mailing_id: UUID, state: str | None, limit: int, cursor: str | None
) -> list[Message]:
    if state is not None and state not in (*STATES, "waiting"):
        raise Invalid(
            "there is no such state",
            faults=[Fault("/state", "state.unknown", f"one of {', '.join((*STATES, 'waiting'))}")],
        )
    states = (
        [state]
        if state not in (None, "waiting") and state is not None
        else sorted(WAITING if state else STATES)
    )
    async with db.account(account_id) as tx:
        if await mailings.one(tx, account_id, mailing_id) is None:
            raise UnknownMailing("there is no such mailing")
        return await messages.of_mailing(tx, account_id, mailing_id, states, _after_state(cursor), limit)


def _page(
    found: list[T], limit: int, show: Callable[[T], V], place: Callable[[T], str | tuple[str, ...]]
) -> Page[V]:
    """The page of what was found."""
    return Page(items=[show(one) for one in found], next=_end(found, limit, place))


def _end(found: list[T], limit: int, place: Callable[[T], str | tuple[str, ...]]) -> str | None:
    """The cursor behind what was found; a full page may have a next one."""
    if len(found) < limit:
        return None
    last = place(found[-1])
    return encode_cursor(*((last,) if isinstance(last, str) else last))


def _after(cursor: str | None) -> UUID:
    return NOBODY if cursor is None else _uuid(decode_cursor(cursor), 0)


def _after_state(cursor: str | None) -> tuple[str, UUID]:
    if cursor is None:
        return "", NOBODY
    place = decode_cursor(cursor)
    return str(place[0]), _uuid(place, 1)


def _uuid(place: tuple[str | int, ...], at: int) -> UUID:
    try:
        return UUID(str(place[at]))
    except (ValueError, IndexError) as wrong:
        raise Invalid(
            "the cursor is not one of ours",
            faults=[Fault("/cursor", "cursor.unknown", "begin without a cursor")],
        ) from wrong
