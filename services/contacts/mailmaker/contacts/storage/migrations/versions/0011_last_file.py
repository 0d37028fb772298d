"""contacts.storage.migrations: options of imports that the previous release does not know; a list's last file is found."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # The previous release reads `options` whole, and knows only its own.
    op.execute("ALTER TABLE plans ADD COLUMN more_options jsonb NOT NULL DEFAULT '{}'")
    op.execute(
        "CREATE INDEX plans_applied ON plans (account_id, list_id, applied_at) WHERE applied_at IS NOT NULL"
    )
