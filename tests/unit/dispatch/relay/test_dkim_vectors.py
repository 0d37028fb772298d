"""DKIM: the messages, keys and signatures that the RFCs themselves give."""

from __future__ import annotations

import base64
import hashlib
import re

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from mailmaker.dispatch.domain.relaxed import relaxed_body
from mailmaker.dispatch.relay.keys import Ed25519Key, RsaKey
from mailmaker.dispatch.relay.sign import Signer, canonical_headers, relaxed_value
from test_sign import KEY, PUBLIC, verdicts

# RFC 8463 appendix A.1 and A.2: what signs and what the DNS shows.
SECRET = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
RSA_PUBLIC = (
    b"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91"
    b"y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
RECORDS = {
    b"brisbane._domainkey.football.example.com.": b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    b"test._domainkey.football.example.com.": b"v=DKIM1; k=rsa; p=" + RSA_PUBLIC,
}
# RFC 8463 appendix A.3.
ED25519_SIGNED = b"""\
v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="""
RSA_SIGNED = b"""\
v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="""
HEADERS = [
    (b"From", b"Joe SixPack <joe@football.example.com>"),
    (b"To", b"Suzie Q <suzie@shopping.example.net>"),
    (b"Subject", b"Is dinner ready?"),
    (b"Date", b"Fri, 11 Jul 2003 21:00:37 -0700 (PDT)"),
    (b"Message-ID", b"<20030712040037.46341.5F8J@football.example.com>"),
]
BODY = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
# RFC 6376 appendix A.2, with errata 3192 (one blank in the body) and 4926 (how the headers are folded).
RFC_6376 = b"""\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
        4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
RFC_6376_RECORD = (
    b"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4j"
    b"YfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)


def text_of(signed: bytes) -> tuple[bytes, bytes]:
    """What a signature of the RFC is over, made by our own canonicalisation; and the signature."""
    said, _, signature = signed.replace(b"\n", b"\r\n").rpartition(b"b=")
    # The RFC's h= has our order, and lists twice what is there once.
    covered = canonical_headers(HEADERS, [name.lower() for name, _ in HEADERS])
    return covered + b"dkim-signature:" + relaxed_value(said + b"b="), base64.b64decode(signature)


def message(*signatures: bytes) -> bytes:
    lines = [b"DKIM-Signature: " + value.replace(b"\n", b"\r\n") + b"\r\n" for value in signatures]
    return b"".join([*lines, *(b"%b: %b\r\n" % header for header in HEADERS)]) + b"\r\n" + BODY


def test_the_bodies_of_both_rfcs_have_the_hash_they_say() -> None:
    for body in (BODY, RFC_6376.partition(b"\r\n\r\n")[2]):
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
        assert digest == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n"])
def test_an_empty_body_has_the_hash_of_rfc_6376(body: bytes) -> None:
    # Section 3.4.4.
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    assert digest == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_ed25519_signs_as_rfc_8463_to_the_byte() -> None:
    key = Ed25519Key("brisbane", Ed25519PrivateKey.from_private_bytes(SECRET))
    text, signature = text_of(ED25519_SIGNED)
    assert key.sign(text) == signature


def test_what_rsa_signs_is_that_of_rfc_8463_to_the_byte() -> None:
    # A text has one PKCS #1 v1.5 signature: that it holds is as good as making it again. Its key is too short for us.
    public = load_der_public_key(base64.b64decode(RSA_PUBLIC))
    assert isinstance(public, RSAPublicKey)
    text, signature = text_of(RSA_SIGNED)
    public.verify(signature, text, PKCS1v15(), SHA256())


def test_the_verifier_takes_the_messages_of_the_rfcs_and_no_others() -> None:
    mail = message(ED25519_SIGNED, RSA_SIGNED)
    assert verdicts(mail, RECORDS) == [True, True]
    assert verdicts(mail.replace(b"game", b"match"), RECORDS) == [False, False]
    assert verdicts(mail.replace(b"Suzie Q", b"Suzie P"), RECORDS) == [False, False]
    for raw, holds in ((RFC_6376, True), (RFC_6376.replace(b"dinner", b"supper"), False)):
        assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: RFC_6376_RECORD) is holds


def test_our_signer_with_the_key_of_rfc_8463_verifies_by_its_record() -> None:
    key = Ed25519Key("brisbane", Ed25519PrivateKey.from_private_bytes(SECRET))
    signed = Signer("football.example.com", RsaKey("ours", KEY), key).sign(HEADERS, BODY, 1528637909)
    records = {**RECORDS, b"ours._domainkey.football.example.com.": b"v=DKIM1; k=rsa; p=" + PUBLIC}
    mail = signed + message()
    assert verdicts(mail, records) == [True, True]
    assert re.findall(rb"bh=([^;]+);", signed) == [b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="] * 2
