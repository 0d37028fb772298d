"""dispatch.actions: starts, pauses and resumes mailings. A start runs the preflight itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from mailmaker.common.contracts.mailings import MailingChanged
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.problem import Fault
from mailmaker.dispatch.actions.known_lists import ask_lists
from mailmaker.dispatch.actions.known_segments import ask_segment
from mailmaker.dispatch.actions.mailing_views import BlockerView, MailingView, PreflightView, mailing_view
from mailmaker.dispatch.domain.counts import Counts, counts_of
from mailmaker.dispatch.domain.mailing import Mailing, MailingState, Verb, state_after
from mailmaker.dispatch.domain.preflight import Blocker, blockers
from mailmaker.dispatch.errors import NotReady, UnknownMailing, WrongState
from mailmaker.dispatch.storage import domains, egress, expansions, lists, mailings, messages

VALID_FOR = timedelta(days=5)
"""How long a mailing may go on trying when its client does not say (RFC 5321 section 4.5.4.1: 4 to 5 days)."""


async def start_mailing(
    db: Database, contacts: InternalClient, call: Call, mailing_id: UUID, now: datetime
) -> MailingView:
    """Starts a draft: at once, or at its schedule. Raises NotReady with what the preflight found."""
    frozen, wrong = await _refresh(db, contacts, call.account_id, mailing_id)
    async with db.write(call, "mailing.started") as tx:
        if (first := tx.replayed(MailingView)) is not None:
            return first
        mailing = await locked(tx, call.account_id, mailing_id)
        scheduled = mailing.schedule is not None and mailing.schedule > now
        target = allowed(mailing, "start", scheduled=scheduled)
        if target != mailing.state:
            found = await _blockers(tx, mailing, now, wrong)
            if found:
                raise NotReady(
                    "the mailing cannot start",
                    faults=[Fault(blocker.pointer, blocker.code, blocker.detail) for blocker in found],
                )
            due = mailing.schedule if scheduled and mailing.schedule is not None else now
            mailing = await mailings.move(
                tx,
                mailing,
                target,
                now,
                valid_until=mailing.valid_until or due + VALID_FOR,
                segment_version=frozen,
            )
            await expansions.request(tx, call.account_id, mailing.id, due)
            await tell(tx, mailing, now)
        return await tx.keep(await view(tx, mailing))


async def preflight(
    db: Database, contacts: InternalClient, account_id: UUID, mailing_id: UUID, now: datetime
) -> PreflightView:
    """What a start would find, without starting."""
    _, wrong = await _refresh(db, contacts, account_id, mailing_id)
    async with db.account(account_id) as tx:
        mailing = await mailings.one(tx, account_id, mailing_id)
        if mailing is None:
            raise UnknownMailing("there is no such mailing")
        found = await _blockers(tx, mailing, now, wrong)
    return PreflightView(
        ok=not found, blockers=[BlockerView(pointer=b.pointer, code=b.code, detail=b.detail) for b in found]
    )


async def pause_or_resume(
    db: Database, call: Call, mailing_id: UUID, verb: Verb, now: datetime
) -> MailingView:
    """Pauses or resumes. No claim and no begin that starts after the answer finds it running."""
    async with db.write(call, f"mailing.{verb}") as tx:
        if (first := tx.replayed(MailingView)) is not None:
            return first
        mailing = await locked(tx, call.account_id, mailing_id)
        target = allowed(mailing, verb)
        if target != mailing.state:
            mailing = await mailings.move(tx, mailing, target, now)
            await tell(tx, mailing, now)
        return await tx.keep(await view(tx, mailing))


async def locked(tx: Transaction, account_id: UUID, mailing_id: UUID) -> Mailing:
    """The mailing with its row held to the commit. Raises UnknownMailing."""
    mailing = await mailings.one(tx, account_id, mailing_id, lock=True)
    if mailing is None:
        raise UnknownMailing("there is no such mailing")
    tx.subject(mailing_id)
    return mailing


def allowed(mailing: Mailing, verb: Verb, *, scheduled: bool = False) -> MailingState:
    """The state a verb leads to. Raises WrongState."""
    target = state_after(mailing.state, verb, scheduled=scheduled)
    if target is None:
        raise WrongState(f"a {mailing.state} mailing cannot {verb}")
    return target


async def tell(tx: Transaction, mailing: Mailing, now: datetime) -> None:
    """Stages the mailing's new state with its counts."""
    if mailing.state == "draft":
        return
    counts = await count(tx, mailing)
    tx.stage(
        MailingChanged(
            account_id=mailing.account_id,
            occurred_at=now,
            mailing_id=mailing.id,
            number=mailing.number,
            state=mailing.state,
            counts=counts.as_dict(),
            version=mailing.version,
        )
    )


async def view(tx: Transaction, mailing: Mailing) -> MailingView:
    """The mailing with its counts as this transaction sees them."""
    return mailing_view(mailing, await count(tx, mailing))


async def count(tx: Transaction, mailing: Mailing) -> Counts:
    """The mailing's counts, from its messages."""
    return counts_of(await messages.counts(tx, mailing.account_id, mailing.id))


async def _refresh(
    db: Database, contacts: InternalClient, account_id: UUID, mailing_id: UUID
) -> tuple[int | None, Blocker | None]:
    """Asks contacts anew about a draft's lists and segment. Returns the rule's version, and what is wrong with it."""
    async with db.account(account_id) as tx:
        mailing = await mailings.one(tx, account_id, mailing_id)
    if mailing is None:
        raise UnknownMailing("there is no such mailing")
    if mailing.state != "draft":
        return None, None
    await ask_lists(db, contacts, account_id, mailing.list_ids, fresh=True)
    return await ask_segment(contacts, account_id, mailing.segment_id, mailing.list_ids)


async def _blockers(
    tx: Transaction, mailing: Mailing, now: datetime, segment: Blocker | None
) -> tuple[Blocker, ...]:
    sender = await domains.one_sender(tx, mailing.account_id, mailing.sender_id)
    known = await lists.some(tx, mailing.account_id, mailing.list_ids)
    ways = await egress.of_account(tx, mailing.account_id)
    return blockers(mailing, sender, known, now, segment, ways)
