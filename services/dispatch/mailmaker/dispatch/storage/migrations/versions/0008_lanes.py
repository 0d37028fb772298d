"""dispatch.storage.migrations: the index of what is due lane by lane, built while messages are written."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It holds up nobody while it waits for every transaction that is older, and an expansion's takes minutes.
        op.execute("SET lock_timeout = '1h'")
        # What a run that was broken off has left is no index.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS messages_by_lane")
        op.execute(
            "CREATE INDEX CONCURRENTLY messages_by_lane ON messages (account_id, mailing_id, lane, due_at, id)"
            " WHERE lane IS NOT NULL AND state IN ('queued', 'scheduled', 'deferred', 'held')"
        )
        op.execute("SET lock_timeout = '5s'")
