"""unit: files that nobody of this project wrote: csv-spectrum to the byte, the others without a crash."""

from __future__ import annotations

import json
import tarfile
import time
from datetime import date
from pathlib import Path

import pytest
from ingest_reading import CORPORA, Staged, rows_of
from mailmaker.common.mail.address import InvalidAddress
from mailmaker.ingest.domain import cells
from mailmaker.ingest.domain.cells import BadCell
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.readers.columns import Bad, column

SLOWEST = 5.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("corpora")
    with tarfile.open(CORPORA) as tar:
        wanted = [
            m for m in tar if m.isfile() and m.name.removeprefix("./").split("/")[0] in ("csv", "addresses")
        ]
        tar.extractall(made, members=wanted, filter="data")
    return made


def test_csv_spectrum_is_read_exactly(folder: Path) -> None:
    seen = 0
    for source in sorted((folder / "csv/csv-spectrum/csvs").glob("*.csv")):
        data = source.read_bytes()
        if source.stem.endswith("_crlf") and b"\r" not in data:
            data = data.replace(b"\n", b"\r\n")  # a checkout had taken from the file what its name promises
        header, *rows = (row for _, row in rows_of(data))
        truth = json.loads((folder / f"csv/csv-spectrum/json/{source.stem}.json").read_bytes())
        assert [dict(zip(header, row, strict=True)) for row in rows] == truth, source.name
        seen += 1
    assert seen >= 5


def test_one_text_in_many_encodings_is_one_text(folder: Path) -> None:
    sources = sorted((folder / "csv/phpspreadsheet").glob("premiere.*.csv"))
    texts = {source.name: [row for _, row in rows_of(source.read_bytes())][:2] for source in sources}
    assert len(texts) >= 4
    first = texts.pop(next(iter(texts)))
    assert all(text == first for text in texts.values()), sorted(texts)


def test_no_file_crashes_or_stalls_the_reader(folder: Path, tmp_path: Path) -> None:
    """Whatever the file: staged with counts that sum, or refused with a code. Its first column is called the key."""
    seen = 0
    for source in sorted((folder / "csv").rglob("*")):
        if not source.is_file() or source.suffix not in (".csv", ".tsv", ".gz", ""):
            continue
        seen += 1
        began = time.perf_counter()
        found = Staged(tmp_path, b"fkey\n" + source.read_bytes(), key="fkey", mapping={}).answer
        plainly = Staged(tmp_path, source.read_bytes(), key="fkey", mapping={}).answer
        for answer in (found, plainly):
            assert answer.done or answer.code, source.name
            assert answer.rows == answer.staged + answer.rejected + answer.duplicate, source.name
        assert time.perf_counter() - began < SLOWEST, source.name
    assert seen > 400


def test_addresses_meet_one_judgement_on_both_roads(folder: Path) -> None:
    made = column(0, Field("email", "email"), "IT", date(2026, 1, 1))
    seen = 0
    for line in (folder / "addresses/truth.jsonl").read_text(encoding="utf-8").split("\n"):
        raw = json.loads(line)["address"] if line else ""
        if not raw.strip():
            continue
        seen += 1
        try:
            slow: str | None = cells.email(raw)
        except (BadCell, InvalidAddress):
            slow = None
        fast = made.convert([raw])[0]
        assert (None if isinstance(fast, Bad) else fast) == slow
    assert seen > 500
