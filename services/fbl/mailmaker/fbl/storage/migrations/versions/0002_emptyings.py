"""fbl.storage.migrations: accounts to be emptied."""

from alembic import op
from mailmaker.common.storage.tables_v2 import emptying_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    emptying_table(op, "fbl")
