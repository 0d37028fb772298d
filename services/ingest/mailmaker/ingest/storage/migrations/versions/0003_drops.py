"""ingest.storage.migrations: drops, the files taken from them, and the accounts' keys for encrypted files."""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE drops (
        account_id     uuid NOT NULL,
        id             uuid NOT NULL,
        user_name      text NOT NULL UNIQUE,
        name           text NOT NULL,
        protocols      text[] NOT NULL,
        rules          jsonb NOT NULL,
        password_hash  text,
        public_keys    text[] NOT NULL DEFAULT '{}',
        quota_bytes    bigint,
        quota_files    int,
        active         boolean NOT NULL DEFAULT true,
        closed         boolean NOT NULL DEFAULT false,
        credentials    bigint NOT NULL DEFAULT 1,
        created_at     timestamptz NOT NULL,
        updated_at     timestamptz NOT NULL,
        last_login_at  timestamptz,
        version        bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (account_id, id)
    )
    """,
    """
    CREATE TABLE drop_files (
        account_id     uuid NOT NULL,
        drop_id        uuid NOT NULL,
        id             uuid NOT NULL,
        name           text NOT NULL,
        size           bigint NOT NULL,
        inode          bigint NOT NULL,
        modified_ns    bigint NOT NULL,
        state          text NOT NULL CHECK (state IN ('taking', 'received', 'rejected')),
        import_id      uuid,
        error_code     text,
        error_detail   text,
        taken_at       timestamptz NOT NULL,
        archived       boolean NOT NULL DEFAULT false,
        told           text,
        PRIMARY KEY (account_id, drop_id, id)
    )
    """,
    # What is still to be done of one inbox: a handful of rows at any time.
    """
    CREATE INDEX drop_files_open ON drop_files (account_id, drop_id, id)
     WHERE NOT archived OR told IS DISTINCT FROM 'ended'
    """,
    # The same file is taken once, also when the service is killed between the row and the move.
    """
    CREATE UNIQUE INDEX drop_files_taking ON drop_files (account_id, drop_id, name, inode, size, modified_ns)
     WHERE state = 'taking'
    """,
    """
    CREATE TABLE pgp_keys (
        account_id     uuid NOT NULL,
        id             uuid NOT NULL,
        fingerprint    text NOT NULL,
        public_key     text NOT NULL,
        sealed_key     bytea NOT NULL,
        created_at     timestamptz NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("drops", "drop_files", "pgp_keys"):
        protect(op, "ingest", table)
