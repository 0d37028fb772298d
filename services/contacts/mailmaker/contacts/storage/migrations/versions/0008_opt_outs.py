"""contacts.storage.migrations: an import that hands "no"s or releases over is over when suppression has answered.

The previous release hands over nothing for an import and reads none of these.
"""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE plans ADD COLUMN recording_at timestamptz")
    op.execute("CREATE INDEX plans_recording ON plans (recording_at) WHERE recording_at IS NOT NULL")
    # When suppression recorded the "no": what an import may lift is older than its file. Empty in rows of before.
    op.execute("ALTER TABLE nos ADD COLUMN recorded_at timestamptz")
    # Whose opt-outs an import with a stated lawful basis asks to lift, and what became of it.
    op.execute(
        """
        CREATE TABLE lifts (
            account_id   uuid NOT NULL,
            import_id    uuid NOT NULL,
            contact_id   uuid NOT NULL,
            channel      text NOT NULL CHECK (channel IN ('email', 'sms')),
            lifted       boolean,
            PRIMARY KEY (account_id, import_id, contact_id, channel)
        )
        """
    )
    protect(op, "contacts", "lifts")
    # A file hands over a hundred thousand: the next ones of a lane are found without sorting those that wait. Like
    # handovers_due it is read over all accounts.
    op.execute("CREATE INDEX handovers_by_age ON handovers (target, created_at, id)")
