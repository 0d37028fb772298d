"""contacts.storage.migrations: segments with every version of their rules, and how contacts were reached."""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("segments", "segment_rules", "engagement", "engagement_mailings")
STATEMENTS = (
    """
    CREATE TABLE segments (
        account_id   uuid NOT NULL,
        list_id      uuid NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL,
        created_at   timestamptz NOT NULL,
        changed_at   timestamptz NOT NULL,
        retired_at   timestamptz,
        version      int NOT NULL,
        PRIMARY KEY (account_id, list_id, id),
        FOREIGN KEY (account_id, list_id) REFERENCES lists (account_id, id)
    )
    """,
    # By id alone, for who knows no list: a mailing names its segment so.
    "CREATE UNIQUE INDEX segments_by_id ON segments (account_id, id)",
    # A scheduled mailing keeps the version it was started with, whatever becomes of the segment.
    """
    CREATE TABLE segment_rules (
        account_id   uuid NOT NULL,
        segment_id   uuid NOT NULL,
        version      int NOT NULL,
        rule         jsonb NOT NULL,
        PRIMARY KEY (account_id, segment_id, version)
    )
    """,
    # One row a contact that was ever reached. Nothing but the key is indexed and pages keep room, so that a later
    # instant is written in place.
    """
    CREATE TABLE engagement (
        account_id    uuid NOT NULL,
        contact_id    uuid NOT NULL,
        delivered_at  timestamptz,
        opened_at     timestamptz,
        clicked_at    timestamptz,
        PRIMARY KEY (account_id, contact_id)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE engagement_mailings (
        account_id   uuid NOT NULL,
        mailing_id   uuid NOT NULL,
        kind         text NOT NULL CHECK (kind IN ('delivered', 'opened', 'clicked')),
        contact_id   uuid NOT NULL,
        PRIMARY KEY (account_id, mailing_id, kind, contact_id)
    )
    """,
)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        protect(op, "contacts", table)
