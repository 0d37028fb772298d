"""fbl.actions.receive: a mail we answered 250 is kept, and the "no" in an unsubscribe mail is on its way, in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.complaints import OptOutRequested
from mailmaker.common.contracts.internal import No
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.transaction import Transaction
from mailmaker.fbl.actions.hand_over import NOS
from mailmaker.fbl.domain.mailbox import Box, Mailbox
from mailmaker.fbl.domain.report import NewReport
from mailmaker.fbl.domain.verdict import asks_to_unsubscribe
from mailmaker.fbl.storage import arrivals


@dataclass(frozen=True, slots=True)
class Addressee:
    """One accepted RCPT with the account its token names; nil where it names none that contacts knows."""

    mailbox: Mailbox
    account_id: UUID = NOBODY


@dataclass(frozen=True, slots=True)
class Arrived:
    """One SMTP transaction. `content_type` and `message_id` are read from the header before anything else is."""

    raw: bytes = field(repr=False)
    mail_from: str
    addressees: Sequence[Addressee]
    received_at: datetime
    content_type: str
    message_id: str | None
    peer: str
    helo: str


@dataclass(frozen=True, slots=True)
class Kept:
    """`new` reports were made; `waiting` of them are for the parser; the rest had come before."""

    new: int
    opt_outs: int
    waiting: int


async def receive(db: Database, arrived: Arrived) -> Kept:
    """Keeps a mail for each mailbox it came to. When this returns, answering 250 is safe.

    Raises StorageUnavailable: then nothing is kept, and the client is told to come again.
    """
    sha256 = hashlib.sha256(arrived.raw).digest()
    new = opt_outs = waiting = 0
    async with db.platform() as tx:
        # One order for everybody: two copies of a mail to the same mailboxes wait for each other, never in a circle.
        for one in sorted(set(arrived.addressees), key=lambda to: (to.account_id, to.mailbox.address)):
            account_id, rcpt = one.account_id, one.mailbox.address
            if not await arrivals.first_arrival(tx, account_id, sha256, rcpt, arrived.received_at):
                continue
            report = _report(arrived, one, sha256)
            await arrivals.keep_raw(tx, account_id, sha256, arrived.raw)
            await arrivals.keep_report(tx, report)
            new += 1
            if report.kind == "unsubscribe":
                _hand_over(tx, report)
                opt_outs += 1
            else:
                waiting += 1
    return Kept(new, opt_outs, waiting)


def _report(arrived: Arrived, to: Addressee, sha256: bytes) -> NewReport:
    box, token = to.mailbox.box, to.mailbox.token
    known = token is not None and to.account_id != NOBODY
    opts_out = (
        known and box is Box.UNSUBSCRIBE and asks_to_unsubscribe(arrived.mail_from, arrived.content_type)
    )
    report_id = new_id()
    return NewReport(
        account_id=to.account_id,
        id=report_id,
        sha256=sha256,
        size=len(arrived.raw),
        box=box,
        rcpt=to.mailbox.address,
        mail_from=_storable(arrived.mail_from),
        peer=arrived.peer,
        helo=_storable(arrived.helo),
        received_at=arrived.received_at,
        state="settled" if opts_out else "waiting",
        kind="unsubscribe" if opts_out else "other",
        acted="suppressed" if opts_out else "queued_for_operator",
        attributed=known,
        message_id=arrived.message_id,
        token_text=to.mailbox.token_text,
        suppression_id=report_id if opts_out else None,
        contact_id=token.contact_id if token is not None and known else None,
        mailing_number=token.mailing_number if token is not None and known else None,
    )


def _hand_over(tx: Transaction, report: NewReport) -> None:
    # The report's id is the "no"'s too: however often it is handed over, suppression records it once.
    tx.hand_over(
        *NOS,
        No(
            id=report.id,
            account_id=report.account_id,
            door="mail",
            reason="unsubscribe",
            contact_id=report.contact_id,
            mailing_number=report.mailing_number,
            received_at=report.received_at,
            evidence={"report": str(report.id), "sha256": report.sha256.hex(), "peer": report.peer},
        ),
        account_id=report.account_id,
    )
    tx.stage(
        OptOutRequested(
            account_id=report.account_id,
            occurred_at=report.received_at,
            report_id=report.id,
            contact_id=report.contact_id,
            mailing_number=report.mailing_number,
        )
    )


def _storable(text: str) -> str:
    """PostgreSQL takes neither NUL nor half a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:1000]
