"""dispatch.storage: outcomes of what was sent and the beginning of what is sent next, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Connection, Record

TIMEOUT = 10.0

Beginning = tuple[UUID, UUID, UUID]
"""Account, message and attempt of a claimed message that should begin."""

# `touched` takes every row lock in the order of ids, as every writer does; all that follows looks at the rows as they
# became. The two updates are about different rows. An outcome counts if its attempt is still the message's last one:
# also after a sweep called it uncertain. A begin looks at `suppressed` with this statement's own snapshot: the claim's
# look may be older than the first commit of a "no" (design section 6, step 3).
# Events of what ended are made here and not in Python: one a group, exactly of the rows that changed.
_SETTLE_AND_BEGIN = """
WITH o AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[],
                         $8::integer[], $9::text[], $10::bigint[], $11::timestamptz[], $12::text[])
        AS o(account_id, id, attempt_id, state, reason, due_at, counted, reply_code, reply_text, feed_stamp, ended_at,
             source)
), b AS MATERIALIZED (
    SELECT * FROM unnest($13::uuid[], $14::uuid[], $15::uuid[]) AS b(account_id, id, attempt_id)
), touched AS MATERIALIZED (
    SELECT m.account_id, m.id, m.mailing_id, m.state, m.fence, m.attempt_id, m.claimed_until, m.cap_instant
      FROM (SELECT account_id, id FROM o UNION SELECT account_id, id FROM b) AS t
      JOIN messages m ON m.account_id = t.account_id AND m.id = t.id
     ORDER BY m.account_id, m.id FOR UPDATE OF m
), settled AS MATERIALIZED (
    -- A relay that was thought dead may prove late that it did not send: a mailing that has ended takes nobody back.
    SELECT o.account_id, o.id, o.attempt_id, o.due_at, o.counted, o.reply_code, o.reply_text, o.feed_stamp, o.ended_at,
           o.source, t.cap_instant, CASE WHEN l.late THEN 'mailing_over' ELSE o.reason END AS reason,
           CASE WHEN NOT l.late THEN o.state WHEN r.state = 'cancelled' THEN 'cancelled' ELSE 'expired' END AS state
      FROM o JOIN touched t ON t.account_id = o.account_id AND t.id = o.id
      JOIN mailings r ON r.account_id = t.account_id AND r.id = t.mailing_id
     CROSS JOIN LATERAL (SELECT o.state IN ('queued', 'deferred') AND r.state NOT IN ('running', 'paused') AS late) l
     WHERE t.attempt_id = o.attempt_id AND (t.state = 'uncertain' OR (t.state = 'sending' AND t.fence = $16))
), ended AS (
    UPDATE messages m SET
           state = o.state, reason = o.reason, reply_code = o.reply_code, reply_text = o.reply_text,
           feed_stamp = o.feed_stamp, source = o.source, attempts = m.attempts - CASE WHEN o.counted THEN 0 ELSE 1 END,
           due_at = coalesce(o.due_at, m.due_at),
           ended_at = CASE WHEN o.state IN ('queued', 'deferred') THEN NULL ELSE o.ended_at END,
           fence = NULL, claimed_until = NULL,
           attempt_id = CASE WHEN o.state IN ('queued', 'deferred') THEN NULL ELSE m.attempt_id END,
           cap_instant = CASE WHEN o.state IN ('delivered', 'bounced', 'uncertain') THEN m.cap_instant END
      FROM settled o WHERE m.account_id = o.account_id AND m.id = o.id
    RETURNING m.account_id, m.id, m.mailing_id, m.contact_id, m.list_id, m.channel, m.address_key, m.state,
              m.reply_code, m.source, o.cap_instant, o.ended_at AS at
), begun AS (
    UPDATE messages m SET state = 'sending', begun_at = clock_timestamp(), attempts = m.attempts + 1
      FROM b JOIN touched t ON t.account_id = b.account_id AND t.id = b.id
     WHERE m.account_id = t.account_id AND m.id = t.id AND t.attempt_id = b.attempt_id
       AND t.state = 'claimed' AND t.fence = $16 AND t.claimed_until > clock_timestamp()
       AND EXISTS (SELECT FROM mailings r WHERE r.account_id = m.account_id AND r.id = m.mailing_id AND r.state = 'running')
       AND NOT EXISTS (
            SELECT FROM suppressed d
             WHERE d.account_id = m.account_id AND d.channel = m.channel
               AND d.subject IN (m.address_subject, m.contact_subject, m.fkey_subject)
               AND d.list_id IN (m.list_id, '00000000-0000-0000-0000-000000000000') AND NOT d.released)
    RETURNING m.account_id, m.id
), told AS (
    INSERT INTO outbox (account_id, topic, key, headers, value, staged_at)
    SELECT e.account_id, 'deliveries.v1', e.account_id::text,
           jsonb_build_object('ce_specversion', '1.0', 'ce_id', e.event_id, 'ce_type', 'outcomes.recorded',
                              'ce_source', '/mailmaker/dispatch', 'ce_time', e.at, 'content-type', 'application/json'),
           convert_to(json_build_object('event_id', e.event_id, 'account_id', e.account_id, 'occurred_at', e.at,
                                        'type', 'outcomes.recorded', 'channel', e.channel, 'outcomes', e.outcomes)::text,
                      'UTF8'),
           clock_timestamp()
      FROM (SELECT account_id, channel, gen_random_uuid() AS event_id, clock_timestamp() AS at, json_agg(json_build_object(
                       'message_id', id, 'mailing_id', mailing_id, 'contact_id', contact_id,
                       'address_key', encode(address_key, 'hex'), 'state', state, 'at', at, 'reply_code', reply_code,
                       'source', source)) AS outcomes
              FROM ended WHERE state <> 'queued' GROUP BY account_id, channel) AS e
)
SELECT account_id, id, true AS begun, NULL::uuid AS list_id, NULL AS channel, NULL::bytea AS address_key,
       NULL::timestamptz AS cap_instant
  FROM begun
