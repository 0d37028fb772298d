"""unit: canonical addresses: golden, idempotent, and never a second person hidden in one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.mail.address import (
    InvalidAddress,
    address_key,
    canonical_address,
    canonical_mobile,
    pepper_check,
)

# Frozen within KEY_VERSION 1: a change here makes every stored key unfindable.
GOLDEN = {
    "a@b.it": "a@b.it",
    "Mario.Rossi@B.IT": "Mario.Rossi@b.it",
    "  mario@example.com ": "mario@example.com",
    "Mario@Exämple.com": "Mario@xn--exmple-cua.com",
    "user@xn--exmple-cua.com": "user@xn--exmple-cua.com",
    "o'neil+tag@sub.example.co.uk": "o'neil+tag@sub.example.co.uk",
}
REFUSED = [
    "",
    "  ",
    "mario",
    "mario@",
    "@b.it",
    "mario@b",
    "mario@1.2.3.4",
    "mario@[1.2.3.4]",
    "victim@example.com> x",
    "victim@example.com (c)",
    "victim(c)@example.com",
    "victim @example.com",
    "mailto:victim@example.com",
    "victim@example.com,other@example.com",
    "Name <victim@example.com>",
    "victim@example.com>\r\nRCPT TO:<evil@example.com",
    "victim@example.com\n",
    "victim@example.com\x00",
    '"a b"@example.com',
    "a..b@example.com",
    "ü@example.com",
    "x" * 65 + "@example.com",
]


@pytest.mark.parametrize(("text", "wanted"), GOLDEN.items())
def test_golden(text: str, wanted: str) -> None:
    assert canonical_address(text) == wanted


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        canonical_address(text)


@given(
    st.one_of(st.emails(), st.text(max_size=60), st.from_regex(r"[A-Za-z0-9.+-]{1,20}@[A-Za-z0-9.-]{1,30}"))
)
def test_what_it_returns_it_would_not_change(text: str) -> None:
    try:
        once = canonical_address(text)
    except InvalidAddress:
        return
    assert canonical_address(once) == once
    assert once.isascii()
    assert once.isprintable()
    assert once.count("@") == 1


def test_keys_join_spellings_and_part_accounts_and_channels() -> None:
    pepper, one, two = b"p" * 32, UUID(int=1), UUID(int=2)
    key = address_key(pepper, one, "email", "Mario@b.it")
    assert len(key) == 33
    assert key[0] == 1
    assert key == address_key(pepper, one, "email", "mario@b.it")
    assert key != address_key(pepper, two, "email", "mario@b.it")
    assert key != address_key(pepper, one, "sms", "mario@b.it")
    assert key != address_key(b"q" * 32, one, "email", "mario@b.it")
    assert key.hex() == "01199b372b6235204dc7f0f473c6735821d99832b6b605f92eeb1e41aaa4f79d27"
    assert pepper_check(pepper) != pepper_check(b"q" * 32)


@pytest.mark.parametrize(
    ("text", "country", "wanted"),
    [("333 1234567", "IT", "+393331234567"), ("+39 333 123 4567", "DE", "+393331234567")],
)
def test_mobiles(text: str, country: str, wanted: str) -> None:
    assert canonical_mobile(text, country) == wanted


@pytest.mark.parametrize("text", ["", "06 1234 5678", "abc", "333", "+39"])
def test_not_mobiles(text: str) -> None:
    with pytest.raises(InvalidAddress):
        canonical_mobile(text, "IT")
