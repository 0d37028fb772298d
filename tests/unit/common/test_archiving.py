"""unit: the rows of an archive come whole, however its bytes are cut, and a stream without an end is no archive."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.storage.archiving import END, rows_of
from mailmaker.common.web.internal import Unreachable

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def streamed(rows: list[tuple[str, str]]) -> bytes:
    """As PostgreSQL's COPY writes it: JSON holds neither a newline nor a carriage return as it is."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode() + END


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(st.lists(st.tuples(st.sampled_from(["a/b.jsonl", "c.jsonl"]), TEXTS)), st.integers(1, 50))
async def test_rows_come_whole_however_the_bytes_are_cut(rows: list[tuple[str, str]], size: int) -> None:
    told = [(name, json.dumps({"text": text}, ensure_ascii=False)) for name, text in rows]
    found = [row async for some in rows_of(cut(streamed(told), size)) for row in some]
    assert [(row["name"], json.loads(row["line"])["text"]) for row in found] == rows


@pytest.mark.parametrize("lost", range(1, 12))
async def test_a_stream_that_ends_too_early_is_no_archive(lost: int) -> None:
    data = streamed([("a.jsonl", '{"a": 1}')])
    with pytest.raises(Unreachable):
        async for _ in rows_of(cut(data[:-lost], 7)):
            pass
