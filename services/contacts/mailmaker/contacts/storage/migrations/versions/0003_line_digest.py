"""contacts.storage.migrations: the digest of the file's row that last wrote a contact, and the version it left."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE contacts ADD COLUMN line_digest uuid, ADD COLUMN line_version bigint")
