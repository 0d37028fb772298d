"""fbl.storage.waiting: reports that wait for the parser, claimed for a while, then settled or parked."""

from __future__ import annotations

import json
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.fbl.domain.mailbox import Box
from mailmaker.fbl.domain.report import Settled, Waiting
from mailmaker.fbl.domain.verdict import Judged

LEASE = "2 minutes"

_CLAIM = f"""
UPDATE reports r SET tries = tries + 1, claimed_until = now() + interval '{LEASE}'
  FROM (SELECT account_id, id FROM reports
         WHERE state = 'waiting' AND (claimed_until IS NULL OR claimed_until < now())
         ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) w
 WHERE r.account_id = w.account_id AND r.id = w.id
RETURNING r.account_id, r.id, r.sha256, r.box, r.received_at, r.tries, r.attributed, r.contact_id, r.mailing_number
"""
_RAW = "SELECT body FROM raws WHERE account_id = $1 AND sha256 = $2"
_STILL_MINE = (
    "SELECT 1 FROM reports WHERE account_id = $1 AND id = $2 AND state = 'waiting' AND tries = $3 FOR UPDATE"
)
_MOVE_RAW = """
INSERT INTO raws (account_id, sha256, body) SELECT $3, sha256, body FROM raws WHERE account_id = $1 AND sha256 = $2
ON CONFLICT DO NOTHING
"""
_DROP_RAW = """
DELETE FROM raws WHERE account_id = $1 AND sha256 = $2
   AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.account_id = $1 AND r.sha256 = $2)
"""
_SETTLE = """
UPDATE reports SET account_id = $3, state = 'settled', settled_at = clock_timestamp(), claimed_until = NULL, kind = $4,
       acted = $5, message_id = $6, feedback_type = $7, recipients = $8::jsonb, address = $9, token = coalesce($10, token),
       original_message_id = $11, attributed = $12, suppression_id = $13, contact_id = $14, mailing_number = $15
 WHERE account_id = $1 AND id = $2
"""
_PARK = """
UPDATE reports SET state = 'parked', settled_at = clock_timestamp(), claimed_until = NULL, error = $4,
       acted = 'queued_for_operator'
 WHERE account_id = $1 AND id = $2 AND state = 'waiting' AND tries = $3
"""
_COUNT = "SELECT count(*), coalesce(extract(epoch FROM now() - min(received_at)), 0) FROM reports WHERE state = 'waiting'"


async def claim(tx: Transaction, most: int) -> list[Waiting]:
    """Takes the oldest waiting reports; nobody else gets them before the lease ends."""
    rows = await tx.driver.fetch(_CLAIM, most)
    found = [
        Waiting(
            row["account_id"],
            row["id"],
            bytes(row["sha256"]),
            Box(row["box"]),
            row["received_at"],
            row["tries"],
            row["attributed"],
            row["contact_id"],
            row["mailing_number"],
        )
        for row in rows
    ]
    return sorted(found, key=lambda waiting: waiting.id)


async def raw_of(tx: Transaction, account_id: UUID, sha256: bytes) -> bytes | None:
    body = await tx.driver.fetchval(_RAW, account_id, sha256)
    return None if body is None else bytes(body)


async def still_mine(tx: Transaction, waiting: Waiting) -> bool:
    """Locks the claimed report. False when the lease ended and somebody else took it, or settled it."""
    return bool(await tx.driver.fetchval(_STILL_MINE, waiting.account_id, waiting.id, waiting.tries))


async def settle(tx: Transaction, waiting: Waiting, settled: Settled) -> None:
    """Writes the verdict; the report and its raw mail move to the account they were found to belong to."""
    moved = settled.account_id != waiting.account_id
    if moved:
        await tx.driver.execute(_MOVE_RAW, waiting.account_id, waiting.sha256, settled.account_id)
    findings = settled.findings
    await tx.driver.execute(
        _SETTLE,
        waiting.account_id,
        waiting.id,
        settled.account_id,
        settled.verdict.kind,
        settled.verdict.acted,
        findings.message_id,
        findings.feedback_type,
        json.dumps([_row(one) for one in settled.verdict.judged]),
        findings.address,
        settled.token_text,
        findings.original_message_id,
        settled.attributed,
        settled.suppression_id,
        settled.contact_id,
        settled.mailing_number,
    )
    if moved:
        await tx.driver.execute(_DROP_RAW, waiting.account_id, waiting.sha256)


async def park(tx: Transaction, waiting: Waiting, error: str) -> None:
    """Sets a report aside for the operator, raw mail and all."""
    await tx.driver.execute(_PARK, waiting.account_id, waiting.id, waiting.tries, error)


async def backlog(tx: Transaction) -> tuple[int, float]:
    """How many wait, and for how many seconds the oldest has."""
    row = await tx.driver.fetchrow(_COUNT)
    return int(row[0]), float(row[1])


def _row(judged: Judged) -> dict[str, object]:
    return {
        "address": judged.recipient.address,
        "action": judged.recipient.action,
        "status": judged.recipient.status,
        "category": judged.category.name if judged.category else None,
        "permanent": judged.category is not None and judged.category.permanent,
    }
