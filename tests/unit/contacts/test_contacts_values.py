"""unit: what a field may hold, and how it is written once it is accepted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from mailmaker.common.contracts.contacts import CapPolicy, ChannelCap, Controller
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.domain.accounts import AccountState, key_hash, key_of, may_become, scope_faults
from mailmaker.contacts.domain.fields import FieldWish, arranged
from mailmaker.contacts.domain.lists import (
    ContactList,
    Field,
    FieldType,
    KeyKind,
    cap_faults,
    key_text,
)
from mailmaker.contacts.domain.values import read

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, tzinfo=UTC)
LIST = ContactList(
    new_id(), new_id(), "Soci", KeyKind.EMAIL, "IT", "Europe/Rome", Controller(name="A", email="a@b.it"), CapPolicy(),
    NOW, NOW, 1, False,
    (Field("points", FieldType.NUMBER), Field("tier", FieldType.ENUM, ("gold", "tin")), Field("vip", FieldType.BOOLEAN),
     Field("since", FieldType.DATE), Field("note", FieldType.TEXT)),
)  # fmt: skip


def test_values_are_stored_in_one_form() -> None:
    wish, faults = read(
        {"email": " Anna.B@EXAMPLE.com ", "mobile": "333 1234567", "sex": "f", "country": "it", "language": "it_ch",
         "birth_date": "1990-05-06", "name": "  Anna   Maria ", "surname": "", "city": None,
         "custom": {"points": 3.5, "tier": "gold", "vip": False, "since": "2020-01-02", "note": None}},
        LIST, TODAY,
    )  # fmt: skip
    assert faults == []
    assert wish.values == {
        "email": "Anna.B@example.com",
        "mobile": "+393331234567",
        "sex": "F",
        "country": "IT",
        "language": "it-CH",
        "birth_date": date(1990, 5, 6),
        "name": "Anna Maria",
        "surname": None,
        "city": None,
    }
    assert wish.custom == {"points": 3.5, "tier": "gold", "vip": False, "since": "2020-01-02", "note": None}


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"email": "no at all"}, "/email", "address.invalid"),
        ({"mobile": "06 1234567"}, "/mobile", "mobile.not_mobile"),
        ({"birth_date": "2001-02-30"}, "/birth_date", "date.impossible"),
        ({"birth_date": "2030-01-01"}, "/birth_date", "date.out_of_range"),
        ({"sex": "q"}, "/sex", "sex.unknown"),
        ({"country": "Italy"}, "/country", "country.unknown"),
        ({"name": "a\x00b"}, "/name", "control_character"),
        ({"name": "x" * 300}, "/name", "too_long"),
        ({"custom": {"points": "3"}}, "/custom/points", "number.unreadable"),
        ({"custom": {"points": True}}, "/custom/points", "number.unreadable"),
        ({"custom": {"tier": "lead"}}, "/custom/tier", "enum.unknown"),
        ({"custom": {"vip": "yes"}}, "/custom/vip", "boolean.unknown"),
        ({"custom": {"other": 1}}, "/custom/other", "field.unknown"),
    ],
)
def test_a_wrong_value_names_its_field(fields: dict[str, object], pointer: str, code: str) -> None:
    _, faults = read(fields, LIST, TODAY)
    assert [(at, what) for at, what, _ in faults] == [(pointer, code)]


def test_the_key_of_a_list_is_compared_without_the_case_of_the_address() -> None:
    assert key_text(KeyKind.EMAIL, "Anna@example.com", None, None) == "anna@example.com"
    assert key_text(KeyKind.FKEY, "a@b.it", None, "K1") == "K1"
    assert key_text(KeyKind.MOBILE, "a@b.it", None, "K1") is None


def test_custom_fields_have_names_of_their_own() -> None:
    found = arranged(
        LIST,
        [
            FieldWish("email", FieldType.TEXT),
            FieldWish("a", FieldType.ENUM),
            FieldWish("a", FieldType.TEXT),
            FieldWish("Ä", FieldType.TEXT),
        ],
    )
    assert [code for _, code, _ in found.faults] == [
        "field.reserved",
        "field.values",
        "field.twice",
        "field.name",
    ]


def test_a_cap_policy_names_what_is_wrong_with_it() -> None:
    policy = CapPolicy(email=ChannelCap(day=1, timezone="Mars/Base"), sms=ChannelCap(hold_at_most=5))
    assert [(at, code) for at, code, _ in cap_faults(policy)] == [
        ("/email/timezone", "timezone.unknown"), ("/sms/hold_at_most", "caps.hold_unused"),
    ]  # fmt: skip
    assert (
        cap_faults(CapPolicy(email=ChannelCap(day=1, on_cap="hold", hold_at_most=60, window="rolling"))) == ()
    )


def test_an_account_is_closed_for_good() -> None:
    assert may_become(AccountState.SUSPENDED, AccountState.OPEN)
    assert not may_become(AccountState.CLOSED, AccountState.OPEN)
    assert may_become(AccountState.CLOSED, AccountState.CLOSED)


def test_a_key_is_long_prefixed_and_kept_as_its_hash() -> None:
    text = key_of(bytes(range(32)))
    assert text.startswith("mm_live_")
    assert len(text) == 8 + 43
    assert len(key_hash(text)) == 32


def test_no_key_makes_a_stronger_one() -> None:
    faults = scope_faults(["a", "b", "c"], {"a", "b"}, {"a"})
    assert [(at, code) for at, code, _ in faults] == [
        ("/scopes/1", "scope.beyond"),
        ("/scopes/2", "scope.unknown"),
    ]
