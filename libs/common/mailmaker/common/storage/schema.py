"""common.storage.schema: which revision of its schema a house needs, told without loading the migrations.

Serving processes ask this at each start; Alembic alone would cost each of them a third of a second.
"""

from __future__ import annotations

import importlib
from pathlib import Path

VERSION_TABLE = "schema_version"


def newest_revision(house: str) -> str:
    """The revision this release's code needs: migrations are called `NNNN_what.py`, and NNNN is the revision."""
    return max((path.name.partition("_")[0] for path in versions_of(house).glob("[0-9]*_*.py")), default="")


def versions_of(house: str) -> Path:
    """Where a house's migrations are."""
    package = importlib.import_module(f"mailmaker.{house}.storage")
    return Path(next(iter(package.__path__))) / "migrations" / "versions"
