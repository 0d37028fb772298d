"""contacts.storage.migrations: exports and the bytes of their files; when an account was closed, and when emptied.

The previous release writes neither column: an account that it closes is emptied only when this one has said when.
"""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("exports", "export_chunks")
STATEMENTS = (
    # `round` is raised when what was read may not be given out any more: who reads meanwhile begins again.
    """
    CREATE TABLE exports (
        account_id    uuid NOT NULL,
        id            uuid NOT NULL,
        list_id       uuid,
        wish          jsonb NOT NULL,
        state         text NOT NULL CHECK (state IN ('waiting', 'running', 'ready', 'failed', 'removed', 'expired')),
        done          bigint NOT NULL DEFAULT 0,
        total         bigint NOT NULL DEFAULT 0,
        round         int NOT NULL DEFAULT 1,
        attempts      int NOT NULL DEFAULT 0,
        size          bigint,
        error_code    text,
        error_detail  text,
        created_at    timestamptz NOT NULL,
        due_at        timestamptz NOT NULL,
        ready_at      timestamptz,
        expires_at    timestamptz,
        PRIMARY KEY (account_id, id)
    )
    """,
    "CREATE INDEX exports_by_list ON exports (account_id, list_id, id)",
    # What is to be done and what is to be forgotten, over all accounts: not an account's index.
    "CREATE INDEX exports_due ON exports (due_at) WHERE state IN ('waiting', 'running')",
    "CREATE INDEX exports_kept ON exports (expires_at) WHERE state = 'ready'",
    """
    CREATE TABLE export_chunks (
        account_id  uuid NOT NULL,
        export_id   uuid NOT NULL,
        place       int NOT NULL,
        data        bytea NOT NULL,
        PRIMARY KEY (account_id, export_id, place)
    )
    """,
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute("ALTER TABLE accounts ADD COLUMN closed_at timestamptz, ADD COLUMN emptied_at timestamptz")
    # Closed before anybody noted when: from now on, so that the whole grace is theirs.
    op.execute("UPDATE accounts SET closed_at = now() WHERE state = 'closed'")
    for table in TABLES:
        protect(op, "contacts", table)
