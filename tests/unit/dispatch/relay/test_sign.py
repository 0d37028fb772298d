"""DKIM: what we sign, dkimpy verifies (invariant 14), and what is changed behind our back it refuses."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.dispatch.domain.relaxed import relaxed_body
from mailmaker.dispatch.relay.keys import Ed25519Key, RsaKey, WeakKey
from mailmaker.dispatch.relay.sign import Draft, Form, Signer, canonical_headers, chosen_names

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
ED25519 = ed25519.Ed25519PrivateKey.generate()
RECORDS = {
    b"mm1._domainkey.demo.test.": b"v=DKIM1; k=rsa; p=" + PUBLIC,
    b"mm1-ed25519._domainkey.demo.test.": b"v=DKIM1; k=ed25519; p="
    + base64.b64encode(ED25519.public_key().public_bytes_raw()),
}
SIGNER = Signer("demo.test", RsaKey("mm1", KEY))
BOTH = Signer("demo.test", RsaKey("mm1", KEY), Ed25519Key("mm1-ed25519", ED25519))
HEADERS = [
    (b"From", b"Demo <news@demo.test>"),
    (b"To", b"mario@example.com"),
    (b"Subject", b"Ciao"),
    (b"Date", b"Tue, 24 Nov 2026 12:00:00 +0000"),
    (b"Message-ID", b"<x@demo.test>"),
    (b"MIME-Version", b"1.0"),
    (b"List-Unsubscribe", b"<https://m.test/u/x>,\r\n <mailto:u+x@m.test>"),
    (b"List-Unsubscribe-Post", b"List-Unsubscribe=One-Click"),
    (b"Feedback-ID", b"1:2:3:4"),
    (b"CFBL-Feedback-ID", b"x"),
]


def wire(body: bytes, headers: list[tuple[bytes, bytes]] | None = None, signer: Signer = BOTH) -> bytes:
    used = HEADERS if headers is None else headers
    text = b"".join(name + b": " + value + b"\r\n" for name, value in used)
    return signer.sign(used, body, 1_790_000_000) + text + b"\r\n" + body


def verdicts(mail: bytes, records: dict[bytes, bytes] = RECORDS) -> list[bool]:
    """What dkimpy says of each signature, in the order they stand in."""
    seen = dkim.DKIM(mail)
    many = sum(name.lower() == b"dkim-signature" for name, _ in seen.headers)
    said = []
    for at in range(many):
        try:
            said.append(seen.verify(idx=at, dnsfunc=lambda name, timeout=5: records.get(name, b"")))
        except dkim.DKIMException:
            said.append(False)
    return said


def verifies(mail: bytes) -> bool:
    said = verdicts(mail)
    assert said
    assert len(set(said)) == 1, "one signature covers what another does not"
    return said[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b"one line\r\n",
        b"no line end",
        b"trailing  \t \r\nblanks\t\r\n",
        b"two\r\n\r\n\r\n",
        b"perch\xc3\xa9 \xe8 8-bit \xff\r\n",
        b".\r\n..dots\r\n",
        b" \r\n",
        b"a \t b\r\n \r\n\r\n",
        b"x" * 998 + b"\r\n",
        b" lead\r\n",
    ],
)
def test_every_body_verifies(body: bytes) -> None:
    assert verifies(wire(body))


@pytest.mark.parametrize(
    "value",
    [
        b"folded\r\n  twice\r\n\tand again",
        b"  blanks   around  ",
        b"tab\tinside",
        b"",
        b"=?utf-8?B?Q2lhbyBNYXJpbw==?=",
        b"colon: inside; and = signs",
    ],
)
def test_every_folding_of_a_header_verifies(value: bytes) -> None:
    headers = [(name, value if name == b"Subject" else old) for name, old in HEADERS]
    assert verifies(wire(b"body\r\n", headers))


def test_several_headers_of_one_name_are_all_covered() -> None:
    headers = [
        *HEADERS,
        (b"Reply-To", b"a@demo.test"),
        (b"List-Id", b"<l.demo.test>"),
        (b"Subject", b"again"),
    ]
    assert verifies(wire(b"body\r\n", headers))


@pytest.mark.parametrize(
    "name",
    [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"Reply-To",
        b"List-Unsubscribe",
        b"List-Unsubscribe-Post",
        b"Content-Type",
        b"Feedback-ID",
        b"CFBL-Feedback-ID",
        b"Cc",
    ],
)
def test_a_header_added_behind_our_back_breaks_both_signatures(name: bytes) -> None:
    mail = wire(b"body\r\n")
    assert verifies(mail)
    assert not verifies(name + b": forged@example.com\r\n" + mail)


def test_a_changed_body_or_header_breaks_both_signatures() -> None:
    mail = wire(b"body\r\n")
    assert not verifies(mail.replace(b"\r\nbody", b"\r\nBody"))
    assert not verifies(mail.replace(b"One-Click", b"Two-Click"))


def test_h_names_both_unsubscribe_headers_and_what_else_must_be_signed() -> None:
    listed = chosen_names([name.lower() for name, _ in HEADERS])
    for name in (
        b"from",
        b"subject",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"feedback-id",
        b"cfbl-feedback-id",
    ):
        assert listed.count(name) == 2, name
    assert listed.count(b"mime-version") == 1
    assert b"return-path" not in listed
    assert b"dkim-signature" not in listed, "either signature holds without the other"
    assert b"l=" not in SIGNER.sign(HEADERS, b"", 1).split(b"h=")[0]


def test_lines_are_short_enough_to_be_sent() -> None:
    assert max(map(len, wire(b"").split(b"\r\n"))) <= 80


def test_a_short_key_does_not_sign() -> None:
    with pytest.raises(WeakKey):
        RsaKey("mm1", rsa.generate_private_key(65537, 1024))


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_keys_read_from_their_pem_sign_as_the_keys_themselves() -> None:
    read = Signer(
        "demo.test", RsaKey.from_pem("mm1", _pem(KEY)), Ed25519Key.from_pem("mm1-ed25519", _pem(ED25519))
    )
    assert read.sign(HEADERS, b"Ciao\r\n", 1) == BOTH.sign(HEADERS, b"Ciao\r\n", 1)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (RsaKey, rsa.generate_private_key(65537, 1024)),
        (RsaKey, ec.generate_private_key(ec.SECP256R1())),
        (RsaKey, ED25519),
        (Ed25519Key, KEY),
    ],
    ids=["1024", "ec", "ed25519 for rsa", "rsa for ed25519"],
)
def test_a_key_we_may_not_sign_with_is_refused_when_read(
    kind: type[RsaKey] | type[Ed25519Key], key: PrivateKeyTypes
) -> None:
    with pytest.raises(WeakKey):
        kind.from_pem("mm1", _pem(key))


def _tags_of(line: bytes) -> dict[bytes, bytes]:
    pairs = (tag.partition(b"=") for tag in line.partition(b":")[2].split(b";"))
    return {name.strip(): b"".join(value.split()) for name, _, value in pairs}


def test_two_signatures_differ_in_key_and_signature_alone() -> None:
    signed = BOTH.sign(HEADERS, b"Ciao\r\n", 1_790_000_000)
    first, second = (_tags_of(b"DKIM-Signature:" + line) for line in signed.split(b"DKIM-Signature:")[1:])
    assert signed.startswith(SIGNER.sign(HEADERS, b"Ciao\r\n", 1_790_000_000)), (
        "what RSA signs stays the same"
    )
    assert (first[b"a"], first[b"s"]) == (b"rsa-sha256", b"mm1")
    assert (second[b"a"], second[b"s"]) == (b"ed25519-sha256", b"mm1-ed25519")
    assert {name for name in first if first[name] != second[name]} == {b"a", b"s", b"b"}


@pytest.mark.parametrize("gone", RECORDS)
def test_either_signature_holds_without_the_other(gone: bytes) -> None:
    mail = wire(b"body\r\n")
    shown = {name: record for name, record in RECORDS.items() if name != gone}
    assert verdicts(mail, shown) == [name != gone for name in RECORDS]


# RFC 6376 section 3.4.5.
def test_rfc_6376_relaxed_example() -> None:
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    headers = [(b"From", b" X "), (b"Subject", b"Y\t\r\n\tZ  ")]
    assert canonical_headers(headers, [b"from", b"subject"]) == b"from:X\r\nsubject:Y Z\r\n"


_LINES = st.lists(
    st.binary(max_size=120).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")), max_size=12
)
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.encode)
_FOLDED = st.lists(_VALUES.filter(lambda v: v.strip() != b""), min_size=1, max_size=4).map(b"\r\n ".join)


@settings(max_examples=150, deadline=None)
@given(lines=_LINES, subject=_FOLDED, feedback=_FOLDED)
def test_any_mail_verifies(lines: list[bytes], subject: bytes, feedback: bytes) -> None:
    body = b"".join(line + b"\r\n" for line in lines)
    swapped = {b"Subject": subject, b"Feedback-ID": feedback}
    headers = [(name, swapped.get(name, value)) for name, value in HEADERS]
    assert verifies(wire(body, headers))


_NAMES = st.sampled_from([name for name, _ in HEADERS] + [b"Reply-To", b"Received", b"X-Mailmaker-Token"])
_OPEN = st.lists(st.tuples(_NAMES, _FOLDED | _VALUES, st.booleans()), min_size=1, max_size=16)


@settings(max_examples=200, deadline=None)
@given(drawn=st.lists(st.tuples(_OPEN, _LINES), min_size=1, max_size=3))
def test_many_mails_are_signed_as_each_alone(
    drawn: list[tuple[list[tuple[bytes, bytes, bool]], list[bytes]]],
) -> None:
    bodies = [b"".join(line + b"\r\n" for line in lines) for _, lines in drawn]
    drafts = [
        Draft(
            Form([(name, None if own else value) for name, value, own in headers]),
            [value for _, value, own in headers if own],
            relaxed_body(body),
        )
        for (headers, _), body in zip(drawn, bodies, strict=True)
    ]
    for signer in (SIGNER, BOTH):
        alone = [
            signer.sign([(name, value) for name, value, _ in headers], body, 1_790_000_000)
            for (headers, _), body in zip(drawn, bodies, strict=True)
        ]
        assert signer.sign_all(drafts, 1_790_000_000) == alone
