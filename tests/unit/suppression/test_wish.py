"""unit: a client's wish is checked field by field."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import pytest
from mailmaker.common.mail.address import InvalidAddress, address_key
from mailmaker.common.mail.subjects import address_subject, fkey_subject
from mailmaker.suppression.domain.wish import Wish, faults, subject_of

PEPPER, ACCOUNT, LIST = b"p" * 32, uuid4(), uuid4()


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (Wish("email", "account", "manual", email="a@b.it"), []),
        (Wish("email", "list", "manual", LIST, fkey="7"), []),
        (Wish("email", "account", "manual"), ["email"]),
        (Wish("email", "list", "manual", email="a@b.it"), ["list"]),
        (Wish("sms", "account", "manual", email="a@b.it"), ["email"]),
        (Wish("email", "account", "manual", mobile="+393331234567"), ["mobile"]),
        (Wish("email", "account", "manual", fkey="7"), ["list"]),
        (Wish("email", "list", "manual", LIST, email="a@b.it", fkey="7"), ["fkey"]),
        (Wish("email", "list", "manual", LIST, fkey=""), ["fkey"]),
        (
            Wish("email", "account", "manual", email="a@b.it", received_at=datetime(2026, 1, 1)),
            ["received_at"],
        ),
    ],
)
def test_each_fault_names_its_field(wish: Wish, fields: list[str]) -> None:
    assert [w.name for w in faults(wish)] == fields


def test_an_address_is_known_by_its_key_whatever_its_case() -> None:
    key = address_subject(address_key(PEPPER, ACCOUNT, "email", "Ada@b.it"))
    assert subject_of(Wish("email", "account", "manual", email=" aDA@B.it "), PEPPER, ACCOUNT) == key


def test_an_fkey_is_matched_as_it_is() -> None:
    wish = Wish("email", "list", "manual", LIST, fkey=" 7 ")
    assert subject_of(wish, PEPPER, ACCOUNT) == fkey_subject(LIST, " 7 ")


def test_a_number_without_prefix_needs_the_lists_country() -> None:
    wish = Wish("sms", "list", "manual", LIST, mobile="333 1234567")
    with pytest.raises(InvalidAddress):
        subject_of(wish, PEPPER, ACCOUNT)
    key = address_subject(address_key(PEPPER, ACCOUNT, "sms", "+393331234567"))
    assert subject_of(wish, PEPPER, ACCOUNT, "IT") == key