UNION ALL
SELECT account_id, id, false, list_id, channel, address_key, cap_instant
  FROM ended WHERE cap_instant IS NOT NULL AND state NOT IN ('delivered', 'bounced', 'uncertain')
"""
# Claimed messages that will not be begun by the relay that holds them: back in line, or out for good.
_UNCLAIM = """
WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
        AS u(account_id, id, attempt_id, state, reason, due_at, lane)
), locked AS MATERIALIZED (
    SELECT m.account_id, m.id, m.list_id, m.channel, m.address_key, m.cap_instant, u.state, u.reason, u.due_at, u.lane
      FROM messages m JOIN u ON u.account_id = m.account_id AND u.id = m.id
     WHERE m.state IN ('claimed', 'sending') AND m.fence = $8 AND m.attempt_id = u.attempt_id
     ORDER BY m.account_id, m.id FOR UPDATE OF m
)
UPDATE messages m SET state = l.state, reason = l.reason, fence = NULL, claimed_until = NULL, attempt_id = NULL,
       cap_instant = NULL, ended_at = CASE WHEN l.state IN ('queued', 'deferred') THEN NULL ELSE clock_timestamp() END,
       attempts = m.attempts - CASE WHEN m.state = 'sending' THEN 1 ELSE 0 END,
       due_at = coalesce(l.due_at, m.due_at), lane = CASE WHEN m.lane IS NULL THEN NULL ELSE coalesce(l.lane, m.lane) END
  FROM locked l WHERE m.account_id = l.account_id AND m.id = l.id
RETURNING l.account_id, l.id, l.list_id, l.channel, l.address_key, l.cap_instant, m.mailing_id, m.contact_id, m.state,
          m.ended_at
"""


@dataclass(frozen=True, slots=True)
class Unbegun:
    """A claimed message that is not begun: the state it goes to and why. `due_at`: not before. `lane`: "" has it found
    anew."""

    beginning: Beginning
    state: str = "queued"
    reason: str | None = None
    due_at: datetime | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt ended: the state the message goes to. `counted` is False where no server looked at it."""

    account_id: UUID
    id: UUID
    attempt_id: UUID
    state: str
    reason: str | None
    due_at: datetime | None
    counted: bool
    reply_code: int | None
    reply_text: str | None
    feed_stamp: int
    ended_at: datetime
    source: str
    """Where it left from, or would have."""

    @property
    def gives_back(self) -> bool:
        """Whether its cap reservation, if any, goes back."""
        return self.state not in ("delivered", "bounced", "uncertain")


async def settle_and_begin(
    conn: Connection, ended: Sequence[Ended], beginning: Sequence[Beginning], fence: int
) -> list[Record]:
    """Writes outcomes and begins messages. Rows with `begun` may be sent; the others give back a cap instant.

    One statement, one round trip: on an autocommit connection it is the whole transaction.
    """
    outcomes = [
        [e.account_id for e in ended],
        [e.id for e in ended],
        [e.attempt_id for e in ended],
        [e.state for e in ended],
        [e.reason for e in ended],
        [e.due_at for e in ended],
        [e.counted for e in ended],
        [e.reply_code for e in ended],
        [e.reply_text for e in ended],
        [e.feed_stamp for e in ended],
        [e.ended_at for e in ended],
        [e.source for e in ended],
    ]
    accounts = [b[0] for b in beginning], [b[1] for b in beginning], [b[2] for b in beginning]
    return list(await conn.fetch(_SETTLE_AND_BEGIN, *outcomes, *accounts, fence, timeout=TIMEOUT))


async def unclaim(conn: Connection, messages: Sequence[Unbegun], fence: int) -> list[Record]:
    """Takes claimed messages out of a relay's hands. Returns them as they are then, with the cap instants they held."""
    rows = await conn.fetch(
        _UNCLAIM,
        [m.beginning[0] for m in messages],
        [m.beginning[1] for m in messages],
        [m.beginning[2] for m in messages],
        [m.state for m in messages],
        [m.reason for m in messages],
        [m.due_at for m in messages],
        [m.lane for m in messages],
        fence,
        timeout=TIMEOUT,
    )
    return list(rows)


async def serve_every_account(conn: Connection) -> None:
    """Lifts row-level security's account filter on a connection of the relay's own, for as long as it lives."""
    await conn.execute("SELECT set_config('mailmaker.platform', 'on', false)", timeout=TIMEOUT)
