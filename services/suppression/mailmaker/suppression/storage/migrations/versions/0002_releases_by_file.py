"""suppression.storage.migrations: what an import states when it lifts opt-outs is kept with each release."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE releases ADD COLUMN evidence jsonb")
