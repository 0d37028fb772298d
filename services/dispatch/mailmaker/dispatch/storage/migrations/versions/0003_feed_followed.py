"""dispatch.storage.migrations: when the feed was last followed, so that a standby knows that it is its turn."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE feed_position ADD COLUMN followed_at timestamptz NOT NULL DEFAULT '-infinity'")
