"""ingest.storage.migrations: how a file came; saved mapping profiles."""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    "SET LOCAL lock_timeout = '2s'",
    # Of an import of the release before: a CSV as it came.
    "ALTER TABLE imports ADD COLUMN source jsonb NOT NULL DEFAULT '{}'",
    """
    CREATE TABLE import_profiles (
        account_id    uuid NOT NULL,
        id            uuid NOT NULL,
        name          text NOT NULL,
        list_id       uuid,
        file_pattern  text,
        options       jsonb NOT NULL,
        created_at    timestamptz NOT NULL,
        updated_at    timestamptz NOT NULL,
        version       bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, name)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    protect(op, "ingest", "import_profiles")
