"""dispatch.storage.migrations: the segment of a mailing, and the version of its rule that the start froze."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE mailings ADD COLUMN segment_id uuid, ADD COLUMN segment_version int")
