"""common.storage.tables_v2: the accounts whose data a house has to remove: the table, as each house makes it. Frozen."""

from __future__ import annotations

from mailmaker.common.storage.tables_v1 import Operations, protect

# `due_at` is also the lease of who is at it: as long as it lies ahead, nobody else begins.
_TABLE = """
CREATE TABLE emptyings (
    account_id uuid PRIMARY KEY, heard_at timestamptz NOT NULL, due_at timestamptz NOT NULL, emptied_at timestamptz)
"""


def emptying_table(op: Operations, house: str) -> None:
    """Makes the table, in the house's schema."""
    op.execute(_TABLE)
    # What is due is looked for over all accounts: not an account's index.
    op.execute("CREATE INDEX emptyings_due ON emptyings (due_at)")
    protect(op, house, "emptyings")
