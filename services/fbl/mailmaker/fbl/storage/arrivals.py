"""fbl.storage.arrivals: keeps a mail as it came, and knows it when it comes again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.fbl.domain.report import NewReport

_ARRIVED = """
INSERT INTO arrivals (account_id, sha256, rcpt, arrived_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_RAW = "INSERT INTO raws (account_id, sha256, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_REPORT = """
INSERT INTO reports (account_id, id, sha256, size, box, rcpt, mail_from, peer, helo, received_at, state, settled_at,
                     kind, message_id, token, attributed, acted, suppression_id, contact_id, mailing_number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
"""


async def first_arrival(tx: Transaction, account_id: UUID, sha256: bytes, rcpt: str, at: datetime) -> bool:
    """Notes an arrival. False when the same mail came to the same mailbox before; waits for one that is on its way."""
    return bool((await tx.driver.execute(_ARRIVED, account_id, sha256, rcpt, at)).endswith("1"))


async def keep_raw(tx: Transaction, account_id: UUID, sha256: bytes, body: bytes) -> None:
    await tx.driver.execute(_RAW, account_id, sha256, body)


async def keep_report(tx: Transaction, new: NewReport) -> None:
    await tx.driver.execute(
        _REPORT,
        new.account_id,
        new.id,
        new.sha256,
        new.size,
        new.box,
        new.rcpt,
        new.mail_from,
        new.peer,
        new.helo,
        new.received_at,
        new.state,
        new.received_at if new.state == "settled" else None,
        new.kind,
        new.message_id,
        new.token_text,
        new.attributed,
        new.acted,
        new.suppression_id,
        new.contact_id,
        new.mailing_number,
    )
