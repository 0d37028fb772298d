"""unit: tokens: no forgery, no cross-use, any case, keys that rotate and read for ever."""

from __future__ import annotations

import base64
import random
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.mail import base32
from mailmaker.common.mail.tokens import LENGTH, Purpose, Token, TokenKeys

OLD = TokenKeys({1: b"a" * 32})
KEYS = TokenKeys({1: b"a" * 32, 2: b"b" * 32})
TOKENS = st.builds(
    Token,
    account_number=st.integers(0, 2**32 - 1),
    mailing_number=st.integers(0, 2**32 - 1),
    contact_id=st.uuids(),
)
ALPHABET = string.ascii_lowercase + "234567"


@given(TOKENS, st.sampled_from(Purpose))
def test_a_token_is_read_for_its_purpose_only_and_in_any_case(token: Token, purpose: Purpose) -> None:
    text = KEYS.mint(purpose, token)
    assert len(text) == LENGTH
    assert set(text) <= set(ALPHABET)
    assert KEYS.read(purpose, text) == token
    assert KEYS.read(purpose, text.upper()) == token
    assert all(KEYS.read(other, text) is None for other in Purpose if other is not purpose)


@given(TOKENS, st.binary(min_size=32, max_size=100))
def test_the_tokens_of_a_mail_are_those_minted_one_by_one(token: Token, master: bytes) -> None:
    keys = TokenKeys({3: master})
    minted = keys.mint_all(token)
    for purpose in Purpose:
        assert getattr(minted, purpose.replace("-", "_")) == keys.mint(purpose, token)


@given(st.integers(0, 60).flatmap(lambda groups: st.binary(min_size=groups * 5, max_size=groups * 5)))
def test_base32_of_the_whole_text_is_that_of_its_groups(raw: bytes) -> None:
    assert base32.encode(raw) == base64.b32encode(raw).lower()


def test_base32_that_would_need_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 5"):
        base32.encode(b"1234")


@given(TOKENS, st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_any_other_character_is_a_forgery(token: Token, place: int, character: str) -> None:
    text = KEYS.mint(Purpose.UNSUBSCRIBE, token)
    forged = text[:place] + character + text[place + 1 :]
    assert (KEYS.read(Purpose.UNSUBSCRIBE, forged) is None) == (forged != text)


def test_random_texts_are_never_tokens() -> None:
    dice = random.Random(20261124)
    for _ in range(20_000):
        assert KEYS.read(Purpose.BOUNCE, "".join(dice.choices(ALPHABET, k=LENGTH))) is None


@given(st.text(max_size=80))
def test_reading_is_total(text: str) -> None:
    assert KEYS.read(Purpose.UNSUBSCRIBE, text) is None


def test_an_old_key_reads_for_ever_and_the_newest_mints() -> None:
    token = Token(7, 9, UUID(int=5))
    old = OLD.mint(Purpose.UNSUBSCRIBE, token)
    assert KEYS.read(Purpose.UNSUBSCRIBE, old) == token
    assert OLD.read(Purpose.UNSUBSCRIBE, KEYS.mint(Purpose.UNSUBSCRIBE, token)) is None


def test_the_token_of_the_frozen_form_decodes_for_ever() -> None:
    text = OLD.mint(Purpose.UNSUBSCRIBE, Token(1, 2, UUID(int=3)))
    assert text == "aeaaaaabaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaadsacryd6xbqerzael"


def test_a_keyring_needs_real_keys() -> None:
    with pytest.raises(ValueError, match="token keys"):
        TokenKeys({1: b"short"})
