"""common.storage.migrate: one house's schema, role and tables, brought to the newest revision."""

from __future__ import annotations

import asyncio

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from mailmaker.common.storage.schema import VERSION_TABLE, newest_revision, versions_of
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 0x6D61696C  # "mail": one migration at a time in a database
_PATIENCE = 3600.0
"""Seconds for the migration of another process."""
_AGAIN = 0.1


async def migrate(house: str, admin_url: str, role_password: str | None = None) -> str:
    """Makes the schema and the role if they are missing, runs the migrations, and returns the revision reached.

    Run by `mailmaker migrate` as the schema's owner, never by a serving process.
    """
    engine = create_async_engine(make_url(admin_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.connect() as lock:
            # The lock is held on a connection of its own: each migration commits by itself.
            await _alone(lock)
            async with engine.connect() as conn:
                await conn.run_sync(_prepare, house, role_password)
                await conn.run_sync(_upgrade, house)
            await lock.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _LOCK})
    finally:
        await engine.dispose()
    return newest_revision(house)


async def _alone(lock: AsyncConnection) -> None:
    """Takes the session's lock and leaves no transaction open, nor waits in one: an index that is built concurrently waits
    for every older one, and would wait for ever."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await lock.scalar(text("SELECT pg_try_advisory_lock(:n)"), {"n": _LOCK}):
                await lock.rollback()
                await asyncio.sleep(_AGAIN)
    except TimeoutError:
        raise TimeoutError(
            "another process migrates this database for an hour; see what holds it up"
        ) from None
    await lock.commit()


def scripts_of(house: str) -> ScriptDirectory:
    """A house's migrations as Alembic sees them."""
    versions = versions_of(house)
    return ScriptDirectory(str(versions.parent), version_locations=[str(versions)])


def _prepare(conn: Connection, house: str, password: str | None) -> None:
    role = f"mailmaker_{house}"
    if conn.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :r"), {"r": role}) is None:
        conn.execute(text(f"CREATE ROLE {role} LOGIN"))
    if password is not None:
        quoted = conn.scalar(text("SELECT quote_literal(:p)"), {"p": password})
        conn.execute(text(f"ALTER ROLE {role} PASSWORD {quoted}"))
    # A stopped process must not hold row locks for ever: its idle transaction is ended and its locks go free.
    conn.execute(text(f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '5s'"))
    conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {house}"))
    conn.execute(text(f"GRANT USAGE ON SCHEMA {house} TO {role}"))
    database = conn.scalar(text("SELECT quote_ident(current_database())"))
    conn.execute(text(f"GRANT TEMPORARY ON DATABASE {database} TO {role}"))
    conn.commit()


def _upgrade(conn: Connection, house: str) -> None:
    conn.execute(text(f"SET search_path = {house}"))
    conn.execute(text("SET lock_timeout = '5s'"))
    conn.commit()
    scripts = scripts_of(house)

    def steps(revision: object, context: MigrationContext) -> object:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(
            connection=conn,
            version_table=VERSION_TABLE,
            version_table_schema=house,
            transaction_per_migration=True,
        )
        environment.run_migrations()
    role = f"mailmaker_{house}"
    conn.execute(text(f"GRANT SELECT ON {house}.{VERSION_TABLE} TO {role}"))
    conn.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {house} TO {role}"))
    conn.commit()


__all__ = ["Operations", "migrate", "scripts_of"]
