"""unit: an outline's entries are read as they were written, however the stream is cut; and as CSV."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.ingest.domain import outlines
from mailmaker.ingest.domain.outlines import END, HEAD, Entry, entries

lines = st.integers(1, 2**31 - 1)
keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).map(str.encode)
rows = st.builds(Entry, lines, st.integers(0, 2**40), st.binary(min_size=16, max_size=16), keys)
named = st.builds(lambda line, key: Entry(-line, None, None, key), lines, keys)
every = st.lists(rows | named, max_size=20)


@given(every=every, size=st.integers(1, 200))
def test_entries_come_back_whole_from_pieces(every: list[Entry], size: int) -> None:
    data = b"".join([HEAD, *(entry.encode() for entry in every), END])
    assert list(entries(data[at : at + size] for at in range(0, len(data), size))) == every
    assert sum(entry.size for entry in every) == len(data) - len(HEAD) - len(END)


@given(every=st.lists(rows, min_size=1, max_size=20))
def test_rows_of_a_batch_are_those_of_each(every: list[Entry]) -> None:
    columns = zip(*((one.line, one.at, one.digest, one.key) for one in every), strict=True)
    assert outlines.rows(*map(list, columns)) == b"".join(one.encode() for one in every)  # type: ignore[arg-type]


@given(every=every)
def test_as_csv_they_say_the_same(every: list[Entry]) -> None:
    text = b"".join(entry.csv() for entry in every).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        [str(one.line), one.key.decode(), (one.digest or b"").hex(), "" if one.at is None else str(one.at)]
        for one in every
    ]


@given(text=st.text(min_size=1, max_size=20))
def test_a_cell_becomes_the_key_that_it_holds(text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    assert outlines.bare(quoted.encode("utf-8", "surrogatepass")) == text.encode("utf-8", "surrogatepass")
    assert outlines.bare(b"plain") == b"plain"
