"""dispatch.storage: a domain's DKIM keys beside the RSA key that signs, which is in the domain's own row."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.sending import DomainKey

PUBLIC_PARTS = """(
    SELECT coalesce(jsonb_agg(jsonb_build_object('selector', k.selector, 'algorithm', k.algorithm, 'state', k.state,
                'public_key', k.public_key, 'since', k.since)
                ORDER BY k.state = 'retired', k.state = 'next', k.algorithm DESC, k.since DESC), '[]')
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
# Of a key that never signed nobody needs the record.
_END_SECOND = """
WITH gone AS (DELETE FROM domain_keys WHERE account_id = $1 AND domain_id = $2 AND state = 'waiting')
UPDATE domain_keys SET state = 'retired', private_key = NULL, since = $3
 WHERE account_id = $1 AND domain_id = $2 AND state = 'signing'
"""
_SWAP_FIRST = """
WITH taken AS (
    DELETE FROM domain_keys WHERE account_id = $1 AND domain_id = $2 AND state = 'next' AND algorithm = 'rsa'
    RETURNING selector, public_key, private_key),
kept AS (
    INSERT INTO domain_keys (account_id, domain_id, selector, algorithm, public_key, private_key, state, since)
    SELECT account_id, id, selector, 'rsa', public_key, NULL, 'retired', $3
      FROM domains WHERE account_id = $1 AND id = $2 AND verified_at IS NOT NULL)
UPDATE domains SET selector = t.selector, public_key = t.public_key, private_key = t.private_key
  FROM taken t WHERE account_id = $1 AND id = $2
"""
_BEGIN_SECOND = """
UPDATE domain_keys SET state = 'waiting', since = $3 WHERE account_id = $1 AND domain_id = $2 AND state = 'next'
"""
_FORGET = (
    "DELETE FROM domain_keys WHERE account_id = $1 AND domain_id = $2 AND state = 'retired' AND since < $3"
)


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


async def take_over(tx: Transaction, account_id: UUID, domain_id: UUID, at: datetime) -> None:
    """The next keys are the domain's keys from now on; of those that signed the public halves stay. Needs the row of the
    domain held."""
    for statement in (_END_SECOND, _SWAP_FIRST, _BEGIN_SECOND):
        await tx.driver.execute(statement, account_id, domain_id, at)


async def forget(tx: Transaction, account_id: UUID, domain_id: UUID, before: datetime) -> None:
    """Keys retired before this time are shown no more."""
    await tx.driver.execute(_FORGET, account_id, domain_id, before)


def key_of(shown: dict[str, Any]) -> DomainKey:
    """A key as PUBLIC_PARTS gives it."""
    return DomainKey(
        selector=shown["selector"],
        algorithm=shown["algorithm"],
        public_key=shown["public_key"],
        state=shown["state"],
        since=datetime.fromisoformat(shown["since"]).astimezone(UTC),
    )
