"""contract: the committed OpenAPI documents and .env.example are those that the code makes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from mailmaker.common.commands.env_example import env_example
from mailmaker.common.commands.openapi import openapi_document
from mailmaker.common.ops.lifecycle import house_names
from mailmaker.common.storage.migrate import scripts_of
from mailmaker.common.storage.schema import newest_revision

ROOT = Path(__file__).parents[2]
AGAIN = "run `make generate`"


@pytest.mark.parametrize("house", house_names())
async def test_openapi_is_what_the_code_says(house: str) -> None:
    made = await asyncio.to_thread(openapi_document, house)
    assert (ROOT / f"docs/openapi/{house}.json").read_text() == made, AGAIN


@pytest.mark.parametrize("house", house_names())
def test_openapi_tells_nothing_of_what_is_internal(house: str) -> None:
    document = json.loads((ROOT / f"docs/openapi/{house}.json").read_text())
    assert document["openapi"].startswith("3.1")
    assert document["paths"]
    assert not [path for path in document["paths"] if path.startswith("/internal")]


def test_doors_of_houses_do_not_overlap() -> None:
    seen: dict[tuple[str, str], str] = {}
    for house in house_names():
        for path, item in json.loads((ROOT / f"docs/openapi/{house}.json").read_text())["paths"].items():
            for method in item:
                assert (path, method) not in seen, (
                    f"{house} and {seen[path, method]} both answer {method} {path}"
                )
                seen[path, method] = house


@pytest.mark.parametrize("house", house_names())
def test_newest_migration_is_the_head_of_one_line(house: str) -> None:
    assert scripts_of(house).get_heads() == [newest_revision(house)]


def test_env_example_is_what_the_code_says() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), AGAIN
