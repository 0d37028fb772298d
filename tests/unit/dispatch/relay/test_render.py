"""Rendering: the fast path writes what Liquid writes; HTML escapes, text does not, headers refuse; every mail verifies."""

from __future__ import annotations

import email
import email.policy
import quopri
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.mail.tokens import LENGTH, Purpose, Token, TokenKeys
from mailmaker.dispatch.domain.headers import UnsafeHeader, mailbox, phrase, unstructured
from mailmaker.dispatch.domain.relaxed import relaxed_body
from mailmaker.dispatch.render.mail import CompiledMail, Copy, Doors, Unsigned, written
from mailmaker.dispatch.render.quoted import encoded
from mailmaker.dispatch.render.text import Kind, TemplateFault, Text
from test_sign import SIGNER, verifies

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEYS = TokenKeys({1: b"k" * 32})
DOORS = Doors("https://m.demo.test", "mail.demo.test")
CONTACT, LIST = uuid4(), uuid4()
HTML = (
    '<p>Gentile {{ name | default: "cliente" }}</p><p>{{city}} {{ name | escape }}</p>'
    '<a href="{{ unsubscribe_url }}">no</a>'
)
BODY = "Ciao {{ name }}\n{{ unsubscribe_url }}"


def compiled(html: str = HTML, subject: str = "Ciao {{ name }}", body: str = BODY) -> CompiledMail:
    copy = Copy(
        7, 12, uuid4(), uuid4(), subject, html, body, "Società Demo", "news@demo.test", "re@demo.test"
    )
    return CompiledMail(copy, DOORS, KEYS)


def mail_of(values: dict[str, Any], mail: CompiledMail | None = None) -> tuple[Unsigned, bytes, EmailMessage]:
    unsigned = (mail or compiled()).write("mario@example.com", CONTACT, LIST, values, NOW)
    raw = written(unsigned, SIGNER.sign(unsigned.headers, unsigned.body, 1_790_000_000))
    return unsigned, raw, cast("EmailMessage", email.message_from_bytes(raw, policy=email.policy.default))


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.text(max_size=40),
    st.sampled_from(["", "<b>&\"'", " "]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.text(max_size=5), max_size=3),
)
_SOURCES = [
    "{{ a }}",
    "x {{a}} y {{ b }} z",
    '{{ a | default: "R&D <x>" }}',
    "{{ a | default: 'none' | escape }}",
    "{{ a | escape }}!",
    "{{ missing }}",
    "{{ missing | default: 'm' }}",
    "no field",
    "",
]


@settings(max_examples=300, deadline=None)
@given(source=st.sampled_from(_SOURCES), kind=st.sampled_from(["html", "text"]), a=_VALUE, b=_VALUE)
def test_the_fast_path_writes_what_liquid_writes(source: str, kind: Kind, a: Any, b: Any) -> None:
    text = Text(source, kind)
    assert text.pieces is not None
    # Line ends are made one kind when the part is encoded; the engine does it already.
    fast, slow = text.render({"a": a, "b": b}), str(text._template.render(a=a, b=b))
    assert fast.replace("\r\n", "\n").replace("\r", "\n") == slow.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(
    "source",
    [
        "{% if a %}{{ a }}{% endif %}",
        "{{ a | upcase }}",
        "{{- a -}}",
        "{{ a.b }}",
        "{{ true }}",
        "{% raw %}{{ a }}{% endraw %}",
    ],
)
def test_what_is_more_than_a_field_goes_to_the_engine(source: str) -> None:
    assert Text(source, "html").pieces is None


def test_fields_are_what_the_text_asks_for() -> None:
    assert Text(
        "{{ name }} {% if city == 'x' %}{{ sex }}{% endif %}{% assign q = 1 %}{{ q }}", "text"
    ).fields == {"name", "city", "sex"}


@pytest.mark.parametrize(
    "source", ["{{ name", "{% if x %}", "{{ a | nofilter }}", "{% include 'x' %}", "{% nothing %}"]
)
def test_a_broken_template_says_where(source: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        Text("one\n" + source, "html")
    assert caught.value.line in (2, None)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for i in (1..9000) %}{% for j in (1..9000) %}{{ name }}{% endfor %}{% endfor %}",
        "{% assign a = 'xxxxxxxxxx' %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
    ],
)
def test_a_template_cannot_run_for_ever(source: str) -> None:
    with pytest.raises(TemplateFault):
        Text(source, "html").render({"name": "x" * 1000})


def test_html_is_escaped_and_text_is_not() -> None:
    _, _, message = mail_of({"name": "<script>&\"'", "city": "Forlì"})
    assert "<script>" not in part(message, "html")
    assert "&lt;script&gt;&amp;" in part(message, "html")
    assert "<script>&\"'" in part(message, "plain")
    assert "Forlì" in part(message, "html")


