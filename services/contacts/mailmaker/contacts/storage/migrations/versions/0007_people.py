"""contacts.storage.migrations: an account's quota of lists, fields that keep their id, the door of what was done.

A field that was there before is known by the name it had: no contact is rewritten. The previous release reads a new
column nowhere and writes none, so each has a default or may be empty.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE accounts ADD COLUMN most_lists int NOT NULL DEFAULT 500 CHECK (most_lists >= 0)")
    op.execute("ALTER TABLE list_fields ADD COLUMN id text")
    op.execute("ALTER TABLE list_fields ADD COLUMN retired boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE contact_history ADD COLUMN door text")
