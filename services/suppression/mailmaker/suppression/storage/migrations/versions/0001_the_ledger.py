"""suppression.storage.migrations: the ledger of every "no", what stands of it, the feed, and who vouches for it."""

from alembic import op
from mailmaker.common.storage.tables_v1 import house_tables, protect, share

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("ledger", "repeats", "subjects", "releases", "feed", "enforcements")
MUTABLE = ("evidence", "standing", "account_heads", "awaiting", "incomplete")

STATEMENTS = (
    # Every "no", once. Keys only: the address itself is never here.
    """
    CREATE TABLE ledger (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        channel      text NOT NULL CHECK (channel IN ('email', 'sms')),
        scope        text NOT NULL CHECK (scope IN ('list', 'account')),
        list_id      uuid,
        kind         text NOT NULL,
        named        bytea NOT NULL,
        contact_id   uuid,
        door         text NOT NULL,
        reason       text NOT NULL,
        received_at  timestamptz NOT NULL,
        recorded_at  timestamptz NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    "CREATE INDEX ledger_newest ON ledger (account_id, recorded_at DESC, id DESC)",
    # The same "no" said again: evidence, and what makes a second hand-over of it harmless.
    """
    CREATE TABLE repeats (
        account_id      uuid NOT NULL,
        id              uuid NOT NULL,
        suppression_id  uuid NOT NULL,
        door            text NOT NULL,
        reason          text NOT NULL,
        received_at     timestamptz NOT NULL,
        recorded_at     timestamptz NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    # The personal part of the evidence is a row of its own, which an erasure can take away alone.
    """
    CREATE TABLE evidence (
        account_id  uuid NOT NULL,
        id          uuid NOT NULL,
        payload     jsonb NOT NULL,
        PRIMARY KEY (account_id, id)
    )
    """,
    # Which entries speak of a suppression key, for ever: the history of an address.
    """
    CREATE TABLE subjects (
        account_id      uuid NOT NULL,
        subject         bytea NOT NULL,
        suppression_id  uuid NOT NULL,
        PRIMARY KEY (account_id, subject, suppression_id)
    )
    """,
    # The state: what is in force now, where, by which entry. The nil id stands for every list (or one not yet known).
    """
    CREATE TABLE standing (
        account_id      uuid NOT NULL,
        subject         bytea NOT NULL,
        channel         text NOT NULL,
        scope           text NOT NULL,
        list_id         uuid NOT NULL,
        kind            text NOT NULL,
        suppression_id  uuid NOT NULL,
        PRIMARY KEY (account_id, subject, channel, scope, list_id, kind, suppression_id)
    )
    """,
    "CREATE INDEX standing_of_entry ON standing (account_id, suppression_id)",
    """
    CREATE TABLE releases (
        account_id      uuid NOT NULL,
        suppression_id  uuid NOT NULL,
        reason          text NOT NULL,
        key_id          uuid NOT NULL,
        released_at     timestamptz NOT NULL,
        PRIMARY KEY (account_id, suppression_id)
    )
    """,
    # `number` is the platform's, `position` the account's own; both gapless, both in commit order.
    """
    CREATE TABLE feed (
        account_id      uuid NOT NULL,
        position        bigint NOT NULL,
        number          bigint NOT NULL,
        suppression_id  uuid NOT NULL,
        channel         text NOT NULL,
        scope           text NOT NULL,
        list_id         uuid,
        subjects        bytea[] NOT NULL,
        contact_id      uuid,
        reason          text NOT NULL,
        door            text NOT NULL,
        released        boolean NOT NULL,
        later           boolean NOT NULL,
        received_at     timestamptz NOT NULL,
        recorded_at     timestamptz NOT NULL,
        PRIMARY KEY (account_id, position)
    )
    """,
    # The one index that does not begin with the account: the feed of the platform is read in its own order.
    "CREATE UNIQUE INDEX feed_number ON feed (number)",
    "CREATE INDEX feed_of_entry ON feed (account_id, suppression_id)",
    "CREATE TABLE account_heads (account_id uuid PRIMARY KEY, last bigint NOT NULL)",
    "CREATE TABLE feed_head (one boolean PRIMARY KEY DEFAULT true CHECK (one), last bigint NOT NULL)",
    "INSERT INTO feed_head (last) VALUES (0)",
    # Feed items dispatch has not yet answered for; what the oldest-pending figure is read from.
    """
    CREATE TABLE awaiting (
        account_id   uuid NOT NULL,
        number       bigint NOT NULL,
        recorded_at  timestamptz NOT NULL,
        PRIMARY KEY (account_id, number)
    )
    """,
    """
    CREATE TABLE enforcements (
        account_id      uuid NOT NULL,
        number          bigint NOT NULL,
        suppression_id  uuid NOT NULL,
        enforced_at     timestamptz NOT NULL,
        stopped         jsonb NOT NULL,
        in_flight       jsonb NOT NULL,
        told_at         timestamptz NOT NULL,
        PRIMARY KEY (account_id, number)
    )
    """,
    "CREATE INDEX enforcements_of_entry ON enforcements (account_id, suppression_id)",
    # Entries of a token door that contacts could not complete yet with list and address keys.
    """
    CREATE TABLE incomplete (
        account_id      uuid NOT NULL,
        suppression_id  uuid NOT NULL,
        contact_id      uuid NOT NULL,
        tries           int NOT NULL,
        due_at          timestamptz NOT NULL,
        PRIMARY KEY (account_id, suppression_id)
    )
    """,
    # One row a journal file. The feed vouches for nothing younger than the oldest touch.
    """
    CREATE TABLE journals (
        id          uuid PRIMARY KEY,
        host        text NOT NULL,
        pid         int NOT NULL,
        started_at  timestamptz NOT NULL,
        touched_at  timestamptz NOT NULL
    )
    """,
    "CREATE TABLE pepper (one boolean PRIMARY KEY DEFAULT true CHECK (one), check_value text NOT NULL)",
)


def upgrade() -> None:
    house_tables(op, "suppression")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in (*APPEND_ONLY, *MUTABLE):
        protect(op, "suppression", table)
    for table in ("feed_head", "journals", "pepper"):
        share(op, "suppression", table)
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mailmaker_suppression")
