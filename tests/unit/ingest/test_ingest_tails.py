"""unit: a file whose last columns repeat together is read as it would be cell by cell, only sooner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_reading import Staged
from mailmaker.ingest.readers import tails
from mailmaker.ingest.readers.records import Records

CELLS = {
    "email": ["a@b.it", "c@d.it", "E@F.it", "nobody", ""],
    "fkey": ["k1", "k2", ""],
    "city": ["Roma", " Milano ", "Forlì", ""],
    "country": ["it", "FR", "Italia", "Atlantis", ""],
    "sex": ["m", "F", "?", ""],
}
COLUMNS = ["email", "fkey", "name", "sex", "province", "region", "city", "country", "language", "boh"]
FILES = ("staged", "outline", "rejects")

columns = st.permutations(COLUMNS).flatmap(lambda all_: st.integers(1, len(all_)).map(lambda n: all_[:n]))
ends = st.sampled_from(("", "", "", ";", ";;x"))


def cells_of(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(CELLS.get(name, ["x", "y", "", '"a;b"']))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    names = draw(columns)
    names = names if "email" in names else ["email", *names]
    row = st.tuples(st.tuples(*map(cells_of, names)).map(";".join), ends).map("".join)
    return "\n".join([";".join(names), *draw(st.lists(row, min_size=1, max_size=40)), ""]).encode()


def read(folder: Path, data: bytes, *, chunk: int, trial: int, delimiter: str = ",") -> tuple[object, ...]:
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tails, "_TRIAL", trial)
        patch.setattr(tails, "_SAMPLED", 1)
        patch.setattr(tails, "_REPEATS", 2)
        patch.setitem(Records.__init__.__kwdefaults__, "chunk", chunk)
        answer = Staged(folder, data, delimiter=delimiter).answer
    found = [(folder / name).read_bytes() if (folder / name).exists() else None for name in FILES]
    return (answer.code, answer.rows, answer.staged, answer.rejected, answer.duplicate, *found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=files(), chunk=st.integers(16, 400), trial=st.integers(0, 8))
def test_tails_change_nothing_that_is_staged_or_rejected(
    tmp_path: Path, data: bytes, chunk: int, trial: int
) -> None:
    with_tails = read(tmp_path, data, chunk=chunk, trial=trial, delimiter=";")
    assert with_tails == read(tmp_path, data, chunk=chunk, trial=1 << 30, delimiter=";")


@pytest.mark.parametrize(
    ("name", "city", "found"),
    [
        ("N{n}", "Roma", "city to country"),
        ("Ada", "Roma", "name to country"),
        ("N{n}", "C{n}", None),
    ],
)
def test_the_longest_tail_that_repeats_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, city: str, found: str | None
) -> None:
    read_as_one = set()
    convert = tails.Tail.convert

    def watched(tail: tails.Tail, raw: Sequence[str]) -> list[str]:
        read_as_one.add(tail.field.name)
        return convert(tail, raw)

    monkeypatch.setattr(tails.Tail, "convert", watched)
    rows = [f"a{n}@b.it,{name},{city},it\n".format(n=n) for n in range(60)]
    answer = read(tmp_path, "".join(["email,name,city,country\n", *rows]).encode(), chunk=200, trial=10)
    assert answer[1:4] == (60, 60, 0)
    assert read_as_one == ({found} if found else set())


def test_tails_that_repeat_no_more_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    cut = Records._plain

    def watched(records: Records, text: str, cells: int) -> tuple[Sequence[int], list[list[str]]]:
        batches.append(cells)
        return cut(records, text, cells)

    monkeypatch.setattr(Records, "_plain", watched)
    rows = [f"a{n}@b.it,C{max(0, n - 20)},it\n" for n in range(200)]
    assert read(tmp_path, "".join(["email,city,country\n", *rows]).encode(), chunk=200, trial=10)[2] == 200
    assert (batches[0], 1 in batches, batches[-1]) == (-1, True, -1)
