"""dispatch.storage: an audience as it arrives, and the one statement that turns it into messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.mailing import Mailing

_COLUMNS = ("list_position", "list_id", "contact_id", "fkey", "address", "address_key", "consent", "merge")
# COPY is refused on tables with row-level security; a temporary one belongs to this attempt alone and dies with it.
_STAGE = """
CREATE TEMPORARY TABLE audience (
    list_position int, list_id uuid, contact_id uuid, fkey text, address text, address_key bytea, consent text,
    merge jsonb
) ON COMMIT DROP
"""
# Plain addresses are recognised here; what is left is few, and canonical_address() itself is asked about it.
_UNSURE = """
SELECT DISTINCT address FROM audience
 WHERE address IS NOT NULL AND NOT (
       address ~ '^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@([a-z0-9]+(-[a-z0-9]+)*\\.)+[a-z]{2,63}$'
       AND position('@' IN address) <= 64 AND length(address) - position('@' IN address) <= 63)
"""
_EXPAND = """
WITH found AS MATERIALIZED (
    SELECT a.*, '\\x61'::bytea || a.address_key AS address_subject,
           '\\x63'::bytea || uuid_send(a.contact_id) AS contact_subject,
           '\\x66'::bytea || uuid_send(a.list_id) || substring(sha256(convert_to(a.fkey, 'UTF8')) FOR 16) AS fkey_subject
      FROM audience a
), said_no AS (
    SELECT f.contact_id, s.reason, s.suppression_id FROM found f JOIN suppressed s
        ON s.account_id = $1 AND s.channel = $3 AND s.subject = f.address_subject
       AND (s.list_id = f.list_id OR s.list_id = '00000000-0000-0000-0000-000000000000') AND NOT s.released
    UNION ALL
    SELECT f.contact_id, s.reason, s.suppression_id FROM found f JOIN suppressed s
        ON s.account_id = $1 AND s.channel = $3 AND s.subject = f.contact_subject
       AND (s.list_id = f.list_id OR s.list_id = '00000000-0000-0000-0000-000000000000') AND NOT s.released
    UNION ALL
    SELECT f.contact_id, s.reason, s.suppression_id FROM found f JOIN suppressed s
        ON s.account_id = $1 AND s.channel = $3 AND s.subject = f.fkey_subject
       AND (s.list_id = f.list_id OR s.list_id = '00000000-0000-0000-0000-000000000000') AND NOT s.released
), noes AS (
    SELECT contact_id, min(reason) AS reason, min(suppression_id::text) AS suppression FROM said_no GROUP BY contact_id
), judged AS (
    SELECT f.*, n.reason AS no_reason, n.suppression,
           CASE WHEN f.address IS NULL OR f.address_key IS NULL THEN 'no_address'
                WHEN n.reason IS NOT NULL THEN 'suppressed'
                WHEN f.consent IS DISTINCT FROM 'subscribed' THEN 'consent'
                WHEN f.address = ANY($5::text[]) THEN 'address'
           END AS out
      FROM found f LEFT JOIN noes n USING (contact_id)
), ranked AS (
    -- Sent in no order of the list: providers are met evenly, and nobody is always first or always last.
    SELECT j.*, row_number() OVER (ORDER BY random()) AS n,
           first_value(contact_id) OVER (PARTITION BY out IS NULL, address_key ORDER BY list_position, contact_id) AS first
      FROM judged j
), verdicts AS (
    SELECT r.*, CASE WHEN out IS NULL AND first <> contact_id THEN 'duplicate' ELSE out END AS verdict FROM ranked r
)
INSERT INTO messages (account_id, id, mailing_id, list_id, contact_id, channel, class, address, fkey, address_key,
    address_subject, contact_subject, fkey_subject, merge, state, reason, detail, due_at, ended_at, lane)
SELECT $1,
       -- UUIDv7 made where the rows are (RFC 9562 section 5.7): milliseconds, a count of 12 bits, random bits.
       encode(int8send((($6::bigint + n / 4096) << 16) | 28672 | (n % 4096))
           || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid,
       $2, list_id, contact_id, $3, $4, coalesce(address, ''), fkey, coalesce(address_key, ''::bytea),
       coalesce(address_subject, ''::bytea), contact_subject, fkey_subject,
       CASE WHEN verdict IS NULL THEN merge END,
       CASE WHEN verdict IS NULL THEN 'queued' WHEN verdict = 'suppressed' THEN 'suppressed' ELSE 'skipped' END,
       CASE WHEN verdict = 'suppressed' THEN no_reason ELSE verdict END,
       CASE WHEN verdict = 'duplicate' THEN jsonb_build_object('first_contact', first)
            WHEN verdict = 'suppressed' THEN jsonb_build_object('suppression', suppression) END,
       $7, CASE WHEN verdict IS NOT NULL THEN clock_timestamp() END,
       CASE WHEN $8 AND verdict IS NULL THEN coalesce((
           SELECT s.lane FROM sites s
            WHERE s.domain = split_part(address, '@', 2) AND s.expires_at > clock_timestamp()), '') END
  FROM verdicts ORDER BY n
"""
LONG = 900.0
"""Seconds one set-based statement over a whole audience may take."""


async def stage(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies a stream of recipients into a table of this transaction. Returns their number."""
    await tx.driver.execute(_STAGE)
    rows = await copy_in(tx.driver, "audience", _COLUMNS, source)
    await tx.driver.execute("ANALYZE audience")
    return rows


async def unsure_addresses(tx: Transaction) -> list[str]:
    """Addresses that canonical_address() must be asked about: those that do not look plain."""
    return [row["address"] for row in await tx.driver.fetch(_UNSURE, timeout=LONG)]


async def expand(
    tx: Transaction,
    mailing: Mailing,
    refused: Sequence[str],
    base_ms: int,
    due_at: datetime,
    *,
    by_lane: bool,
) -> int:
    """Makes one message for each staged recipient: queued, or ended at once with its reason. Returns their number.

    A "no" comes first, then consent, then one message for each address: the lowest list position wins. `by_lane`: each
    takes the lane of its domain, where that is known.
    """
    status = await tx.driver.execute(
        _EXPAND,
        mailing.account_id,
        mailing.id,
        mailing.channel,
        mailing.mail_class,
        list(refused),
        base_ms,
        due_at,
        by_lane,
        timeout=LONG,
    )
    return int(status.rpartition(" ")[2])


async def under_way(tx: Transaction, account_id: UUID, contact_ids: Sequence[UUID]) -> bool:
    """Whether a message to one of these contacts has begun and has no outcome yet."""
    return bool(await tx.driver.fetchval(_UNDER_WAY, account_id, list(contact_ids)))


async def forget(tx: Transaction, account_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Forgets the merge values and addresses of erased contacts; what was decided stays, by id."""
    await tx.driver.execute(_FORGET, account_id, list(contact_ids))


_UNDER_WAY = """
SELECT EXISTS (SELECT FROM messages WHERE account_id = $1 AND contact_id = ANY($2) AND state = 'sending')
"""
_FORGET = """
UPDATE messages SET merge = NULL, address = '', fkey = NULL, reply_text = NULL
 WHERE account_id = $1 AND contact_id = ANY($2)
   AND state NOT IN ('queued', 'scheduled', 'deferred', 'held', 'claimed', 'sending')
"""
