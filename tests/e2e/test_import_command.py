"""e2e: `mailmaker import` sends a file, shows what came of it, and asks before a plan is applied."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from e2e_rig import Rig, sample

ROWS = 2_000


@pytest.fixture
async def people(tmp_path: Path) -> Path:
    return sample(ROWS, 75, tmp_path)


async def command(rig: Rig, *arguments: object, stdin: int | None = None) -> tuple[int, str, str]:
    """The command against the platform of these tests: exit code, what it printed, what it said aside."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailmaker.common.cli", "import", *map(str, arguments)),
        *("--state", str(rig.directory / "state")),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
    )
    said, aside = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, said.decode(), aside.decode()


async def state_of(rig: Rig, import_id: str) -> str:
    return str((await rig.client.send("GET", f"/v1/imports/{import_id}"))["state"])


async def test_a_file_is_sent_and_its_counts_are_shown(rig: Rig, people: Path) -> None:
    name = f"by command {time.time_ns()}"
    list_id = await rig.client.open_list(name)
    code, said, aside = await command(rig, people, "--list", name)
    assert code == 0, aside
    assert "created" in said
    assert f"{ROWS:,}" in said
    assert ": applied" in said

    code, said, aside = await command(rig, people, "--list", list_id, "--json")
    found: dict[str, Any] = json.loads(said)
    assert (code, found["state"], found["counts"]["unchanged"]) == (0, "applied", ROWS), aside
    code, said, aside = await command(rig, people, "--list", list_id)
    assert f"the very same file came before: import {found['id']}" in said, aside


async def test_a_plan_is_shown_and_waits_for_a_yes(rig: Rig, people: Path) -> None:
    list_id = await rig.client.open_list(f"planned {time.time_ns()}")
    code, said, _ = await command(rig, people, "--list", list_id, "--plan", "--json")
    planned = json.loads(said)
    assert (code, planned["state"], planned["counts"]["created"]) == (3, "planned", ROWS)
    assert planned["plan"][0]["action"] == "created"
    await rig.client.send("POST", f"/v1/imports/{planned['id']}:cancel")

    ours, theirs = os.openpty()
    try:
        os.write(ours, b"n\n")
        code, said, _ = await command(rig, people, "--list", list_id, "--plan", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert code == 1
    assert "The first 20 changes" in said
    assert ": cancelled" in said

    code, said, aside = await command(rig, people, "--list", list_id, "--plan", "--yes")
    assert code == 0, aside
    assert ": applied" in said


async def test_a_no_is_told_in_words(rig: Rig, tmp_path: Path) -> None:
    list_id = await rig.client.open_list(f"refused {time.time_ns()}")
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    code, said, aside = await command(rig, empty, "--list", list_id)
    assert (code, said) == (1, "")
    assert "the file is empty" in aside
    code, _, aside = await command(rig, empty, "--list", "no such list")
    assert code == 1
    assert "no list has this name" in aside
    assert "Traceback" not in aside
