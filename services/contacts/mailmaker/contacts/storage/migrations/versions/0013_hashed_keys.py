"""contacts.storage.migrations: hash indexes of address keys, built while contacts are written.

A key is of one account alone (common.mail.address), and only ever asked for by equality.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It holds up nobody while it waits for every transaction that is older, and an import's takes minutes.
        op.execute("SET lock_timeout = '1h'")
        for key in ("email_key", "mobile_key"):
            # What a run that was broken off has left is no index.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS contacts_of_{key}")
            op.execute(
                f"CREATE INDEX CONCURRENTLY contacts_of_{key} ON contacts USING hash ({key}) WHERE {key} IS NOT NULL"
            )
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS contacts_by_{key}")
        op.execute("SET lock_timeout = '5s'")
