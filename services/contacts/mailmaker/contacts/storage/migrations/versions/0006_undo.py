"""contacts.storage.migrations: an applied import can be undone; each row of its plan says what became of it."""

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = (
    "'staged', 'planned', 'approved', 'quarantined', 'applied', 'undoing', 'undone', 'failed', 'cancelled'"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        f"ALTER TABLE plans DROP CONSTRAINT plans_state_check, ADD CONSTRAINT plans_state_check CHECK (state IN ({STATES})),"
        " ADD COLUMN undone jsonb, ADD COLUMN undone_at timestamptz"
    )
    op.execute(
        "ALTER TABLE plan_rows ADD COLUMN undone text CHECK (undone IN ('restored', 'partly', 'kept'))"
    )
