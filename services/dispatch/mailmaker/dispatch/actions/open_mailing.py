"""dispatch.actions: makes a mailing as a draft: a copy of a template, a sender and some lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.auth import check_list
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.add_template import refuse_without_unsubscribe, uses_of
from mailmaker.dispatch.actions.known_lists import ask_lists
from mailmaker.dispatch.actions.known_segments import ask_segment
from mailmaker.dispatch.actions.mailing_views import MailingView, mailing_view
from mailmaker.dispatch.domain.counts import Counts
from mailmaker.dispatch.domain.mailing import MailClass, Mailing
from mailmaker.dispatch.domain.sending import Sender, Template
from mailmaker.dispatch.errors import NotAvailable
from mailmaker.dispatch.storage import domains, mailings, templates


@dataclass(frozen=True, slots=True)
class MailingWish:
    """A mailing as a client asks for it."""

    name: str
    channel: str
    template: UUID
    sender: UUID
    lists: tuple[UUID, ...]
    mail_class: MailClass
    schedule: datetime | None
    rate: int | None
    valid_until: datetime | None
    segment: UUID | None = None
    tag: str | None = None


async def open_mailing(
    db: Database, contacts: InternalClient, call: Call, wish: MailingWish, now: datetime
) -> MailingView:
    """Makes a draft. Raises Invalid naming every field that is wrong: /lists/0, /template, /sender."""
    if wish.channel != "email":
        raise NotAvailable(
            "SMS mailings are not available yet", faults=[Fault("/channel", "not_available", "use email")]
        )
    await _check_lists(db, contacts, call, wish.lists)
    _, wrong = await ask_segment(contacts, call.account_id, wish.segment, wish.lists)
    if wrong is not None:
        raise Invalid("the segment is not usable", faults=[Fault(wrong.pointer, wrong.code, wrong.detail)])
    async with db.write(call, "mailing.made") as tx:
        if (first := tx.replayed(MailingView)) is not None:
            return first
        template, sender = await _text_and_sender(tx, call, wish)
        mailing = Mailing(
            account_id=call.account_id,
            account_number=call.account_number,
            id=new_id(),
            number=await mailings.next_number(tx, call.account_id),
            name=wish.name,
            channel=wish.channel,
            mail_class=wish.mail_class,
            state="draft",
            template_id=template.id,
            sender_id=sender.id,
            domain_id=sender.domain_id,
            list_ids=wish.lists,
            subject=template.subject,
            html=template.html,
            body=template.body,
            fields=template.fields,
            from_name=sender.name,
            from_email=sender.email,
            reply_to=sender.reply_to,
            rate=wish.rate,
            schedule=wish.schedule,
            valid_until=wish.valid_until,
            failure=None,
            created_at=now,
            started_at=None,
            expanded_at=None,
            ended_at=None,
            version=1,
            segment_id=wish.segment,
            tag=wish.tag,
        )
        tx.subject(mailing.id)
        await mailings.add(tx, mailing)
        return await tx.keep(mailing_view(mailing, Counts()))


async def _check_lists(
    db: Database, contacts: InternalClient, call: Call, list_ids: tuple[UUID, ...]
) -> None:
    for list_id in list_ids:
        check_list(call, list_id)
    known = await ask_lists(db, contacts, call.account_id, list_ids, fresh=False)
    faults = []
    for place, list_id in enumerate(list_ids):
        if list_id not in known or known[list_id].closed:
            faults.append(Fault(f"/lists/{place}", "list.unknown", "this account has no such list"))
        elif list_id in list_ids[:place]:
            faults.append(Fault(f"/lists/{place}", "list.twice", "name each list once"))
    if faults:
        raise Invalid("the lists are not all usable", faults=faults)


async def _text_and_sender(tx: Transaction, call: Call, wish: MailingWish) -> tuple[Template, Sender]:
    template = await templates.one(tx, call.account_id, wish.template)
    sender = await domains.one_sender(tx, call.account_id, wish.sender)
    faults = []
    if template is None:
        faults.append(Fault("/template", "template.unknown", "this account has no such template"))
    if sender is None:
        faults.append(Fault("/sender", "sender.unknown", "this account has no such sender"))
    if template is None or sender is None:
        raise Invalid("the mailing names something this account does not have", faults=faults)
    if wish.mail_class == "marketing":
        refuse_without_unsubscribe(uses_of(template), template.html, template.body)
    return template, sender
