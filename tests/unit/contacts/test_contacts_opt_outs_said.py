"""unit: whose "no" a row of an opt-out file is, and about which channel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mailmaker.common.mail.address import Channel
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys
from mailmaker.contacts.domain.opt_outs import counted, said
from mailmaker.contacts.domain.plans import Options

OPTIONS = Options(
    mode="opt_out", fields=(), empty_cells="keep", consent=Consent.SUBSCRIBED, rows=9, rejected=1, duplicate=2, staged=6,
    apply="auto",
)  # fmt: skip
MAIL, PHONE, KEY = b"m", b"p", b"k"


@pytest.mark.parametrize(
    ("keys", "fkey", "channel", "expected"),
    [
        (AddressKeys(MAIL, None, None), None, None, [("email", MAIL)]),
        (AddressKeys(None, PHONE, None), None, None, [("sms", PHONE)]),
        (AddressKeys(MAIL, PHONE, KEY), "K1", None, [("email", MAIL), ("sms", PHONE)]),
        (AddressKeys(None, None, KEY), "K1", None, [("email", None), ("sms", None)]),
        (AddressKeys(None, None, KEY), "K1", "sms", [("sms", None)]),
        (AddressKeys(None, None, None), None, None, []),
    ],
)
def test_an_address_decides_the_channel_and_a_key_alone_means_both(
    keys: AddressKeys, fkey: str | None, channel: Channel | None, expected: list[tuple[str, bytes | None]]
) -> None:
    found = said(7, keys, fkey, replace(OPTIONS, channel=channel))
    assert [(one.channel, one.address_key) for one in found] == expected
    assert all((one.line, one.fkey, one.fkey_hash) == (7, fkey, keys.fkey) for one in found)


def test_counts_sum_to_the_rows() -> None:
    assert counted(OPTIONS, newly=4, before=2).adds_up
    assert not counted(OPTIONS, newly=4, before=1).adds_up
