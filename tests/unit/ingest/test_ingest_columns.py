"""unit: a column converted at once is its cells converted one by one, and says the same of each."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.ingest.domain.fields import Field, Kind
from mailmaker.ingest.readers.columns import Bad, column

TODAY = date(2026, 11, 24)
ODD = ("", " ", "\n", "a@b.it\nc@d.it", "'a@b.it", "#N/A", "x" * 70, "A@B.IT", "è@b.it", "+39333\u0661234567")
GOOD: dict[Kind, tuple[str, ...]] = {
    "email": ("a@b.it", "anna.rossi+x@example.com", f"{'l' * 60}@b.it", "a@b.it\n", "a..b@b.it"),
    "mobile": ("+393331234567", "333 1234567", "0039 333-1234567", "+390612345678", "+393331234567\n"),
    "fkey": ("C-0001", "a.b_c", 'say "x"', "a,b", "C1\n", "C\r1"),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("country", ["IT", "US"])
@settings(deadline=None)  # The first number of a country loads what is known of its numbers.
@given(data=st.data())
def test_a_batch_is_its_cells(kind: Kind, country: str, data: st.DataObject) -> None:
    cell = st.one_of(st.sampled_from(GOOD[kind]), st.sampled_from(ODD), st.text(max_size=5))
    raw = data.draw(st.lists(cell, min_size=1, max_size=8))
    together, alone = (column(0, Field(kind, kind), country, TODAY) for _ in range(2))
    found = together.convert(raw)
    wanted = [alone.cell(cell) for cell in raw]
    assert found == wanted
    assert [_fault(cell) for cell in found] == [_fault(cell) for cell in wanted]
    assert together.refused == sum(map(bool, map(_fault, wanted)))


def _fault(cell: str) -> str | None:
    return cell.code if isinstance(cell, Bad) else None
