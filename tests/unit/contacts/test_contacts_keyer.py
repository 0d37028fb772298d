"""unit: keys of many rows at once are the keys of each: what a file makes is found by every "no" said before."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.mail.address import address_key, address_keyer, folded
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.key_rows import Keyer
from mailmaker.contacts.domain.protection import keys_for

ACCOUNT, LIST = new_id(), new_id()
_LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
_LOCAL = st.text("abcXYZ.+'", min_size=1, max_size=9)
_EMAIL = st.one_of(st.just(""), st.builds("{}@Example.com".format, _LOCAL))
_MOBILE = st.sampled_from(["", "+393331234567", "+393339999999"])
_ROW = st.tuples(_EMAIL, _MOBILE, _LINE, _LINE)


@given(
    st.binary(min_size=1, max_size=100), st.uuids(), st.sampled_from(["email", "sms"]), st.text(max_size=40)
)
def test_a_keyer_makes_the_key_of_each_address(pepper: bytes, account: UUID, channel: str, text: str) -> None:
    keyer = address_keyer(pepper, account, "email" if channel == "email" else "sms")
    one = address_key(pepper, account, "email" if channel == "email" else "sms", text)
    assert keyer(folded(text).encode()) == one


@settings(deadline=None)  # An event loop is made for each.
@given(st.lists(_ROW, max_size=12), st.binary(min_size=32, max_size=70), st.integers(1, 60))
def test_made_rows_are_staged_rows_with_their_keys(
    rows: list[tuple[str, str, str, str]], pepper: bytes, cut: int
) -> None:
    staged = io.StringIO()
    csv.writer(staged, lineterminator="\n").writerows(
        [n, fkey or email, email, mobile, fkey, name, *[""] * 9, "ab"]
        for n, (email, mobile, fkey, name) in enumerate(rows, 2)
    )
    made = asyncio.run(_made(pepper, staged.getvalue().encode(), cut))
    found = list(csv.reader(io.StringIO(made.decode(), newline="")))
    assert [row[:16] for row in found] == list(csv.reader(io.StringIO(staged.getvalue(), newline="")))
    ids = [UUID(row[16]) for row in found]
    assert ids == sorted(set(ids))
    for row, (email, mobile, fkey, _) in zip(found, rows, strict=True):
        keys = keys_for(pepper, ACCOUNT, LIST, email or None, mobile or None, fkey or None)
        wanted = ["" if key is None else f"\\x{key.hex()}" for key in (keys.email, keys.mobile, keys.fkey)]
        assert row[17:] == wanted


async def _made(pepper: bytes, staged: bytes, cut: int) -> bytes:
    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(staged), cut):
            yield staged[at : at + cut]

    return b"".join([chunk async for chunk in Keyer(pepper, ACCOUNT).made(source())])
