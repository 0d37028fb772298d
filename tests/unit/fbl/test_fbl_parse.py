"""What a mail says: reports of every spelling, bounces, out-of-office, and mail built to hurt."""

from __future__ import annotations

import base64
import time

import pytest
from fbl_mails import (
    APPLE_UNSUBSCRIBE,
    KEYS,
    TOKEN,
    VACATION,
    crlf,
    delivery_report,
    feedback_report,
    our_headers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.fbl.actions.settle import first_token
from mailmaker.fbl.domain.findings import Findings
from mailmaker.fbl.parse.examine import examine
from mailmaker.fbl.parse.mime import Limits, Unreadable, read_mail

HEADERS = our_headers()


def test_a_delivery_report_in_any_case_and_folding() -> None:
    found = examine(
        delivery_report(
            diagnostic="smtp;\n 550 5.1.1 no such\n\tuser here", original="ada+2Blist@example.com"
        )
    )
    assert found.shape == "delivery_report"
    assert found.message_id == "<dsn-1@mx.example.com>"
    assert found.original_message_id == "<original-1@mail.example.com>"
    (only,) = found.recipients
    assert (only.address, only.action, only.status) == ("ada+list@example.com", "failed", "5.1.1")
    assert only.diagnostic.split() == ["550", "5.1.1", "no", "such", "user", "here"]
    assert found.address == "ada+list@example.com"


@pytest.mark.parametrize(
    "bend",
    [
        lambda raw: raw.replace(b"\r\n", b"\n"),
        lambda raw: raw.replace(b"\r\n", b"\r"),
        lambda raw: raw[: raw.rfind(b"--AAA.1--")],
        lambda raw: raw.replace(b"Message/Delivery-Status", b"message/delivery-status; charset=x"),
    ],
)
def test_line_ends_and_missing_ends_do_not_hide_it(bend: object) -> None:
    assert callable(bend)
    found = examine(bend(delivery_report()))
    assert [one.address for one in found.recipients] == ["ada@example.com"]


def test_several_recipients_and_a_delay() -> None:
    second = "\nFinal-Recipient: rfc822; bob@example.com\nAction: delayed\nStatus: 4.4.1\n"
    found = examine(delivery_report(extra=second))
    assert [(one.address, one.action) for one in found.recipients] == [
        ("ada@example.com", "failed"),
        ("bob@example.com", "delayed"),
    ]


@pytest.mark.parametrize("part", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize("name", sorted(HEADERS))
def test_any_one_header_of_ours_is_enough(name: str, part: str) -> None:
    found = examine(feedback_report(f"{name}: {HEADERS[name]}", part=part))
    assert found.shape == "feedback_report"
    token = first_token(KEYS, found)
    assert token is not None
    assert token[1] == TOKEN


@given(
    name=st.sampled_from(sorted(HEADERS)),
    upper=st.booleans(),
    fold=st.booleans(),
    noise=st.lists(
        st.sampled_from(
            [
                "Received: from [redacted]",
                "To: redacted-4f9@comcast.net",
                "X-Broken",
                "Subject: =?utf-8?Q?Ciao_=C3=A8?=",
            ]
        ),
        max_size=4,
    ),
    encoding=st.sampled_from(["7bit", "quoted-printable", "base64"]),
)
@settings(max_examples=200, deadline=None)
def test_tok3_masked_wrapped_and_folded_it_still_resolves(
    name: str, upper: bool, fold: bool, noise: list[str], encoding: str
) -> None:
    value = HEADERS[name]
    line = f"{name}:{chr(10)} {value}" if fold else f"{name}: {value}"
    returned = "\n".join([*noise, line.upper() if upper else line])
    if encoding == "base64":
        returned = base64.encodebytes(returned.encode()).decode().strip()
    if encoding == "quoted-printable":
        returned = "\n".join(_quoted(one) for one in returned.replace("=", "=3D").split("\n"))
    found = first_token(KEYS, examine(feedback_report(returned, encoding=encoding)))
    assert found is not None
    assert found[1] == TOKEN


def _quoted(line: str) -> str:
    return "=\n".join(line[at : at + 70] for at in range(0, len(line), 70)) or line


def test_a_report_says_its_type_and_address_and_hides_what_is_redacted() -> None:
    found = examine(
        feedback_report("Subject: x", kind="Opt-Out", fields="Original-Rcpt-To: <ada@example.com>\n")
    )
    assert (found.feedback_type, found.address) == ("opt-out", "ada@example.com")
    found = examine(feedback_report("Subject: x", fields="Original-Rcpt-To: redacted@example.com\n"))
    assert found.address is None
    assert found.traces == ()


def test_apples_unsubscribe_out_of_office_and_plain_mail() -> None:
    assert examine(APPLE_UNSUBSCRIBE).shape == "unsubscribe"
    assert examine(VACATION).shape == "auto_reply"
    assert examine(b"Subject: hello\r\n\r\nI am a person.\r\n").shape == "other"
    assert examine(b"").shape == "other"


def test_a_bounce_in_plain_words() -> None:
    found = examine(
        crlf("""
From: MAILER-DAEMON@qmail.example
Subject: failure notice

Hi. This is the qmail-send program at qmail.example.
<ada@example.com>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 User unknown

--- Below this line is a copy of the message.

<someone@else.example>:
""")
    )
    assert found.shape == "text_bounce"
    assert [(one.address, one.status) for one in found.recipients] == [("ada@example.com", "5.1.1")]


def test_findings_survive_the_pipe() -> None:
    found = examine(delivery_report())
    assert Findings.decode(found.encode()) == found


def nested(depth: int) -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (at, at) for at in range(depth)
    )
    return head + b"Content-Type: text/plain\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("mail", "code"),
    [
        (nested(30), "too_deep"),
        (
            b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 300,
            "too_many_parts",
        ),
        (b"X: " + b"y" * 300_000 + b"\r\n\r\n", "header_too_large"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 30, "too_deep"),
    ],
)
def test_mail_built_to_hurt_breaks_a_limit_by_name(mail: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as broken:
        examine(mail)
    assert broken.value.code == code


def test_large_and_hostile_mail_is_read_in_a_moment() -> None:
    boundary = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    began = time.process_time()
    for mail in (
        boundary + b"--b" * 500_000,
        b"Subject: " + b"=?utf-8?Q?" * 20_000 + b"\r\n\r\n",
        boundary + b"--b\r\n" + b"A: b\r\n" * 20_000 + b"\r\n" + b"-" * 1_000_000,
        b"From: mailer-daemon@x\r\nSubject: failure notice\r\n\r\n" + b"<" * 1_000_000,
        b"\r\n" + b"a" * 3_000_000,
    ):
        examine(mail)
    assert time.process_time() - began < 5


@given(st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_it_fall(raw: bytes) -> None:
    try:
        examine(raw)
        examine(
            b'Content-Type: multipart/report; boundary="x"\n\n--x\n' + raw + b"\n--x\nContent-Type: " + raw
        )
    except Unreadable:
        pass


def test_parts_keep_their_own_bytes() -> None:
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    mail = read_mail(head + b"pre\r\n--b\r\n\r\none\r\n--b \r\n\r\ntwo\r\n--b--\r\npost")
    assert [part.body for part in mail.parts] == [b"one", b"two"]
    with pytest.raises(Unreadable):
        read_mail(b"a: b\n\n", Limits(parts=0))
