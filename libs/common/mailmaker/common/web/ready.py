"""common.web.ready: readiness checks that every house shares."""

from __future__ import annotations

from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.storage.schema import VERSION_TABLE, newest_revision
from mailmaker.common.web.app import Check
from mailmaker.common.web.keyring import KeyRing
from sqlalchemy import text

_REVISION = text(f"SELECT version_num FROM {VERSION_TABLE}")


def schema_is_current(db: Database) -> Check:
    """PostgreSQL answers, and the schema is the one this release needs, or newer."""
    needed = newest_revision(db.house)

    async def check() -> str | None:
        try:
            async with db.platform() as tx:
                found = (await tx.execute(_REVISION)).scalar()
        except StorageUnavailable as wrong:
            return str(wrong)
        return (
            None
            if found is not None and str(found) >= needed
            else f"schema is at {found}, needs {needed}: run `mailmaker migrate`"
        )

    return check


def keys_are_fresh(keyring: KeyRing) -> Check:
    """Key changes were confirmed in the last seconds."""

    async def check() -> str | None:
        return "key changes are not confirmed" if keyring.stale else None

    return check
