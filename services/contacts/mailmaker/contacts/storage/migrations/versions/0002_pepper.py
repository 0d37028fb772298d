"""contacts.storage.migrations: the check value of the pepper, beside the address keys made with it."""

from alembic import op
from mailmaker.common.storage.tables_v1 import share

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.execute(
        "CREATE TABLE pepper (one boolean PRIMARY KEY DEFAULT true CHECK (one), check_value text NOT NULL)"
    )
    share(op, "contacts", "pepper")
