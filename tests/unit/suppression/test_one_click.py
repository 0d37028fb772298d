"""unit: RFC 8058 bodies name the door; nothing else does."""

from __future__ import annotations

import pytest
from mailmaker.suppression.domain.one_click import is_one_click

MULTIPART = (
    b'--b42\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b42--\r\n'
)


@pytest.mark.parametrize(
    "body",
    [
        b"List-Unsubscribe=One-Click",
        b"list-unsubscribe=one-click",
        b"a=1&List-Unsubscribe=One-Click&b=2",
        b"List-Unsubscribe=One-Click\r\n",
        MULTIPART,
        MULTIPART.replace(b"\r\n", b"\n"),
        MULTIPART.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1),
    ],
)
def test_a_mail_programs_click(body: bytes) -> None:
    assert is_one_click(body)


@pytest.mark.parametrize(
    "body", [b"", b"by=page", b"\0\xff", b"x=List-Unsubscribe=One-Click", b"{}", b"=" * 65536]
)
def test_everything_else_is_the_link(body: bytes) -> None:
    assert not is_one_click(body)
