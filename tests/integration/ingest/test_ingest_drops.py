"""integration: drops: what is dropped is imported once it is complete, and its result comes back."""

from __future__ import annotations

import asyncio
import io

from ingest_drops import GOOD, Dropping


async def test_a_file_by_sftp_is_imported_and_its_result_comes_back(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv", GOOD + b"not an address,X\n")
    (taken,) = await dropping.taken(drop)
    assert taken["state"] == "received"
    assert dropping.names(drop, "in") == []
    (done,) = dropping.names(drop, "done")
    assert done.startswith("people.csv.2")
    assert dropping.home(drop, "done", done).read_bytes().startswith(GOOD)

    assert await dropping.ingest.read()
    await dropping.look()
    assert dropping.names(drop, "reports") == []
    await dropping.progress(taken["import"], "applied", counts={"created": 2})
    await dropping.look()
    report = dropping.report(drop)
    assert (report["state"], report["import"]) == ("applied", taken["import"])
    assert (report["counts"]["created"], report["counts"]["rejected"]) == (2, 1)
    rejects = dropping.home(drop, report["rejects"]).read_text()
    assert "not an address" in rejects
    await dropping.look()
    assert len(await dropping.imports()) == 1


async def test_a_file_by_ftps_is_imported(dropping: Dropping) -> None:
    drop = await dropping.open()

    def send() -> None:
        client = dropping.ftp(drop)
        client.storbinary("STOR /in/people.csv", io.BytesIO(GOOD))
        assert client.nlst("/in") == ["/in/people.csv"] or client.nlst("/in") == ["people.csv"]
        client.quit()

    await asyncio.to_thread(send)
    (taken,) = await dropping.taken(drop)
    assert taken["state"] == "received"
