"""proof: `up` is killed -9 at random moments, from its first second on: nothing stays behind, and the next one goes on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from mailmaker.common.embedded.ports import free_port
from mailmaker.common.embedded.process import Child
from mailmaker.common.testing.processes import descendants, is_alive, until

ROUNDS = int(os.environ.get("PROOF_ROUNDS", "3"))
SEED = int(os.environ.get("PROOF_SEED", str(random.randrange(1 << 32))))
LONGEST = 15.0


@asynccontextmanager
async def up(directory: Path, port: int) -> AsyncIterator[Child]:
    command = [
        sys.executable,
        "-m",
        "mailmaker.common.cli",
        "up",
        "--state",
        directory / "state",
        "--port",
        str(port),
    ]
    child = await asyncio.to_thread(Child, command, log=directory / "up.log")
    try:
        yield child
    finally:
        await asyncio.to_thread(child.stop, signal.SIGTERM, 60)


async def ready(base_url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            return (await http.get(f"{base_url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(180 + 60 * ROUNDS)
async def test_up_killed_anywhere(tmp_path: Path) -> None:
    print(f"PROOF_SEED={SEED} PROOF_ROUNDS={ROUNDS}")
    chance, port = random.Random(SEED), free_port()
    for _ in range(ROUNDS):
        async with up(tmp_path, port) as child:
            await asyncio.sleep(chance.uniform(0.1, LONGEST))
            child.send(signal.SIGSTOP)  # so that none is born between the look and the kill
            family = descendants(child.pid)
            await asyncio.to_thread(child.kill)
            await until(lambda left=family: not any(map(is_alive, left)), "all descendants are gone", 15)

    base_url = f"http://127.0.0.1:{port}"
    async with up(tmp_path, port) as child:
        async with asyncio.timeout(120):
            while not await ready(base_url):
                assert child.alive, child.last_words()
                await asyncio.sleep(0.1)
        dev = json.loads((tmp_path / "state" / "dev.json").read_text())
        async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=10) as http:
            answer = await http.get("/v1/lists", headers={"Authorization": f"Bearer {dev['account_key']}"})
        assert answer.status_code == 200
        family = descendants(child.pid)
        await asyncio.to_thread(child.stop, signal.SIGTERM, 60)
        assert child.exit_code == 0
        assert not any(map(is_alive, family))
