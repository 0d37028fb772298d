"""dispatch.relay: our DKIM signer: rsa-sha256, relaxed/relaxed, oversigned, over the exact bytes sent (RFC 6376, RFC 8301).

Signs what it is given and changes nothing: it accepts 8-bit bodies, lone CR or LF and any folding, and hashes them
as a verifier will.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mailmaker.dispatch.domain.relaxed import relaxed_body

SIGNED = (
    b"from",
    b"to",
    b"cc",
    b"reply-to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-help",
    b"feedback-id",
    b"cfbl-address",
    b"cfbl-feedback-id",
    b"auto-submitted",
    b"x-mailmaker-token",
)
OVERSIGNED = frozenset(
    {
        b"from",
        b"to",
        b"cc",
        b"reply-to",
        b"subject",
        b"date",
        b"message-id",
        b"content-type",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"feedback-id",
        b"cfbl-feedback-id",
    }
)
"""Named once more than they occur: nobody can add a second one behind our back (RFC 6376 section 8.15)."""

MIN_BITS = 2048
_FOLDS = re.compile(rb"[ \t\r\n]+")
_PADDING, _HASH = PKCS1v15(), SHA256()


class WeakKey(ValueError):
    """A key we do not sign with: not RSA, or shorter than 2048 bits (RFC 8301 section 3.2)."""


class Form:
    """How mails are signed whose headers differ in some values only: what h= lists, and the relaxed headers with places
    for those values. `headers`: names and values in order, None for a value that differs."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes | None]]) -> None:
        names = [name.lower() for name, _ in headers]
        self.listed = _folded(chosen_names(names))
        open_places = [place for place, (_, value) in enumerate(headers) if value is None]
        lines: list[bytes] = []
        self._order: list[int] = []
        for name in SIGNED:
            for place in reversed([place for place, found in enumerate(names) if found == name]):
                value = headers[place][1]
                if value is None:
                    self._order.append(open_places.index(place))
                    lines.append(name + b":%b\r\n")
                else:
                    lines.append(b"%b:%b\r\n" % (name, _relaxed_value(value).replace(b"%", b"%%")))
        self._lines = b"".join(lines)

    def canonical(self, values: Sequence[bytes]) -> bytes:
        """The signed headers, relaxed, in the order of h=. `values`: of the headers that differ, in their order."""
        return self._lines % tuple([_relaxed_value(values[place]) for place in self._order])


class Draft(NamedTuple):
    """A mail to be signed: its form, the values that are its own, and its body's relaxed form."""

    form: Form
    values: Sequence[bytes]
    relaxed: bytes


class Signer:
    """Signs for one domain with one selector. Safe in threads; RSA runs without the interpreter lock."""

    def __init__(self, domain: str, selector: str, key: RSAPrivateKey) -> None:
        if key.key_size < MIN_BITS:
            raise WeakKey(f"RSA of {key.key_size} bits")
        self._key = key
        self._names: dict[tuple[bytes, ...], bytes] = {}
        self._start = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n t=".encode(
            "ascii"
        )

    @classmethod
    def from_pem(cls, domain: str, selector: str, pem: bytes) -> Signer:
        """A key that we made and sealed ourselves: looking for its primes again would hold the event loop for long."""
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, RSAPrivateKey):
            raise WeakKey("not an RSA key")
        return cls(domain, selector, key)

    def sign(
        self, headers: Sequence[tuple[bytes, bytes]], body: bytes, at: int, *, relaxed: bytes | None = None
    ) -> bytes:
        """The DKIM-Signature header line with its CRLF. `at`: seconds since 1970. `relaxed`: the body's relaxed form,
        where who wrote the body knows it."""
        names = tuple([name.lower() for name, _ in headers])
        listed = self._names.get(names)
        if listed is None:
            listed = self._names[names] = _folded(chosen_names(names))
        value = self._value(listed, relaxed_body(body) if relaxed is None else relaxed, at)
        text = canonical_headers(headers, names) + b"dkim-signature:" + _relaxed_value(value)
        return _line(value, self._key.sign(text, _PADDING, _HASH))

    def sign_all(self, drafts: Sequence[Draft], at: int) -> list[bytes]:
        """What `sign` makes, for many mails: first all that is Python's, then all that is RSA's, each in its own cache."""
        values = [self._value(draft.form.listed, draft.relaxed, at) for draft in drafts]
        texts = [
            # Ours is folded with single blanks only.
            b"%bdkim-signature:%b" % (draft.form.canonical(draft.values), value.replace(b"\r\n", b""))
            for draft, value in zip(drafts, values, strict=True)
        ]
        sign = self._key.sign
        signatures = [sign(text, _PADDING, _HASH) for text in texts]
        return [_line(value, signature) for value, signature in zip(values, signatures, strict=True)]

    def _value(self, listed: bytes, relaxed: bytes, at: int) -> bytes:
        """The header's value up to the signature."""
        digest = binascii.b2a_base64(hashlib.sha256(relaxed).digest(), newline=False)
        return b"%b%d;\r\n h=%b;\r\n bh=%b;\r\n b=" % (self._start, at, listed, digest)


def _line(value: bytes, signature: bytes) -> bytes:
    text = binascii.b2a_base64(signature, newline=False)
    lines = b"\r\n ".join([text[at : at + 72] for at in range(0, len(text), 72)])
    return b"DKIM-Signature: %b%b\r\n" % (value, lines)


def chosen_names(names: Sequence[bytes]) -> list[bytes]:
    """What h= lists for a mail with these header names, in order."""
    chosen: list[bytes] = []
    for name in SIGNED:
        chosen += [name] * (names.count(name) + (name in OVERSIGNED))
    return chosen


def canonical_headers(headers: Sequence[tuple[bytes, bytes]], names: Sequence[bytes]) -> bytes:
    """The signed headers, relaxed, in the order of h=: of several with one name the last comes first."""
    found: dict[bytes, list[bytes]] = {}
    for name, (_, value) in zip(names, headers, strict=True):
        found.setdefault(name, []).append(value)
    out: list[bytes] = []
    for name in SIGNED:
        for value in reversed(found.get(name, ())):
            out += (name, b":", _relaxed_value(value), b"\r\n")
    return b"".join(out)


def _relaxed_value(value: bytes) -> bytes:
    """Unfolded, runs of blanks one, none around."""
    if b"\v" in value or b"\f" in value:
        # No blanks to DKIM, though bytes.split takes them for some.
        return _FOLDS.sub(b" ", value).strip(b" ")
    return b" ".join(value.split())


def _folded(names: Sequence[bytes]) -> bytes:
    lines, line = [], b""
    for name in names:
        if line and len(line) + len(name) > 68:
            lines.append(line + b":")
            line = name
        else:
            line = line + b":" + name if line else name
    return b"\r\n ".join([*lines, line])
