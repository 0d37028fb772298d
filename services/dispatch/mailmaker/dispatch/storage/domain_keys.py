"""dispatch.storage: a domain's DKIM keys beside the RSA key that signs, which is in the domain's own row."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.sending import DomainKey

PUBLIC_PARTS = """(
    SELECT coalesce(jsonb_agg(jsonb_build_object('selector', k.selector, 'algorithm', k.algorithm, 'state', k.state,
                'public_key', k.public_key, 'since', k.since) ORDER BY k.state <> 'signing', k.state, k.selector), '[]')
      FROM domain_keys k WHERE k.account_id = d.account_id AND k.domain_id = d.id)"""
"""What is shown of the keys of a domain `d`."""
_ADD = """
INSERT INTO domain_keys (account_id, domain_id, selector, algorithm, public_key, private_key, state, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_FOUND = """
UPDATE domain_keys SET state = CASE WHEN selector = ANY($3::text[]) THEN 'signing' ELSE 'waiting' END, since = $4
 WHERE account_id = $1 AND domain_id = $2 AND state IN ('waiting', 'signing')
   AND (state = 'signing') <> (selector = ANY($3::text[]))
"""


async def add(tx: Transaction, account_id: UUID, domain_id: UUID, key: DomainKey, sealed: bytes) -> None:
    """Writes a key; where the domain has one for this place already, that one stays."""
    await tx.driver.execute(
        _ADD,
        account_id,
        domain_id,
        key.selector,
        key.algorithm,
        key.public_key,
        sealed,
        key.state,
        key.since,
    )


async def found(
    tx: Transaction, account_id: UUID, domain_id: UUID, selectors: Collection[str], at: datetime
) -> None:
    """The keys whose records the DNS shows sign from now on, those whose records it does not show wait."""
    await tx.driver.execute(_FOUND, account_id, domain_id, list(selectors), at)


def key_of(shown: dict[str, Any]) -> DomainKey:
    """A key as PUBLIC_PARTS gives it."""
    return DomainKey(
        selector=shown["selector"],
        algorithm=shown["algorithm"],
        public_key=shown["public_key"],
        state=shown["state"],
        since=datetime.fromisoformat(shown["since"]),
    )
