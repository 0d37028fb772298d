"""fbl.storage.forgetting: what reports hold of erased people."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

_UNPARSED = """
SELECT EXISTS (SELECT FROM reports WHERE account_id = $1 AND contact_id = ANY($2::uuid[]) AND state = 'waiting')
"""
# A mail with several recipients is kept once: it names each of them, so it goes for all.
_RAWS = """
UPDATE raws w SET body = '' FROM reports r
 WHERE r.account_id = $1 AND r.contact_id = ANY($2::uuid[]) AND w.account_id = $1 AND w.sha256 = r.sha256
"""
_REPORTS = """
UPDATE reports SET mail_from = '', message_id = NULL, original_message_id = NULL, address = NULL,
       recipients = coalesce((SELECT jsonb_agg(one || '{"address": ""}') FROM jsonb_array_elements(recipients) one), '[]')
 WHERE account_id = $1 AND contact_id = ANY($2::uuid[])
"""


async def unparsed(tx: Transaction, account_id: UUID, contact_ids: Sequence[UUID]) -> bool:
    """Whether a report about one of these contacts still waits for the parser."""
    return bool(await tx.driver.fetchval(_UNPARSED, account_id, list(contact_ids)))


async def forget(tx: Transaction, account_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Empties the mails and the addresses; kind, times, what was done and the suppression stay."""
    for statement in (_RAWS, _REPORTS):
        await tx.driver.execute(statement, account_id, list(contact_ids))
