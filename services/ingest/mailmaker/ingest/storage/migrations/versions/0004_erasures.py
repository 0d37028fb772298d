"""ingest.storage.migrations: lists of which somebody was erased: no file of before may outlive its use."""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "CREATE TABLE erasures (account_id uuid NOT NULL, list_id uuid NOT NULL, at timestamptz NOT NULL,"
        " PRIMARY KEY (account_id, list_id))"
    )
    protect(op, "ingest", "erasures")
