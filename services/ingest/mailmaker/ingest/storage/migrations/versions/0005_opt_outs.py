"""ingest.storage.migrations: who sent a file, which is evidence when it takes cancellations back; and which archives of
drops were forgotten for somebody's erasure."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE imports ADD COLUMN sent_by uuid")
    op.execute("ALTER TABLE drop_files ADD COLUMN forgotten boolean NOT NULL DEFAULT false")
