"""dispatch.storage.migrations: domains, senders, templates, mailings, messages, the standing "no"s and the leases."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect, share

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNT_TABLES = (
    "domains",
    "senders",
    "templates",
    "lists",
    "mailing_numbers",
    "mailings",
    "expansions",
    "messages",
    "suppressed",
    "caps",
)

STATEMENTS = (
    # A domain's DKIM private key is sealed with MAILMAKER_DISPATCH_SIGNING_SECRET: a copy of this table signs nothing.
    """
    CREATE TABLE domains (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL,
        state        text NOT NULL CHECK (state IN ('pending', 'verified')),
        selector     text NOT NULL,
        public_key   text NOT NULL,
        private_key  bytea NOT NULL,
        found        jsonb,
        created_at   timestamptz NOT NULL,
        checked_at   timestamptz,
        verified_at  timestamptz,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, name)
    )
    """,
    """
    CREATE TABLE senders (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        domain_id    uuid NOT NULL,
        name         text NOT NULL,
        email        text NOT NULL,
        reply_to     text,
        created_at   timestamptz NOT NULL,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, email, name),
        FOREIGN KEY (account_id, domain_id) REFERENCES domains (account_id, id)
    )
    """,
    """
    CREATE TABLE templates (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL,
        channel      text NOT NULL CHECK (channel IN ('email', 'sms')),
        subject      text NOT NULL,
        html         text NOT NULL,
        body         text NOT NULL,
        fields       text[] NOT NULL,
        created_at   timestamptz NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    # A copy of what contacts says about lists; `version` decides which of two statements is the newer.
    """
    CREATE TABLE lists (
        account_id      uuid NOT NULL,
        list_id         uuid NOT NULL,
        name            text NOT NULL,
        key_kind        text NOT NULL,
        caps            jsonb NOT NULL,
        timezone        text NOT NULL,
        controller      jsonb NOT NULL,
        closed          boolean NOT NULL,
        version         bigint NOT NULL,
        PRIMARY KEY (account_id, list_id)
    )
    """,
    """
    CREATE TABLE mailing_numbers (
        account_id   uuid NOT NULL PRIMARY KEY,
        last         integer NOT NULL
    )
    """,
    # subject, html, body, fields and the sender are frozen here when the mailing starts: what was approved is what is sent.
    """
    CREATE TABLE mailings (
        account_id     uuid NOT NULL,
        id             uuid NOT NULL,
        account_number integer NOT NULL,
        number         integer NOT NULL,
        name           text NOT NULL,
        channel        text NOT NULL CHECK (channel IN ('email', 'sms')),
        class          text NOT NULL CHECK (class IN ('marketing', 'transactional')),
        state          text NOT NULL CHECK (state IN
            ('draft', 'scheduled', 'running', 'paused', 'finished', 'cancelled', 'failed')),
        template_id    uuid NOT NULL,
        sender_id      uuid NOT NULL,
        domain_id      uuid NOT NULL,
        list_ids       uuid[] NOT NULL,
        subject        text NOT NULL,
        html           text NOT NULL,
        body           text NOT NULL,
        fields         text[] NOT NULL,
        from_name      text NOT NULL,
        from_email     text NOT NULL,
        reply_to       text,
        rate           integer,
        schedule       timestamptz,
        valid_until    timestamptz,
        failure        jsonb,
        created_at     timestamptz NOT NULL,
        started_at     timestamptz,
        expanded_at    timestamptz,
        ended_at       timestamptz,
        version        bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, number),
        FOREIGN KEY (account_id, template_id) REFERENCES templates (account_id, id),
        FOREIGN KEY (account_id, sender_id) REFERENCES senders (account_id, id)
    )
    """,
    "CREATE INDEX mailings_live ON mailings (account_id, id) WHERE state IN ('scheduled', 'running', 'paused')",
    # The work of turning an audience into messages. `attempt` fences: only the latest attempt may commit.
    """
    CREATE TABLE expansions (
        account_id   uuid NOT NULL,
        mailing_id   uuid NOT NULL,
        attempt      uuid,
        tries        integer NOT NULL DEFAULT 0,
        due_at       timestamptz NOT NULL,
        lease_until  timestamptz,
        done_at      timestamptz,
        recipients   integer,
        error        text,
        PRIMARY KEY (account_id, mailing_id),
        FOREIGN KEY (account_id, mailing_id) REFERENCES mailings (account_id, id)
    )
    """,
    "CREATE INDEX expansions_due ON expansions (account_id, due_at) WHERE done_at IS NULL",
    # No foreign keys here: 100,000 rows arrive in one statement from a set that was joined to its mailing already.
    # No index but the partial ones mentions a column that changes, so a message at rest costs two index entries and one by state.
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
            ('queued', 'scheduled', 'claimed', 'sending', 'delivered', 'deferred', 'bounced', 'expired', 'uncertain',
             'suppressed', 'capped', 'held', 'cancelled', 'skipped')),
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
    # The standing directives: what the feed (or contacts: removed, erased) said last about one subject in one scope.
    # list_id of zeros is the whole account.
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
    # For the in-process view, which asks for what is new since the numbers it saw, a cursor for each source: rows of the
    # feed become visible in the order of their numbers, rows of contacts nearly so (read a little behind the cursor).
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
        only         boolean PRIMARY KEY DEFAULT true CHECK (only),
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
    house_tables(op, "dispatch")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ACCOUNT_TABLES:
        protect(op, "dispatch", table)
    for table in ("feed_position", "relays"):
        share(op, "dispatch", table)


def downgrade() -> None:
    raise RuntimeError("dispatch migrations only go forward")
