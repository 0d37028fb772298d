"""contract: each table of each house says what becomes of it when an account is gone, and each house gives its archive."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mailmaker.common.contracts import archives
from mailmaker.common.storage import tables_v1, tables_v2
from mailmaker.common.storage.emptying import SHARED_KEPT, Emptying

ROOT = Path(__file__).parents[2]
HOUSES = ("contacts", "ingest", "dispatch", "suppression", "fbl")
MADE = re.compile(r"\bCREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\(")
DROPPED = re.compile(r"\bDROP TABLE (?:IF EXISTS )?(\w+)")


def emptying_of(house: str) -> Emptying:
    plan = importlib.import_module(f"mailmaker.{house}.storage.emptying").EMPTYING
    assert isinstance(plan, Emptying)
    return plan


def tables_of(house: str) -> Iterator[str]:
    """What the house's migrations make."""
    shared = {"house_tables(": tables_v1, "emptying_table(": tables_v2}
    dropped: set[str] = set()
    found: list[str] = []
    for path in sorted(
        ROOT.glob(f"services/{house}/mailmaker/{house}/storage/migrations/versions/[0-9]*.py")
    ):
        text = path.read_text()
        for call, module in shared.items():
            if f"\n    {call}" in text:
                text += Path(str(module.__file__)).read_text()
        found += MADE.findall(text)
        dropped |= set(DROPPED.findall(text))
    return (name for name in found if name not in dropped)


@pytest.mark.parametrize("house", HOUSES)
def test_every_table_says_what_becomes_of_it(house: str) -> None:
    plan = emptying_of(house)
    made = Counter(tables_of(house))
    # contacts owns accounts: it knows by itself which ones are to be emptied.
    made["emptyings"] = 1
    assert Counter(plan.tables()) == made, "each table once: emptied, blanked, or kept with a reason"
    for table, why in {**plan.kept, **SHARED_KEPT, **{t: b.why for t, b in plan.blanked.items()}}.items():
        assert len(why) > 20, f"{table} stays without a reason"


def test_nothing_that_proves_a_no_goes() -> None:
    assert emptying_of("suppression").emptied == {}
    assert emptying_of("suppression").blanked == {}
    kept = {"contacts": {"nos", "tombstones"}, "dispatch": {"suppressed"}, "fbl": {"arrivals"}}
    for house, tables in kept.items():
        assert tables <= set(emptying_of(house).kept)
    assert "messages" in emptying_of("dispatch").blanked
    assert "reports" in emptying_of("fbl").blanked


def test_every_house_gives_the_parts_that_contacts_expects() -> None:
    assert set(archives.PARTS) == set(HOUSES) - {"contacts"}
    for house, parts in archives.PARTS.items():
        given = importlib.import_module(f"mailmaker.{house}.storage.archive").PARTS
        assert tuple(given) == parts
        assert all(re.fullmatch(rf"{house}/[a-z_]+\.jsonl", name) for name in parts)
