"""ingest.storage.migrations: a file that came before is found by its bytes."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A row an import: uploads wait for it as long as a small index takes.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX imports_by_bytes ON imports (account_id, list_id, sha256, id)")