@pytest.mark.parametrize(
    "bad", ["a\r\nBcc: x@y.z", "a\nb", "a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "a\x9bb"]
)
def test_a_value_that_would_break_a_header_is_refused(bad: str) -> None:
    with pytest.raises(TemplateFault):
        mail_of({"name": bad})
    with pytest.raises(UnsafeHeader):
        phrase(bad)
    with pytest.raises(UnsafeHeader):
        mailbox("Mario", f"{bad}@example.com")


def test_every_place_carries_a_token_of_its_own_purpose() -> None:
    unsigned, _, message = mail_of({"name": "Mario"})
    token = Token(7, 12, CONTACT)
    https, mailto = str(message["List-Unsubscribe"]).split(",")
    found = {
        Purpose.UNSUBSCRIBE: https.strip(" <>").removeprefix("https://m.demo.test/u/"),
        Purpose.MAIL_UNSUBSCRIBE: mailto.strip(" <>")
        .removeprefix("mailto:u+")
        .removesuffix("@mail.demo.test"),
        Purpose.MESSAGE_ID: str(message["Message-ID"]).strip("<>").removesuffix("@demo.test"),
        Purpose.CFBL: str(message["CFBL-Feedback-ID"]),
        Purpose.X_HEADER: str(message["X-Mailmaker-Token"]),
        Purpose.BOUNCE: unsigned.return_path.removeprefix("b+").removesuffix("@mail.demo.test"),
    }
    for purpose, text in found.items():
        assert len(text) == LENGTH
        assert KEYS.read(purpose, text) == token
    assert f"https://m.demo.test/u/{found[Purpose.UNSUBSCRIBE]}" in part(message, "plain")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    mailing, in_list, account, sender = str(message["Feedback-ID"]).split(":")
    assert (mailing, in_list, account, len(sender)) == ("12", LIST.hex, "7", 12)


def test_a_mail_is_seven_bit_with_crlf_and_short_lines() -> None:
    _, raw, message = mail_of(
        {"name": "è" * 300, "city": "x" * 3000 + "\nline\rother\r\n.dot\r\n" + " " * 300}
    )
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert max(map(len, raw.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76
    assert str(message["Subject"]) == "Ciao " + "è" * 300
    assert "x" * 3000 + "\nline\nother\n.dot" in part(message, "html")
    assert str(message["From"]) == "Società Demo <news@demo.test>"


def test_a_mail_may_have_one_part_but_not_none() -> None:
    _, _, message = mail_of({"name": "Mario"}, compiled(html=""))
    assert message.get_content_type() == "text/plain"
    assert "Ciao Mario" in message.get_content()
    with pytest.raises(TemplateFault):
        compiled(html=" ", body="")


_SPACED = st.text(st.sampled_from(" \t\n\r.=aè<"), max_size=40)


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(_SPACED, min_size=1, max_size=4), values=st.lists(_SPACED, min_size=3, max_size=3))
def test_the_form_that_is_signed_is_the_form_of_what_is_sent(pieces: list[str], values: list[str]) -> None:
    source = "".join(f"{piece}{{{{ v{at % 3} }}}}" for at, piece in enumerate(pieces))
    for html in (source, ""):
        mail = compiled(html=html, subject="s", body=f".{source}")
        unsigned = mail.write(
            "a@example.com", CONTACT, LIST, {f"v{n}": value for n, value in enumerate(values)}, NOW
        )
        assert unsigned.relaxed == relaxed_body(unsigned.body)
        assert unsigned.dotted is (unsigned.body.startswith(b".") or b"\r\n." in unsigned.body)


@settings(max_examples=200, deadline=None)
@given(
    sources=st.lists(
        st.sampled_from([*_SOURCES, "{{ a | upcase }} {{ b }}", " .x  \n", "{{ b }}{{ b }}"]), max_size=5
    ),
    a=st.text(max_size=120),
    b=st.text(st.sampled_from("ab.&<=\t \n"), max_size=80),
)
def test_the_parts_that_are_read_are_the_texts_that_were_rendered(sources: list[str], a: str, b: str) -> None:
    source = "-".join(["x", *sources, "{{ a }}{{ b }}"])
    values = {"a": a, "b": b}
    _, _, message = mail_of(values, compiled(html=source, subject="s", body=source))
    for kind, how in (("html", "html"), ("plain", "text")):
        rendered = Text(source, cast("Kind", how)).render(values).encode("utf-8", "replace").decode()
        lines = rendered.replace("\r\n", "\n").replace("\r", "\n")
        assert part(message, kind) == lines


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=80), city=st.text(max_size=300))
def test_any_recipient_s_mail_verifies(name: str, city: str) -> None:
    try:
        _, raw, message = mail_of({"name": name, "city": city})
    except TemplateFault:
        return
    assert verifies(raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert len(message.get_all("Subject", [])) == 1


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=400))
def test_quoted_printable_is_read_back(text: str) -> None:
    raw = encoded(text)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    assert quopri.decodestring(raw).replace(b"\r\n", b"\n") == unix.encode("utf-8", "replace")


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=400))
def test_a_subject_is_read_back(text: str) -> None:
    try:
        raw = unstructured(text, used=9)
    except UnsafeHeader:
        return
    assert max(len(line) for line in raw.split(b"\r\n")) <= 990
    message = cast(
        "EmailMessage",
        email.message_from_bytes(b"Subject: " + raw + b"\r\n\r\n", policy=email.policy.default),
    )
    assert str(message["Subject"]) == text.replace("\t", " ").strip()
