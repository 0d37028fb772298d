"""unit: the small parts of the bus: positions, pauses, letters' headers."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.kafka_window import Window
from mailmaker.common.bus.record import Record
from mailmaker.common.storage.ids import NOBODY


@given(st.permutations(range(10, 30)))
def test_a_position_never_passes_an_offset_that_is_not_settled(order: list[int]) -> None:
    window, open_ = Window(), set(range(10, 30))
    for offset in range(10, 30):
        window.take(offset)
    for offset in order:
        window.settle(offset)
        open_.discard(offset)
        assert (window.due or 10) == min(open_, default=30)
    assert len(window) == 0


def test_offsets_with_gaps_of_a_compacted_topic_are_committed_past() -> None:
    window = Window()
    for offset in (3, 9, 12):
        window.take(offset)
    window.settle(9)
    assert window.due is None
    window.settle(3)
    assert window.due == 10


def test_a_committed_position_is_not_due_again() -> None:
    window = Window()
    window.take(5)
    window.settle(5)
    window.committed(6)
    assert window.due is None


def test_pauses_double_to_the_cap_with_jitter_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(1.0, 4.0)
    waits = [backoff.next() for _ in range(5)]
    assert all(step / 2 <= wait <= step for wait, step in zip(waits, (1, 2, 4, 4, 4), strict=True))
    backoff.reset()
    assert backoff.next() <= 1.0


def test_a_record_knows_its_account_or_that_nobody_does() -> None:
    account = "0193a1b2-0000-7000-8000-000000000001"
    assert Record("t", "k", b"", {"ce_accountid": account}).account_id == UUID(account)
    assert Record("t", "k", b"", {"ce_accountid": "?"}).account_id == NOBODY
    assert Record("t", "k", b"").account_id == NOBODY
