"""integration: files that nobody of this project wrote go through the HTTP door, and each gets an answer with a code."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ingest_house import CORPORA, Ingest
from mailmaker.ingest.readers.job import Answer, Opened

SLOWEST = 10.0
LARGEST_KIB = 256 << 10
READ_ONE_IN = 4
"""Of the files whose header names no key, so many are sent once more with their first column called the key."""
PARTS = ("csv", "xlsx", "addresses")


@dataclass
class Book:
    """What the doors and the children said."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("corpora")
    with tarfile.open(CORPORA) as tar:
        wanted = [m for m in tar if m.isfile() and m.name.removeprefix("./").split("/")[0] in PARTS]
        tar.extractall(made, members=wanted, filter="data")
    return made


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    """Hears from every child how much memory it has held."""
    made = Book()

    def heard(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        def listening(line: bytes) -> Any:
            found = decode(line)
            made.peaks.append(found.peak)
            return found

        return listening

    for kind in (Opened, Answer):
        monkeypatch.setattr(kind, "decode", staticmethod(heard(kind.decode)))
    return made


def known_code(answer: dict[str, Any]) -> bool:
    return bool(answer["code"]) and all(one["code"] and one["pointer"] for one in answer["errors"])


async def sent(ingest: Ingest, book: Book, source: Path, data: bytes, **options: Any) -> str | None:
    """Sends a file; the import's id, where it was taken."""
    began = time.perf_counter()
    answer = await ingest.send(data, **options)
    took = time.perf_counter() - began
    if took > SLOWEST or answer.status_code not in (202, 413, 422):
        book.wrong.append(f"{source.name}: {answer.status_code} in {took:.1f} s")
        return None
    if answer.status_code == 202:
        return str(answer.json()["id"])
    if not known_code(answer.json()):
        book.wrong.append(f"{source.name}: {answer.text}")
    book.answers[answer.json()["code"]] += 1
    return None


async def read(ingest: Ingest, book: Book, source: Path, import_id: str) -> None:
    """Reads what is waiting until this import has an end."""
    began = time.perf_counter()
    seen = await ingest.show(import_id)
    while seen["state"] in ("received", "parsing"):
        if not await ingest.read():
            await asyncio.sleep(0.01)  # another task of this test reads it
        seen = await ingest.show(import_id)
    if time.perf_counter() - began > 3 * SLOWEST:
        book.wrong.append(f"{source.name}: read for {time.perf_counter() - began:.1f} s")
    if seen["state"] == "failed":
        book.answers[seen["error"]["code"]] += 1
        if seen["error"]["code"] == "reader.crashed":
            book.wrong.append(f"{source.name}: the reader crashed")
        return
    book.answers[seen["state"]] += 1
    counts = seen["counts"]
    if seen["state"] != "staged" or counts["rows"] < counts["rejected"] + counts["duplicate"]:
        book.wrong.append(f"{source.name}: {seen['state']} {counts}")


async def one_file(ingest: Ingest, book: Book, source: Path, *, again: bool) -> None:
    data = await asyncio.to_thread(source.read_bytes)
    list_id = str(ingest.contacts.open_list(ingest.account, "fkey"))
    taken = await sent(ingest, book, source, data, list=list_id)
    if taken is None and again:
        shown = await ingest.preview(data, list=list_id)
        if shown.status_code >= 500:
            book.wrong.append(f"{source.name}: preview {shown.status_code}")
        header = [one["column"] for one in shown.json().get("columns", ())]
        if header and header[0]:
            mapping = {**dict.fromkeys(filter(None, header)), header[0]: "fkey"}
            taken = await sent(ingest, book, source, data, list=list_id, mapping=mapping)
    if taken is not None:
        await read(ingest, book, source, taken)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("part", ["csv", "xlsx"])
async def test_every_file_gets_an_answer(ingest: Ingest, corpora: Path, book: Book, part: str) -> None:
    sources = sorted(path for path in (corpora / part).rglob("*") if path.is_file())
    at_once = asyncio.Semaphore(3)

    async def bounded(number: int, source: Path) -> None:
        async with at_once:
            await one_file(ingest, book, source, again=number % READ_ONE_IN == 0)

    await asyncio.gather(*(bounded(number, source) for number, source in enumerate(sources)))
    assert len(sources) > 400
    assert book.wrong == []
    assert max(book.peaks) <= LARGEST_KIB
    assert book.answers["staged"] >= 20, book.answers
    assert len(book.answers) >= 6, book.answers


async def test_csv_spectrum_is_shown_exactly(ingest: Ingest, corpora: Path) -> None:
    seen = 0
    for source in sorted((corpora / "csv/csv-spectrum/csvs").glob("*.csv")):
        shown = (await ingest.preview(source.read_bytes())).json()
        header = [one["column"] for one in shown["columns"]]
        truth = json.loads((corpora / f"csv/csv-spectrum/json/{source.stem}.json").read_bytes())
        rows = [dict(zip(header, row["cells"], strict=True)) for row in shown["rows"]]
        if source.stem.endswith("_crlf"):
            rows, truth = json.loads(json.dumps([rows, truth]).replace("\\r\\n", "\\n"))
        assert rows == truth, source.name
        seen += 1
    assert seen >= 5


async def test_odd_addresses_are_rows_or_row_errors(ingest: Ingest, corpora: Path) -> None:
    lines = (corpora / "addresses/truth.jsonl").read_text(encoding="utf-8").split("\n")
    text = io.StringIO()
    write = csv.writer(text).writerow
    write(["fkey", "name", "email"])
    addresses = [json.loads(line)["address"] for line in lines if line]
    for number, address in enumerate(addresses):
        write([f"k{number}", address, address])
    list_id = str(ingest.contacts.open_list(ingest.account, "fkey"))
    data = text.getvalue().encode("utf-8", "replace")
    seen = await ingest.imported(data, list=list_id, encoding="utf-8")
    assert (seen["state"], seen["counts"]["rows"]) == ("staged", len(addresses)), seen
    refused = list(csv.DictReader(io.StringIO((await ingest.http.get(seen["rejects_url"])).text)))
    assert len(refused) == seen["counts"]["rejected"] > 100
    assert all(one["_code"] and one["_field"] for one in refused)
