"""ingest.storage.migrations: imports."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE imports (
        account_id    uuid NOT NULL,
        id            uuid NOT NULL,
        list_id       uuid NOT NULL,
        options       jsonb NOT NULL,
        about_list    jsonb NOT NULL,
        file_name     text NOT NULL,
        size          bigint NOT NULL,
        sha256        bytea NOT NULL,
        line_ends     bigint NOT NULL,
        not_utf8_at   bigint,
        state         text NOT NULL CHECK (state IN ('received', 'parsing', 'staged', 'planned', 'quarantined',
                          'applied', 'undone', 'failed', 'rejected', 'cancelled')),
        error_code    text,
        error_detail  text,
        counts        jsonb NOT NULL DEFAULT '{}',
        done          bigint NOT NULL DEFAULT 0,
        total         bigint NOT NULL DEFAULT 0,
        reading       jsonb NOT NULL DEFAULT '{}',
        attempts      int NOT NULL DEFAULT 0,
        crashes       int NOT NULL DEFAULT 0,
        lease         uuid,
        lease_until   timestamptz,
        heard_at      timestamptz,
        created_at    timestamptz NOT NULL,
        updated_at    timestamptz NOT NULL,
        version       bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (account_id, id)
    )
    """,
    # What is still to be read, of all accounts: a handful of rows at any time.
    "CREATE INDEX imports_unread ON imports (account_id, created_at) WHERE state IN ('received', 'parsing')",
)


def upgrade() -> None:
    house_tables(op, "ingest")
    for statement in STATEMENTS:
        op.execute(statement)
    protect(op, "ingest", "imports")
