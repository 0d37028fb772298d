"""contacts.storage.migrations: a "no" is found by its suppression: whether the one that took a consent has been released."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The feed's follower waits for it; a "no" does not: dispatch follows the feed by itself.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX nos_by_suppression ON nos (account_id, suppression_id)")
