"""dispatch.storage.migrations: messages, standing "no"s, caps, the feed's position, leases."""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect, share

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    # No foreign keys here: 100,000 rows arrive in one statement, from a set joined to its mailing already.
    # Indexes that mention what changes are partial, so a message that has ended costs three index entries.
    """
    CREATE TABLE messages (
        account_id      uuid NOT NULL,
        id              uuid NOT NULL,
        mailing_id      uuid NOT NULL,
        list_id         uuid NOT NULL,
        contact_id      uuid NOT NULL,
        channel         text NOT NULL,
        class           text NOT NULL,
        address         text NOT NULL,
        fkey            text,
        address_key     bytea NOT NULL,
        address_subject bytea NOT NULL,
        contact_subject bytea NOT NULL,
        fkey_subject    bytea,
        merge           jsonb,
        state           text NOT NULL CHECK (state IN
            ('queued', 'scheduled', 'claimed', 'sending', 'delivered', 'deferred', 'bounced', 'expired',
             'uncertain', 'suppressed', 'capped', 'held', 'cancelled', 'skipped')),
        reason          text,
        detail          jsonb,
        attempts        integer NOT NULL DEFAULT 0,
        due_at          timestamptz NOT NULL,
        claimed_until   timestamptz,
        fence           bigint,
        cap_instant     timestamptz,
        attempt_id      uuid,
        begun_at        timestamptz,
        ended_at        timestamptz,
        feed_stamp      bigint,
        reply_code      integer,
        reply_text      text,
        source          text,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, contact_id, mailing_id)
    ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1)
    """,
    "CREATE INDEX messages_by_state ON messages (account_id, mailing_id, state, id)",
    """
    CREATE INDEX messages_claimable ON messages (account_id, mailing_id, due_at, id)
        WHERE state IN ('queued', 'scheduled', 'deferred', 'held')
    """,
    """
    CREATE INDEX messages_fenced ON messages (account_id, fence)
        WHERE state IN ('claimed', 'sending')
    """,
    """
    CREATE INDEX messages_live_address ON messages (account_id, address_subject)
        WHERE state IN ('queued', 'scheduled', 'deferred', 'held', 'claimed', 'sending', 'uncertain')
    """,
    """
    CREATE INDEX messages_live_fkey ON messages (account_id, fkey_subject)
        WHERE fkey_subject IS NOT NULL
          AND state IN ('queued', 'scheduled', 'deferred', 'held', 'claimed', 'sending', 'uncertain')
    """,
    # The standing directives: what the feed (or contacts: removed, erased) said last about one subject in one
    # scope. list_id of zeros is the whole account.
    """
    CREATE TABLE suppressed (
        account_id     uuid NOT NULL,
        channel        text NOT NULL,
        subject        bytea NOT NULL,
        list_id        uuid NOT NULL,
        source         text NOT NULL CHECK (source IN ('feed', 'contacts')),
        number         bigint NOT NULL,
        released       boolean NOT NULL,
        suppression_id uuid,
        reason         text NOT NULL,
        PRIMARY KEY (account_id, channel, subject, list_id, source)
    )
    """,
    # For the in-process view, which asks for what is new since the numbers it saw, a cursor for each source:
    # rows of the feed become visible in the order of their numbers, rows of contacts nearly so.
    "CREATE INDEX suppressed_by_number ON suppressed (source, number)",
    "CREATE SEQUENCE contact_directives",
    """
    CREATE TABLE caps (
        account_id   uuid NOT NULL,
        list_id      uuid NOT NULL,
        channel      text NOT NULL,
        address_key  bytea NOT NULL,
        instants     timestamptz[] NOT NULL,
        holders      integer[] NOT NULL,
        PRIMARY KEY (account_id, list_id, channel, address_key)
    ) WITH (fillfactor = 70)
    """,
    # Platform-wide: where in suppression's feed this house stands, and since when it may vouch for it.
    """
    CREATE TABLE feed_position (
        singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        number       bigint NOT NULL,
        confirmed_at timestamptz NOT NULL
    )
    """,
    "INSERT INTO feed_position (number, confirmed_at) VALUES (0, '-infinity')",
    # Platform-wide: the relays alive. A fence is never given twice.
    """
    CREATE TABLE relays (
        fence        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        lease_until  timestamptz NOT NULL,
        host         text NOT NULL,
        pid          integer NOT NULL,
        started_at   timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("messages", "suppressed", "caps"):
        protect(op, "dispatch", table)
    for table in ("feed_position", "relays"):
        share(op, "dispatch", table)
