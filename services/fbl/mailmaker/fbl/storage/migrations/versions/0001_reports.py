"""fbl.storage.migrations: what came in, byte by byte, and what it says."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNT_TABLES = ("raws", "arrivals", "reports")

STATEMENTS = (
    # The mail as it came after DATA, once per account however many recipients it had. The nil account holds what is
    # attributed to nobody yet.
    """
    CREATE TABLE raws (
        account_id  uuid NOT NULL,
        sha256      bytea NOT NULL,
        body        bytea NOT NULL,
        PRIMARY KEY (account_id, sha256)
    )
    """,
    # Which mail came to which of our mailboxes: a sender that missed our 250 sends again, and is recognised. The
    # account is the token's, or nil for fbl@, abuse@ and postmaster@; it never moves, unlike a report's.
    """
    CREATE TABLE arrivals (
        account_id  uuid NOT NULL,
        sha256      bytea NOT NULL,
        rcpt        text NOT NULL,
        arrived_at  timestamptz NOT NULL,
        PRIMARY KEY (account_id, sha256, rcpt)
    )
    """,
    # state: waiting (to be parsed), settled, parked (the parser could not; `error` says why).
    """
    CREATE TABLE reports (
        account_id          uuid NOT NULL,
        id                  uuid NOT NULL,
        sha256              bytea NOT NULL,
        size                bigint NOT NULL,
        box                 text NOT NULL,
        rcpt                text NOT NULL,
        mail_from           text NOT NULL,
        peer                text NOT NULL,
        helo                text NOT NULL,
        received_at         timestamptz NOT NULL,
        state               text NOT NULL CHECK (state IN ('waiting', 'settled', 'parked')),
        tries               integer NOT NULL DEFAULT 0,
        claimed_until       timestamptz,
        settled_at          timestamptz,
        kind                text NOT NULL,
        message_id          text,
        feedback_type       text,
        recipients          jsonb NOT NULL DEFAULT '[]',
        address             text,
        token               text,
        original_message_id text,
        attributed          boolean NOT NULL,
        acted               text NOT NULL,
        suppression_id      uuid,
        contact_id          uuid,
        mailing_number      integer,
        error               text,
        PRIMARY KEY (account_id, id)
    )
    """,
    "CREATE INDEX reports_by_message ON reports (account_id, message_id)",
    "CREATE INDEX reports_by_sha256 ON reports (account_id, sha256)",
    "CREATE INDEX reports_waiting ON reports (account_id, id) WHERE state = 'waiting'",
    # The operator reads across accounts, newest first.
    "CREATE INDEX reports_newest ON reports (id)",
)


def upgrade() -> None:
    house_tables(op, "fbl")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ACCOUNT_TABLES:
        protect(op, "fbl", table)
