"""dispatch.storage.migrations: pools, sources and routes; which site a message goes to; who holds an egress path.

A message's `lane` is null where nobody needs to know it (the account has no pools), empty until its domain's site is found.
The previous release writes neither and sends by the platform's own server whatever account it is: give an account its
first pool when every process is new.
"""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect, share

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE pools (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL,
        is_default   boolean NOT NULL,
        created_at   timestamptz NOT NULL,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, name)
    )
    """,
    "CREATE UNIQUE INDEX pools_default ON pools (account_id) WHERE is_default",
    """
    CREATE TABLE sources (
        account_id   uuid NOT NULL,
        id           uuid NOT NULL,
        pool_id      uuid NOT NULL,
        name         text NOT NULL,
        driver       text NOT NULL CHECK (driver IN ('direct', 'socks5', 'smarthost', 'sandbox')),
        address      inet,
        ehlo         text NOT NULL,
        server       text,
        username     text,
        secret       bytea,
        tls          text NOT NULL CHECK (tls IN ('opportunistic', 'required', 'off')),
        state        text NOT NULL CHECK (state IN ('active', 'paused')),
        warming      boolean NOT NULL,
        created_at   timestamptz NOT NULL,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, name),
        FOREIGN KEY (account_id, pool_id) REFERENCES pools (account_id, id),
        CHECK ((driver IN ('direct', 'socks5')) = (address IS NOT NULL))
    )
    """,
    # Across all accounts, on purpose: an address belongs to one account, or nobody's mail is safe from another's name.
    "CREATE UNIQUE INDEX sources_address ON sources (address) WHERE address IS NOT NULL",
    """
    CREATE TABLE routes (
        account_id    uuid NOT NULL,
        id            uuid NOT NULL,
        position      integer NOT NULL,
        name          text NOT NULL,
        pool_id       uuid NOT NULL,
        sender_id     uuid,
        sender_domain text,
        list_id       uuid,
        tag           text,
        class         text,
        provider      text,
        created_at    timestamptz NOT NULL,
        PRIMARY KEY (account_id, id),
        UNIQUE (account_id, name),
        FOREIGN KEY (account_id, pool_id) REFERENCES pools (account_id, id)
    )
    """,
    # Who holds a path. `ends_at` is set when its holder is lost and not known dead: until then its connections may be
    # open, and count.
    """
    CREATE TABLE paths (
        account_id   uuid NOT NULL,
        source_id    uuid NOT NULL,
        lane         text NOT NULL,
        fence        bigint NOT NULL,
        connections  integer NOT NULL,
        ends_at      timestamptz,
        PRIMARY KEY (account_id, source_id, lane, fence)
    )
    """,
    "CREATE UNIQUE INDEX paths_held ON paths (account_id, source_id, lane) WHERE ends_at IS NULL",
    "CREATE INDEX paths_of ON paths (fence)",
    # How far a source is at a provider, and what relays have drawn of its budget this day and this hour.
    """
    CREATE TABLE warmups (
        account_id   uuid NOT NULL,
        source_id    uuid NOT NULL,
        provider     text NOT NULL,
        day_index    integer NOT NULL,
        day          date NOT NULL,
        active       date NOT NULL,
        sent         integer NOT NULL,
        deferred     integer NOT NULL,
        complained   integer NOT NULL,
        held         integer NOT NULL,
        verdict      text NOT NULL,
        before       integer[] NOT NULL,
        used_day     integer NOT NULL,
        used_hour    integer NOT NULL,
        hour         timestamptz NOT NULL,
        PRIMARY KEY (account_id, source_id, provider)
    )
    """,
    # Platform-wide: what the DNS said about the domains that mail goes to.
    """
    CREATE TABLE sites (
        domain       text PRIMARY KEY,
        site         text NOT NULL,
        lane         text NOT NULL,
        expires_at   timestamptz NOT NULL
    )
    """,
    # Where a relay's process is: a process of the same place can see that it is dead.
    "ALTER TABLE relays ADD COLUMN place text NOT NULL DEFAULT ''",
    "ALTER TABLE mailings ADD COLUMN tag text, ADD COLUMN rate_at timestamptz",
    "ALTER TABLE messages ADD COLUMN lane text, ADD COLUMN route text",
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("pools", "sources", "routes", "paths", "warmups"):
        protect(op, "dispatch", table)
    share(op, "dispatch", "sites")
