"""dispatch.storage.migrations: a domain's DKIM keys beside the RSA key that signs, which stays in the domain's own row.

There the previous release reads it, and signs with it whatever is in this table; and of a domain that goes, it need not
know that its keys go too. Domains that are there already get an Ed25519 key when they are next verified: a migration
has no secret to seal one with.
"""

from alembic import op
from mailmaker.common.storage.tables_v1 import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    # `waiting`: not signed with, its record was not found; `signing`; `next`: takes over when its record is found;
    # `retired`: verifies what is under way, and signs nothing any more.
    """
    CREATE TABLE domain_keys (
        account_id   uuid NOT NULL,
        domain_id    uuid NOT NULL,
        selector     text NOT NULL,
        algorithm    text NOT NULL CHECK (algorithm IN ('rsa', 'ed25519')),
        public_key   text NOT NULL,
        private_key  bytea,
        state        text NOT NULL CHECK (state IN ('waiting', 'signing', 'next', 'retired')),
        since        timestamptz NOT NULL,
        PRIMARY KEY (account_id, domain_id, selector),
        FOREIGN KEY (account_id, domain_id) REFERENCES domains (account_id, id) ON DELETE CASCADE,
        CHECK ((private_key IS NULL) = (state = 'retired'))
    )
    """,
    """
    CREATE UNIQUE INDEX domain_keys_one_signs ON domain_keys (account_id, domain_id, algorithm)
     WHERE state IN ('waiting', 'signing')
    """,
    """
    CREATE UNIQUE INDEX domain_keys_one_is_next ON domain_keys (account_id, domain_id, algorithm) WHERE state = 'next'
    """,
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)
    protect(op, "dispatch", "domain_keys")
