"""unit: consent goes down by itself and up only by the person's own word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.contacts.domain.consent import Consent, at_birth, at_most, opted_out, raises, withdraws

consents = st.sampled_from(Consent)
RANK = {Consent.UNSUBSCRIBED: 0, Consent.PENDING: 1, Consent.SUBSCRIBED: 2}


@given(current=consents, wished=st.none() | consents)
def test_a_write_never_raises_a_consent(current: Consent, wished: Consent | None) -> None:
    after = at_most(current, wished)
    assert RANK[after] <= RANK[current]
    if wished is not None and not raises(current, wished):
        assert after is wished


@given(wished=consents)
def test_a_new_row_that_meets_a_no_is_unsubscribed(wished: Consent) -> None:
    assert at_birth(wished, meets_a_no=True) is Consent.UNSUBSCRIBED
    assert at_birth(wished, meets_a_no=False) is wished


@pytest.mark.parametrize(
    ("reason", "is_a_word"),
    [("unsubscribe", True), ("complaint", True), ("manual", True), ("erased", True),
     ("hard_bounce", False), ("soft_bounce", False), ("invalid", False)],
)  # fmt: skip
def test_what_is_known_of_a_mailbox_is_not_what_its_owner_says(reason: str, is_a_word: bool) -> None:
    assert withdraws(reason) is is_a_word


def test_opted_out_on_one_channel_is_opted_out() -> None:
    assert opted_out(Consent.UNSUBSCRIBED, Consent.SUBSCRIBED)
    assert opted_out(Consent.PENDING, Consent.UNSUBSCRIBED)
    assert not opted_out(Consent.PENDING, Consent.SUBSCRIBED)
