"""dispatch.actions: makes a From identity on a verified domain."""

from __future__ import annotations

import re
from datetime import datetime

from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.views import SenderView, sender_view
from mailmaker.dispatch.domain.sending import Sender
from mailmaker.dispatch.errors import Exists
from mailmaker.dispatch.storage import domains

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


async def add_sender(
    db: Database, call: Call, name: str, email: str, reply_to: str | None, now: datetime
) -> SenderView:
    """Adds a sender. Raises Invalid for an address, or when its domain is not a verified one of the account."""
    if _CONTROL.search(name):
        raise Invalid(
            "the name is not valid",
            faults=[Fault("/name", "sender.name", "control characters would break the From header")],
        )
    address = _canonical(email, "/email")
    answers = None if reply_to is None else _canonical(reply_to, "/reply_to")
    async with db.write(call, "sender.added") as tx:
        if (first := tx.replayed(SenderView)) is not None:
            return first
        domain = await domains.named(tx, call.account_id, address.rpartition("@")[2])
        if domain is None or not domain.verified:
            why = "this account has no such domain" if domain is None else "the domain is not verified yet"
            raise Invalid(
                "the sender's domain is not verified",
                faults=[
                    Fault(
                        "/email",
                        "sender.domain",
                        f"{why}: POST /v1/domains, publish its records, then :verify",
                    )
                ],
            )
        sender = Sender(
            account_id=call.account_id,
            id=new_id(),
            domain_id=domain.id,
            domain_verified=True,
            name=name,
            email=address,
            reply_to=answers,
            created_at=now,
        )
        tx.subject(sender.id)
        if not await domains.add_sender(tx, sender):
            raise Exists(
                "this account has the sender already",
                faults=[Fault("/email", "exists", "same address and name; GET /v1/senders lists it")],
            )
        return await tx.keep(sender_view(sender))


def _canonical(text: str, pointer: str) -> str:
    try:
        return canonical_address(text)
    except InvalidAddress as wrong:
        raise Invalid("an address is not valid", faults=[Fault(pointer, wrong.code, wrong.detail)]) from wrong
