"""contacts.storage.migrations: accounts, keys, lists, contacts, plans, and the copy of every "no"."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect, share

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNT_TABLES = (
    "accounts",
    "api_keys",
    "lists",
    "list_fields",
    "contacts",
    "contact_history",
    "plans",
    "plan_rows",
    "nos",
    "tombstones",
)

STATEMENTS = (
    # Numbers that must have no gap and be visible in order: whoever takes one holds the row until its commit.
    "CREATE TABLE counters (name text PRIMARY KEY, last bigint NOT NULL)",
    "INSERT INTO counters (name, last) VALUES ('account_number', 0), ('key_changes', 0)",
    # How far suppression's feed has been applied to this house's contacts. One row.
    "CREATE TABLE feed_position (name text PRIMARY KEY, number bigint NOT NULL)",
    "INSERT INTO feed_position (name, number) VALUES ('contacts', 0)",
    """
    CREATE TABLE accounts (
        account_id   uuid PRIMARY KEY,
        number       int NOT NULL UNIQUE,
        name         text NOT NULL,
        state        text NOT NULL CHECK (state IN ('open', 'suspended', 'closed')),
        opened_at    timestamptz NOT NULL,
        version      bigint NOT NULL
    )
    """,
    # The other houses pull "what changed after N" each second, over all accounts: not an account's index.
    "CREATE INDEX accounts_by_version ON accounts (version)",
    """
    CREATE TABLE api_keys (
        account_id   uuid NOT NULL REFERENCES accounts (account_id),
        id           uuid NOT NULL,
        name         text NOT NULL,
        hint         text NOT NULL,
        secret_hash  bytea NOT NULL,
        scopes       text[] NOT NULL,
        lists        uuid[],
        created_at   timestamptz NOT NULL,
        expires_at   timestamptz,
        revoked_at   timestamptz,
        version      bigint NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    "CREATE INDEX api_keys_by_version ON api_keys (version)",
    """
    CREATE TABLE lists (
        account_id        uuid NOT NULL REFERENCES accounts (account_id),
        id                uuid NOT NULL,
        name              text NOT NULL,
        key               text NOT NULL CHECK (key IN ('email', 'mobile', 'fkey')),
        default_country   text NOT NULL,
        timezone          text NOT NULL,
        controller_name   text NOT NULL,
        controller_email  text NOT NULL,
        caps              jsonb NOT NULL,
        opened_at         timestamptz NOT NULL,
        changed_at        timestamptz NOT NULL,
        closed_at         timestamptz,
        version           bigint NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    """
    CREATE TABLE list_fields (
        account_id   uuid NOT NULL,
        list_id      uuid NOT NULL,
        name         text NOT NULL,
        position     int NOT NULL,
        type         text NOT NULL CHECK (type IN ('text', 'number', 'date', 'boolean', 'enum')),
        choices      text[] NOT NULL,
        PRIMARY KEY (account_id, list_id, name),
        FOREIGN KEY (account_id, list_id) REFERENCES lists (account_id, id)
    )
    """,
    # No foreign key to lists: a million rows would check it one by one, and a list's row is never deleted.
    """
    CREATE TABLE contacts (
        account_id     uuid NOT NULL,
        list_id        uuid NOT NULL,
        id             uuid NOT NULL,
        key_text       text NOT NULL,
        email          text,
        mobile         text,
        fkey           text,
        name           text,
        surname        text,
        sex            text,
        birth_date     date,
        province       text,
        region         text,
        city           text,
        postal_code    text,
        country        text,
        language       text,
        custom         jsonb NOT NULL DEFAULT '{}',
        email_consent  text NOT NULL CHECK (email_consent IN ('subscribed', 'pending', 'unsubscribed')),
        sms_consent    text NOT NULL CHECK (sms_consent IN ('subscribed', 'pending', 'unsubscribed')),
        email_key      bytea,
        mobile_key     bytea,
        fkey_hash      bytea,
        created_at     timestamptz NOT NULL,
        changed_at     timestamptz NOT NULL,
        version        bigint NOT NULL,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, list_id, key_text)
    )
    """,
    "CREATE INDEX contacts_by_email_key ON contacts (account_id, email_key) WHERE email_key IS NOT NULL",
    "CREATE INDEX contacts_by_mobile_key ON contacts (account_id, mobile_key) WHERE mobile_key IS NOT NULL",
    "CREATE INDEX contacts_by_fkey_hash ON contacts (account_id, list_id, fkey_hash) WHERE fkey_hash IS NOT NULL",
    # What was done to one contact, other than by an import (plan_rows has those). Goes when the person is erased.
    """
    CREATE TABLE contact_history (
        account_id      uuid NOT NULL,
        contact_id      uuid NOT NULL,
        id              uuid NOT NULL,
        list_id         uuid NOT NULL,
        at              timestamptz NOT NULL,
        what            text NOT NULL,
        by              text NOT NULL,
        before          jsonb NOT NULL,
        after           jsonb NOT NULL,
        suppression_id  uuid,
        PRIMARY KEY (account_id, contact_id, id)
    )
    """,
    """
    CREATE TABLE plans (
        account_id     uuid NOT NULL,
        import_id      uuid NOT NULL,
        list_id        uuid NOT NULL,
        options        jsonb NOT NULL,
        state          text NOT NULL
                       CHECK (state IN ('staged', 'planned', 'approved', 'quarantined', 'applied', 'failed', 'cancelled')),
        counts         jsonb,
        applied        jsonb,
        error_code     text,
        error_detail   text,
        attempts       int NOT NULL DEFAULT 0,
        due_at         timestamptz,
        staged_at      timestamptz NOT NULL,
        planned_at     timestamptz,
        applied_at     timestamptz,
        PRIMARY KEY (account_id, import_id)
    )
    """,
    "CREATE INDEX plans_due ON plans (due_at) WHERE due_at IS NOT NULL",
    # Rows of a plan that say more than "unchanged"; written once. `applied` rows say what was done; a plan that waits for
    # approval has rows of its own, and they stay as they were shown.
    """
    CREATE TABLE plan_rows (
        account_id   uuid NOT NULL,
        import_id    uuid NOT NULL,
        action       text NOT NULL CHECK (action IN ('created', 'updated', 'removed', 'protected')),
        contact_id   uuid NOT NULL,
        line         int,
        before       jsonb,
        after        jsonb,
        applied      boolean NOT NULL,
        PRIMARY KEY (account_id, import_id, applied, action, contact_id)
    )
    """,
    "CREATE INDEX plan_rows_by_contact ON plan_rows (account_id, contact_id)",
    # Our copy of suppression's "no"s by subject: what protects the rows of an import.
    """
    CREATE TABLE nos (
        account_id      uuid NOT NULL,
        channel         text NOT NULL CHECK (channel IN ('email', 'sms')),
        subject         bytea NOT NULL,
        list_id         uuid NOT NULL,
        number          bigint NOT NULL,
        suppression_id  uuid NOT NULL,
        reason          text NOT NULL,
        released        boolean NOT NULL,
        PRIMARY KEY (account_id, channel, subject, list_id)
    )
    """,
    # All that is left of an erased contact: a keyed hash. It lowers the consent of whoever comes back, for ever.
    """
    CREATE TABLE tombstones (
        account_id   uuid NOT NULL,
        channel      text NOT NULL CHECK (channel IN ('email', 'sms')),
        subject      bytea NOT NULL,
        erased_at    timestamptz NOT NULL,
        PRIMARY KEY (account_id, channel, subject)
    )
    """,
)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    house_tables(op, "contacts")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ACCOUNT_TABLES:
        protect(op, "contacts", table)
    for table in ("counters", "feed_position"):
        share(op, "contacts", table)
