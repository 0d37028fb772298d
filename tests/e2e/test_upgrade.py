"""A state directory that an earlier release wrote, with a mailing running, starts under this one and goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from e2e_rig import ENDED, eventually, sample
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.doors import person_of
from mailmaker.common.demo.stage import Stage, raised
from mailmaker.common.testing.checker import unbalanced

ROOT = Path(__file__).parents[2]
EARLIER = "d1e09aeb6d28856c2bae750e7d2d0ca60fa1c3a1"
"""The release that installations are upgraded from: before dispatch's migration 0003 and its standing-by feed."""
CONTACTS = 4_000


def unpack_earlier(directory: Path) -> dict[str, str]:
    """The earlier release's packages, and an environment in which they come before this release's."""
    archive = directory.with_suffix(".tar")
    subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--output", str(archive), EARLIER, "libs", "services"],
        check=True,
        timeout=60,
    )
    with tarfile.open(archive) as packed:
        packed.extractall(directory, filter="data")
    portions = [directory / "libs/common", *sorted((directory / "services").iterdir())]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, portions))}


async def begin(stage: Stage, file: Path) -> tuple[str, str]:
    """An import and a mailing, left when the sink has a part of it."""
    async with Client(stage.dev["base_url"], stage.dev["account_key"]) as client:
        list_id = await client.open_list("upgraded")
        done = await client.import_file(list_id, file)
        assert done["counts"]["created"] == CONTACTS
        mailing = await client.open_mailing(
            "upgraded", [list_id], await client.sender(), await client.open_template()
        )
        await client.send("POST", f"/v1/mailings/{mailing}:start")

        async def a_part() -> bool:
            return stage.ledger.count() >= CONTACTS // 10

        await eventually("a part of the mailing at the sink", a_part, 120, 0.05)
        return list_id, mailing


@pytest.mark.timeout(600)
async def test_a_mailing_goes_on_under_the_next_release(tmp_path: Path) -> None:
    env = await asyncio.to_thread(unpack_earlier, tmp_path / "earlier")
    place = tmp_path / "place"
    async with raised(place, env=env) as stage:
        list_id, mailing = await begin(stage, sample(CONTACTS, 29, tmp_path))
        before = stage.ledger.count()
    assert before < CONTACTS, "the mailing ended before the release did: nothing was proved"

    async with raised(place) as stage, Client(stage.dev["base_url"], stage.dev["account_key"]) as client:
        found = await client.wait(f"/v1/mailings/{mailing}", ENDED, seconds=240)
        assert found["state"] == "finished"
        counts = found["counts"]
        assert unbalanced(counts) == 0
        assert counts["planned"] == CONTACTS
        assert counts["delivered"] + counts["uncertain"] == CONTACTS
        seen = [one for one in stage.ledger.load() if one.accepted]
        assert max(Counter(one.recipients for one in seen).values()) == 1
        assert len(seen) >= counts["delivered"]

        # A link minted by the earlier release still says "no".
        reader = person_of(seen[0].recipients[0], stage.ledger.message(seen[0]))
        path = "/u/" + reader.url.rpartition("/")[2]
        answer = await client.raw("POST", path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        stopped = await client.send("GET", "/v1/suppressions", params={"email": reader.address})
        assert [item["door"] for item in stopped["items"]] == ["one_click"]
        assert stopped["items"][0]["list"] == list_id
