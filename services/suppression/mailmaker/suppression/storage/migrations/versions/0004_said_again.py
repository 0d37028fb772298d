"""suppression.storage.migrations: a whole entry may be asked about again, for each contact that said it again."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE incomplete ADD COLUMN again boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE incomplete DROP CONSTRAINT incomplete_pkey")
    op.execute("ALTER TABLE incomplete ADD PRIMARY KEY (account_id, suppression_id, contact_id)")
