"""integration: a reader or a service that dies leaves the file to the next one; a file that kills readers is failed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ingest_house import Ingest
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.ids import new_id
from mailmaker.ingest.actions.read import ReaderWorker
from mailmaker.ingest.actions.read_lines import job_of
from mailmaker.ingest.actions.sweep import Sweeper
from mailmaker.ingest.domain.imports import MOST_ATTEMPTS
from mailmaker.ingest.readers.process import reading
from mailmaker.ingest.storage import leases

GOOD = b"email\na@example.it\nb@example.it\n"


def child_begun(ingest: Ingest) -> bool:
    """A child has opened its temporary files."""
    return any(name.startswith("staged/") for name in ingest.on_disk())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # the file system rings no bell


async def waits_for_nobody(ingest: Ingest) -> None:
    await ingest.run(
        "UPDATE imports SET lease_until = clock_timestamp() - interval '1 s' WHERE state = 'parsing'"
    )


async def test_a_service_killed_while_reading_leaves_the_file_to_the_next(ingest: Ingest) -> None:
    sent = (await ingest.send(GOOD)).json()
    async with ingest.db.platform() as tx:
        assert await leases.claim(tx, new_id()) is not None
    assert not await ingest.read()
    assert (await ingest.show(sent["id"]))["state"] == "parsing"
    await waits_for_nobody(ingest)
    assert await ingest.read()
    assert (await ingest.show(sent["id"]))["state"] == "staged"
    assert len(await ingest.told()) == 1


async def test_whoever_lost_the_lease_writes_nothing(ingest: Ingest) -> None:
    sent = (await ingest.send(GOOD)).json()
    late = new_id()
    async with ingest.db.platform() as tx:
        of = await leases.claim(tx, late)
    assert of is not None
    await waits_for_nobody(ingest)
    assert await ingest.read()
    async with ingest.db.account(ingest.account) as tx:
        assert not await leases.renew(tx, of, late, 1)
        assert await leases.held(tx, of, late) is None
    assert (await ingest.show(sent["id"]))["state"] == "staged"


@pytest.mark.parametrize("column", ["crashes", "attempts"])
async def test_a_file_that_kills_its_readers_is_failed_with_a_code(ingest: Ingest, column: str) -> None:
    sent = (await ingest.send(GOOD)).json()
    await ingest.run(f"UPDATE imports SET {column} = :n", n=MOST_ATTEMPTS)
    assert await ingest.read()
    seen = await ingest.show(sent["id"])
    assert (seen["state"], seen["error"]["code"]) == ("failed", "reader.crashed")


async def test_a_dead_child_gives_the_file_back_once(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent = (await ingest.send(GOOD)).json()
    killer = tmp_path / "killer"
    killer.write_text("#!/bin/sh\nread line\nkill -9 $$\n")
    killer.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(killer))
    for state in ("received", "received"):
        assert await ingest.read()
        assert (await ingest.show(sent["id"]))["state"] == state
    assert await ingest.read()
    assert (await ingest.show(sent["id"]))["error"]["code"] == "reader.crashed"


async def test_a_stopped_service_gives_the_file_back(ingest: Ingest) -> None:
    sent = (await ingest.send(GOOD)).json()
    stop = asyncio.Event()
    stop.set()
    assert await ingest.worker.read_one(stop)
    assert (await ingest.show(sent["id"]))["state"] in ("received", "staged")


async def test_the_child_ends_when_the_service_is_gone(ingest: Ingest) -> None:
    assert (await ingest.send(GOOD)).status_code == 202
    fifo = ingest.root / "uploads" / "slow"
    os.mkfifo(fifo)
    async with ingest.db.platform() as tx:
        of = await leases.claim(tx, new_id())
    assert of is not None
    job = job_of(ingest.files, of, datetime.now(UTC))
    async with reading(type(job)(**{**_fields(job), "upload": str(fifo)})) as child:
        process = child._process
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 70


def _fields(job: object) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__slots__}  # type: ignore[attr-defined]


async def test_a_cancelled_import_stops_its_reader(ingest: Ingest) -> None:
    sent = (await ingest.send(b"email\n" + b"".join(b"p%d@example.it\n" % n for n in range(50_000)))).json()
    worker = ReaderWorker(2, ingest.db, ingest.files, SystemClock(), asyncio.Event())
    task = asyncio.create_task(worker.read_one(asyncio.Event()))
    await until(lambda: child_begun(ingest))
    await ingest.http.post(f"/v1/imports/{sent['id']}:cancel")
    assert await asyncio.wait_for(task, 20)
    assert (await ingest.show(sent["id"]))["state"] in ("cancelled", "staged")
    assert [e["type"] for e in await ingest.told()] in (["import.cancelled"], ["import.staged"])


async def test_a_killed_reader_of_a_large_file_leaves_no_half_file(ingest: Ingest) -> None:
    sent = (await ingest.send(b"email\n" + b"".join(b"p%d@example.it\n" % n for n in range(50_000)))).json()
    async with ingest.db.platform() as tx:
        of = await leases.claim(tx, new_id())
    assert of is not None
    async with reading(job_of(ingest.files, of, datetime.now(UTC))) as child:
        await until(lambda: child_begun(ingest))
        child._process.send_signal(signal.SIGKILL)
        await child._process.wait()
    await waits_for_nobody(ingest)
    assert await ingest.read()
    assert (await ingest.show(sent["id"]))["state"] == "staged"
    assert ingest.files.staged(of.id).read_bytes().count(b"\n") == 50_000
    assert ingest.on_disk() == [f"{kind}/{of.id}" for kind in ("outlines", "rejects", "staged", "uploads")]


async def test_files_that_nothing_needs_are_swept_once_they_are_old(ingest: Ingest) -> None:
    waiting, cancelled = [(await ingest.send(GOOD)).json()["id"] for _ in range(2)]
    await ingest.http.post(f"/v1/imports/{cancelled}:cancel")
    (ingest.root / "uploads" / str(new_id())).write_bytes(GOOD)
    assert await Sweeper(ingest.db, ingest.files).sweep() == 0
    assert await Sweeper(ingest.db, ingest.files, old=-1).sweep() == 2
    assert ingest.on_disk() == [f"uploads/{waiting}"]


async def test_refused_rows_are_kept_for_their_days_and_as_long_as_their_import_waits(ingest: Ingest) -> None:
    over, waits = [await ingest.imported(b"email\nann@example.it\nnobody\n") for _ in range(2)]
    await ingest.run("UPDATE imports SET state = 'applied' WHERE id = CAST(:id AS uuid)", id=over["id"])
    young = Sweeper(ingest.db, ingest.files, old=-1)
    assert await young.sweep() == 1
    assert (await ingest.http.get(over["rejects_url"])).status_code == 200
    assert await Sweeper(ingest.db, ingest.files, rejects_old=-1).sweep() == 1
    gone = await ingest.http.get(over["rejects_url"])
    assert (gone.status_code, gone.json()["code"]) == (404, "rejects.none")
    assert {name.partition("/")[2] for name in ingest.on_disk()} == {waits["id"]}
    assert (await ingest.http.get(waits["rejects_url"])).status_code == 200
