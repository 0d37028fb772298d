"""common.commands.placeholders: settings with which a house can be built to be looked at, never to be run."""

from __future__ import annotations

import base64
from typing import Any

from mailmaker.common.ops.lifecycle import House
from mailmaker.common.ops.settings import ServiceSettings, Shared

_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
_SHARED = {
    "service_token": _KEY,
    "token_keys": f"1:{_KEY}",
    "pepper": _KEY,
    "database_url": "postgresql://nobody@nowhere/none",
}


def placeholder_settings(house: House) -> tuple[ServiceSettings, Shared]:
    """Required settings get a value of no meaning."""
    wanted: dict[str, Any] = {
        name: "placeholder-of-no-meaning"
        for name, field in house.settings.model_fields.items()
        if field.is_required()
    }
    return house.settings.model_validate(wanted), Shared.model_validate(_SHARED)
