"""integration: a large file is laid down by a second process, and comes out as if one had done it all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from mailmaker.ingest.readers import laying
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.stage import stage


def _rows(many: int) -> bytes:
    rows = ["email,fkey,name,birth_date"]
    for number in range(many):
        # Keys that come again, a rejected row whose key is good, quotes, and letters that are not ASCII.
        key = number - 7 if number % 50 == 49 else number
        born = "1980-13-01" if number % 90 == 1 else "1980-01-01"
        rows.append(f'P{key}@example.com,"k ""{key}"", x",Zoë {number % 11},{born}')
    return "\n".join(rows).encode()


def _staged(folder: Path, data: bytes) -> tuple[Answer, list[str]]:
    folder.mkdir()
    (folder / "upload").write_bytes(data)
    answer = stage(
        Job(
            upload=str(folder / "upload"),
            staged=str(folder / "staged"),
            outline=str(folder / "outline"),
            rejects=str(folder / "rejects"),
            key="email",
            country="IT",
            today="2026-11-24",
            names_rejected=True,
        ),
        lambda _: None,
    )
    return answer, sorted(
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in folder.iterdir()
    )


def test_two_processes_write_what_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _rows(20_000)
    alone, written = _staged(tmp_path / "alone", data)
    monkeypatch.setattr(laying, "BESIDE_FROM", 1)
    beside, also = _staged(tmp_path / "beside", data)
    assert also == written
    assert alone.duplicate > 300
    assert alone.named > 200
    counts = [(a.rows, a.staged, a.rejected, a.duplicate, a.named) for a in (alone, beside)]
    assert counts[0] == counts[1]


def test_a_file_that_cannot_be_read_ends_the_second_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laying, "BESIDE_FROM", 1)
    answer, left = _staged(tmp_path / "broken", _rows(9_000) + b'\n"never closed,x,y,1980-01-01')
    assert answer.code == "quote.unclosed"
    assert [name.split()[0] for name in left] == ["upload"]


def test_without_its_reader_the_second_process_ends_and_says_nothing(tmp_path: Path) -> None:
    told: list[laying.Beside] = []

    def dying() -> None:
        with laying.laying(tmp_path / "staged", tmp_path / "outline", (1, 2), laying.BESIDE_FROM) as layer:
            assert isinstance(layer, laying.Beside)
            told.append(layer)
            layer.lay(b"2", b"a", b"a,b", b"a,b")
            raise RuntimeError("the reader dies")

    with pytest.raises(RuntimeError, match="the reader dies"):
        dying()
    assert told[0].ended
