"""dispatch.relay: claimed rows become signed mails: compiled once a mailing, rendered and signed in threads."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.read_copy import read_copy
from mailmaker.dispatch.domain.running import RunningMailing
from mailmaker.dispatch.relay.keys import Ed25519Key, RsaKey, WeakKey
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.sign import Draft, Form, Signer
from mailmaker.dispatch.render.mail import CompiledMail, Copy, Doors, Frame, Unsigned, written
from mailmaker.dispatch.render.text import TemplateFault
from mailmaker.dispatch.storage.outcomes import Beginning
from mailmaker.dispatch.storage.seal import Seal, Unsealable

KEPT_MAILINGS = 200
REREAD_AFTER = 600.0
_DOT = re.compile(rb"(\A|\r\n)\.")


class Unusable(RuntimeError):
    """This mailing cannot be sent from here: its text or its key cannot be used. Names no value."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mailing compiled, with the signer of its domain."""

    mail: CompiledMail
    signer: Signer
    read_at: float
    forms: dict[Frame, Form] = field(default_factory=dict)

    def form(self, frame: Frame) -> Form:
        """How mails in this frame are signed."""
        known = self.forms.get(frame)
        if known is None:
            known = self.forms[frame] = Form(frame.places())
        return known


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a batch became: mails, and messages that cannot be written, each with the reason."""

    mails: list[Mail]
    faults: list[tuple[Beginning, str]]


class Preparer:
    """Compiles, renders and signs. The executor is the caller's."""

    def __init__(
        self, db: Database, clock: Clock, doors: Doors, keys: TokenKeys, seal: Seal, executor: Executor
    ) -> None:
        self._db = db
        self._clock = clock
        self._doors = doors
        self._keys = keys
        self._seal = seal
        self._executor = executor
        self._ready: OrderedDict[UUID, Ready] = OrderedDict()

    async def prepare(self, mailing: RunningMailing, rows: Sequence[Record]) -> Prepared:
        """Renders and signs a batch in a thread: jobs of 50 and more make use of a second core. Raises Unusable."""
        ready = await self._of(mailing)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._write_all, ready, mailing, rows)

    async def _of(self, mailing: RunningMailing) -> Ready:
        known = self._ready.get(mailing.id)
        if known is not None and self._clock.boot() - known.read_at < REREAD_AFTER:
            self._ready.move_to_end(mailing.id)
            return known
        row = await read_copy(self._db, mailing.account_id, mailing.id)
        if row is None:
            raise Unusable("the mailing or its domain is gone")
        ready = self._compiled(row)
        self._ready[mailing.id] = ready
        while len(self._ready) > KEPT_MAILINGS:
            self._ready.popitem(last=False)
        return ready

    def _compiled(self, row: Record) -> Ready:
        copy = Copy(
            account_number=row["account_number"],
            mailing_number=row["number"],
            mailing_id=row["id"],
            sender_id=row["sender_id"],
            subject=row["subject"],
            html=row["html"],
            body=row["body"],
            from_name=row["from_name"],
            from_email=row["from_email"],
            reply_to=row["reply_to"],
        )
        try:
            return Ready(CompiledMail(copy, self._doors, self._keys), self._signer(row), self._clock.boot())
        except (Unsealable, WeakKey, TemplateFault, ValueError) as wrong:
            raise Unusable(f"{type(wrong).__name__}: {wrong}") from wrong

    def _signer(self, row: Record) -> Signer:
        """RSA always signs; Ed25519 where the domain's record of it was found when last looked for."""

        def pem(column: str) -> bytes:
            return self._seal.open(bytes(row[column]), row["account_id"], row["domain_id"])

        rsa = RsaKey.from_pem(row["selector"], pem("private_key"))
        if row["second_key"] is None:
            return Signer(row["domain"], rsa)
        return Signer(row["domain"], rsa, Ed25519Key.from_pem(row["second_selector"], pem("second_key")))

    def _write_all(self, ready: Ready, mailing: RunningMailing, rows: Sequence[Record]) -> Prepared:
        """In a thread. RSA runs without the interpreter lock, so the event loop goes on meanwhile."""
        drafts: list[tuple[Record, float, Unsigned]] = []
        faults: list[tuple[Beginning, str]] = []
        now, boot = self._clock.now(), self._clock.boot()
        for row in rows:
            try:
                good_until = boot + (row["claimed_until"] - now).total_seconds()
                drafts.append((row, good_until, self._drafted(ready, row, now)))
            except InvalidAddress:
                faults.append(((mailing.account_id, row["id"], row["attempt_id"]), "address"))
            except (TemplateFault, ValueError, TypeError, LookupError, RecursionError):
                # One recipient's values must not stop the others' mail.
                faults.append(((mailing.account_id, row["id"], row["attempt_id"]), "render"))
        signatures = ready.signer.sign_all(
            [Draft(ready.form(mail.frame), mail.own, mail.relaxed) for _, _, mail in drafts], int(time.time())
        )
        mails = [
            _mail(mailing, row, unsigned, signature, good_until)
            for (row, good_until, unsigned), signature in zip(drafts, signatures, strict=True)
        ]
        return Prepared(mails, faults)

    @staticmethod
    def _drafted(ready: Ready, row: Record, now: datetime) -> Unsigned:
        address = row["address"]
        # What goes into RCPT TO is what was suppressed, counted and deduplicated, or it does not go.
        if canonical_address(address) != address:
            raise InvalidAddress("address.not_canonical", "the stored address is not canonical")
        merge = row["merge"]
        values = {} if merge is None else json.loads(merge)
        return ready.mail.write(address, row["contact_id"], row["list_id"], values, now)


def _mail(
    mailing: RunningMailing, row: Record, unsigned: Unsigned, signature: bytes, good_until: float
) -> Mail:
    data = written(unsigned, signature)
    if unsigned.dotted:
        data = _DOT.sub(rb"\1..", data)
    fkey = row["fkey_subject"]
    subjects = (bytes(row["address_subject"]), bytes(row["contact_subject"]))
    return Mail(
        account_id=mailing.account_id,
        id=row["id"],
        attempt_id=row["attempt_id"],
        mailing_id=mailing.id,
        list_id=row["list_id"],
        channel=row["channel"],
        subjects=subjects if fkey is None else (*subjects, bytes(fkey)),
        attempts=row["attempts"],
        first_try=row["begun_at"],
        valid_until=mailing.valid_until,
        good_until=good_until,
        envelope=f"MAIL FROM:<{unsigned.return_path}>\r\nRCPT TO:<{row['address']}>\r\n".encode("ascii"),
        data=data + b".\r\n",
        domain=row["address"].rpartition("@")[2],
        pooled=mailing.pooled,
    )
