"""fbl.actions.settle: a kept mail is read once, and what it says is done: a "no" handed over, an event, or the operator."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from mailmaker.common.contracts.complaints import BounceReceived, ComplaintReceived, ReportUnattributed
from mailmaker.common.contracts.event import Event
from mailmaker.common.contracts.internal import No
from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.fbl.actions.hand_over import NOS
from mailmaker.fbl.domain.findings import Findings
from mailmaker.fbl.domain.report import Settled, Waiting
from mailmaker.fbl.domain.verdict import Verdict, judge, main_category
from mailmaker.fbl.parse.cell import Cell, ParsingFailed
from mailmaker.fbl.storage import waiting as store

BATCH = 20
IDLE = 1.0
MAX_TRIES = 3


class Settler:
    """The worker that parses. One mail at a time; a mail the parser dies of is parked and never tried again."""

    name = "settler"

    def __init__(self, db: Database, cell: Cell, keys: TokenKeys, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._cell = cell
        self._keys = keys
        self._keyring = keyring
        self._clock = clock
        self._log = logger("fbl.actions")
        self.wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.wake.clear()
            if await self.settle_some():
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), IDLE)

    async def settle_some(self) -> int:
        """Claims some waiting reports and settles them. How many there were."""
        async with self._db.platform() as tx:
            claimed = await store.claim(tx, BATCH)
        for waiting in claimed:
            await self._settle(waiting)
        return len(claimed)

    async def _settle(self, waiting: Waiting) -> None:
        async with self._db.platform() as tx:
            raw = await store.raw_of(tx, waiting.account_id, waiting.sha256)
            if raw is None or waiting.tries > MAX_TRIES:
                await store.park(tx, waiting, "raw_missing" if raw is None else "tried_too_often")
                return
        try:
            findings = await self._cell.examine(raw)
        except ParsingFailed as wrong:
            self._log.warning("mail parked", report=str(waiting.id), code=wrong.code)
            async with self._db.platform() as tx:
                await store.park(tx, waiting, wrong.code)
            return
        try:
            settled = await self._decide(waiting, findings)
        except Unreachable:
            # Whose it is cannot be told now; the lease ends, and it is tried again.
            return
        async with self._db.platform() as tx:
            if await store.still_mine(tx, waiting):
                await store.settle(tx, waiting, settled)
                _tell(tx, waiting, settled, self._clock.now())

    async def _decide(self, waiting: Waiting, findings: Findings) -> Settled:
        if waiting.attributed:
            verdict = judge(waiting.box, findings, attributed=True)
            return Settled(
                waiting.account_id,
                verdict,
                findings,
                None,
                True,
                waiting.id if verdict.reason else None,
                waiting.contact_id,
                waiting.mailing_number,
            )
        text, token, account_id = None, None, NOBODY
        found = first_token(self._keys, findings)
        if found is not None and findings.shape in ("feedback_report", "delivery_report", "text_bounce"):
            text, token = found
            account = await self._keyring.account_by_number(token.account_number)
            account_id = NOBODY if account is None else account.account_id
        known = token is not None and account_id != NOBODY
        verdict = judge(waiting.box, findings, attributed=known)
        return Settled(
            account_id,
            verdict,
            findings,
            text,
            known,
            waiting.id if verdict.reason else None,
            token.contact_id if token is not None and known else None,
            token.mailing_number if token is not None and known else None,
        )


def first_token(keys: TokenKeys, findings: Findings) -> tuple[str, Token] | None:
    """The first trace that we signed, for whatever purpose: redactors leave any one of them."""
    for text in findings.traces:
        for purpose in Purpose:
            token = keys.read(purpose, text)
            if token is not None:
                return text, token
    return None


def _tell(tx: Transaction, waiting: Waiting, settled: Settled, now: datetime) -> None:
    verdict = settled.verdict
    if verdict.reason is not None and settled.contact_id is not None:
        tx.hand_over(
            *NOS,
            No(
                id=waiting.id,
                account_id=settled.account_id,
                scope="account",
                door=verdict.door,
                reason=verdict.reason,
                contact_id=settled.contact_id,
                mailing_number=settled.mailing_number,
                received_at=waiting.received_at,
                evidence={"report": str(waiting.id), "sha256": waiting.sha256.hex()},
            ),
            account_id=settled.account_id,
        )
    event = _event(waiting, settled, verdict, now)
    if event is not None:
        tx.stage(event)


def _event(waiting: Waiting, settled: Settled, verdict: Verdict, now: datetime) -> Event | None:
    if not settled.attributed:
        return ReportUnattributed(account_id=NOBODY, occurred_at=now, report_id=waiting.id, kind=verdict.kind)
    if verdict.kind == "complaint":
        return ComplaintReceived(
            account_id=settled.account_id,
            occurred_at=now,
            report_id=waiting.id,
            contact_id=settled.contact_id,
            mailing_number=settled.mailing_number,
            feedback_type=settled.findings.feedback_type or "abuse",
        )
    if verdict.kind == "bounce":
        category = main_category(verdict)
        status = next((one.recipient.status for one in verdict.judged if one.category is not None), None)
        return BounceReceived(
            account_id=settled.account_id,
            occurred_at=now,
            report_id=waiting.id,
            contact_id=settled.contact_id,
            mailing_number=settled.mailing_number,
            category=category.name,
            permanent=category.permanent,
            status=status,
        )
    return None
