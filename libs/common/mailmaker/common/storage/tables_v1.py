"""common.storage.tables_v1: the tables that every house has, as its first migration makes them. Frozen: a change is a new
migration in each house, or a `tables_v2` beside this."""

from __future__ import annotations

from typing import Protocol


class Operations(Protocol):
    """What is needed of `alembic.op`."""

    def execute(self, sqltext: str, /) -> object: ...


_TABLES = """
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id uuid NOT NULL, topic text NOT NULL, key text NOT NULL,
    headers jsonb NOT NULL, value bytea NOT NULL, staged_at timestamptz NOT NULL);
CREATE TABLE inbox (
    account_id uuid NOT NULL, consumer text NOT NULL, event_id uuid NOT NULL, heard_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, consumer, event_id));
CREATE TABLE dead_letters (
    account_id uuid NOT NULL, id uuid NOT NULL, consumer text NOT NULL, topic text NOT NULL, key text NOT NULL,
    headers jsonb NOT NULL, value bytea NOT NULL, reason text NOT NULL, attempts int NOT NULL,
    parked_at timestamptz NOT NULL, behind uuid, PRIMARY KEY (account_id, id));
CREATE INDEX dead_letters_by_key ON dead_letters (consumer, topic, key, parked_at);
CREATE TABLE handovers (
    account_id uuid NOT NULL, id uuid NOT NULL, target text NOT NULL, path text NOT NULL, body jsonb NOT NULL,
    created_at timestamptz NOT NULL, attempts int NOT NULL, due_at timestamptz NOT NULL, PRIMARY KEY (account_id, id));
CREATE INDEX handovers_due ON handovers (due_at);
CREATE TABLE idempotency (
    account_id uuid NOT NULL, method text NOT NULL, path text NOT NULL, key text NOT NULL, body_hash bytea NOT NULL,
    answer jsonb NOT NULL, made_at timestamptz NOT NULL, PRIMARY KEY (account_id, method, path, key));
CREATE TABLE audit (
    account_id uuid NOT NULL, id uuid NOT NULL, at timestamptz NOT NULL, key_id uuid NOT NULL, request_id text NOT NULL,
    verb text NOT NULL, subject text NOT NULL, PRIMARY KEY (account_id, id));
CREATE TABLE known_accounts (
    account_id uuid PRIMARY KEY, number int NOT NULL UNIQUE, name text NOT NULL, state text NOT NULL,
    version bigint NOT NULL);
CREATE TABLE known_keys (
    account_id uuid NOT NULL, key_id uuid NOT NULL, secret_hash text NOT NULL UNIQUE, scopes text[] NOT NULL,
    list_ids uuid[], expires_at timestamptz, revoked boolean NOT NULL, version bigint NOT NULL,
    PRIMARY KEY (account_id, key_id))
"""
_NAMES = (
    "outbox",
    "inbox",
    "dead_letters",
    "handovers",
    "idempotency",
    "audit",
    "known_accounts",
    "known_keys",
)


def house_tables(op: Operations, house: str) -> None:
    """Makes the tables that every house has, in the house's schema."""
    for statement in _TABLES.split(";"):
        op.execute(statement)
    for name in _NAMES:
        protect(op, house, name)


def protect(op: Operations, house: str, table: str) -> None:
    """Row-level security by `account_id`, and the house's role may read and write the table.

    The settings are read in sub-selects, so that they are evaluated once a statement and not once a row.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_account ON {table} USING ("
        " (SELECT coalesce(current_setting('mailmaker.platform', true), 'off')) = 'on'"
        " OR account_id = (SELECT nullif(current_setting('mailmaker.account', true), '')::uuid))"
    )
    share(op, house, table)


def share(op: Operations, house: str, table: str) -> None:
    """The house's role may read and write a table that belongs to no account."""
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO mailmaker_{house}")
