"""common.commands.migrate: brings the schemas of houses to this release."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from mailmaker.common.commands.chosen import chosen
from mailmaker.common.ops.settings import PREFIX, WrongSettings
from mailmaker.common.storage.migrate import migrate

ADMIN = "MAILMAKER_ADMIN_DATABASE_URL"


def migrate_all(names: Sequence[str]) -> dict[str, str]:
    """The revision that each house reached. Raises WrongSettings."""
    admin_url = os.environ.get(ADMIN, "")
    if not admin_url:
        raise WrongSettings(f"{ADMIN}: the URL of the database as the owner of its schemas is needed")
    return asyncio.run(_migrate(admin_url, list(chosen(names))))


async def _migrate(admin_url: str, houses: Sequence[str]) -> dict[str, str]:
    return {house: await migrate(house, admin_url, _role_password(house)) for house in houses}


def _role_password(house: str) -> str | None:
    """The one that the house itself will show; None leaves the role's as it is."""
    password = urlsplit(os.environ.get(f"{PREFIX}{house.upper()}_DATABASE_URL", "")).password
    return unquote(password) if password else None
