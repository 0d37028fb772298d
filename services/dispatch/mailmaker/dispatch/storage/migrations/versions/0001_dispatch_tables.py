"""dispatch.storage.migrations: domains, senders, templates, lists, mailings and expansions."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect

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
)

STATEMENTS = (
    # A DKIM private key is sealed with MAILMAKER_DISPATCH_SIGNING_SECRET: a copy of this table signs nothing.
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
    # subject, html, body, fields and the sender are frozen at the start: what was approved is what is sent.
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
    """
    CREATE INDEX mailings_live ON mailings (account_id, id) WHERE state IN ('scheduled', 'running', 'paused')
    """,
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
)


def upgrade() -> None:
    house_tables(op, "dispatch")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ACCOUNT_TABLES:
        protect(op, "dispatch", table)
