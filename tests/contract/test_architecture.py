"""contract: the rooms of the house are rules, not advice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTIONS = [ROOT / "libs/common/mailmaker/common", *sorted(ROOT.glob("services/*/mailmaker/*"))]
MODULES = [p for portion in PORTIONS for p in sorted(portion.rglob("*.py"))]
FORBIDDEN_NAMES = {"utils", "helpers", "service", "manager", "base", "core", "misc"}
ROOMS = {"api", "events", "actions", "domain", "storage"}
EXTRA_ROOMS = {
    "ingest": {"readers", "drop"},
    "dispatch": {"render", "relay", "track", "egress", "sms"},
    "fbl": {"inbound", "parse"},
}
FILES = {"main.py", "settings.py", "errors.py", "__init__.py"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[4] if len(parts) > 5 and parts[0] == "services" else ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_there_is_a_house_to_check() -> None:
    assert len(PORTIONS) == 6
    assert len(MODULES) > 100


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short_and_says_its_room(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250, "split it: a module is at most 250 lines"
    assert path.stem not in FORBIDDEN_NAMES, "name it after what it does"
    docstring = ast.get_docstring(ast.parse(text)) or ""
    portion = path.relative_to(ROOT).parts[3] if path.is_relative_to(ROOT / "services") else "common"
    assert docstring.startswith(portion), f"the first line says its room: `{portion}.<room>: …`"


def test_nothing_hides_the_namespace() -> None:
    hiding = [name_of(p / "__init__.py") for p in ROOT.glob("**/mailmaker") if (p / "__init__.py").exists()]
    assert hiding == [], "a `mailmaker/__init__.py` hides every other portion"


@pytest.mark.parametrize("house", PORTIONS[1:], ids=lambda p: p.name)
def test_a_house_has_the_five_rooms_and_no_other(house: Path) -> None:
    found = {p.name for p in house.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert found >= ROOMS
    assert found <= ROOMS | EXTRA_ROOMS.get(house.name, set())
    assert {p.name for p in house.glob("*.py")} == FILES
    assert len((house / "main.py").read_text().splitlines()) <= 120
    assert (house.parents[1] / "README.md").exists(), "one page: enters, leaves, owns, never"


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) not in ("", "actions")], ids=name_of)
def test_only_actions_open_a_transaction(path: Path) -> None:
    for call in calls(ast.parse(path.read_text())):
        if isinstance(call.func, ast.Attribute) and call.func.attr in {
            "write",
            "heard",
            "account",
            "platform",
        }:
            on = ast.unparse(call.func.value)
            assert not re.search(r"(^|[._])(db|database)$", on), f"line {call.lineno}: {on}.{call.func.attr}"


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "domain"], ids=name_of)
def test_domain_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await)], (
        "no await in domain"
    )
    clocks = {"now", "utcnow", "time", "monotonic", "today", "time_ns"}
    for call in calls(tree):
        if isinstance(call.func, ast.Attribute) and call.func.attr in clocks:
            assert ast.unparse(call.func.value) not in {"datetime", "date", "time"}, "time is passed in"
    random = [
        n for n in ast.walk(tree) if isinstance(n, ast.Import) and any(a.name == "random" for a in n.names)
    ]
    assert not random, "randomness is passed in"


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if p.is_relative_to(ROOT / "services") and room_of(p) != "storage"],
    ids=name_of,
)
def test_sql_is_spoken_in_storage_only(path: Path) -> None:
    said = re.compile(
        r"\b(SELECT\s.+\sFROM\s|INSERT INTO \w|UPDATE \w+ SET |DELETE FROM \w|MERGE INTO \w)", re.DOTALL
    )
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not said.search(node.value), f"line {node.lineno} speaks SQL"
