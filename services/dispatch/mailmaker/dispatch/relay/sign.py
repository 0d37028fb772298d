"""dispatch.relay: our DKIM signer: relaxed/relaxed, oversigned, over the exact bytes sent, by RSA and, where the domain
shows that key too, by Ed25519 (RFC 6376, RFC 8301, RFC 8463).

Signs what it is given and changes nothing: it accepts 8-bit bodies, lone CR or LF and any folding, and hashes them
as a verifier will.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from mailmaker.dispatch.domain.relaxed import relaxed_body
from mailmaker.dispatch.relay.keys import Ed25519Key, RsaKey, SigningKey

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

_FOLDS = re.compile(rb"[ \t\r\n]+")


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
                    lines.append(b"%b:%b\r\n" % (name, relaxed_value(value).replace(b"%", b"%%")))
        self._lines = b"".join(lines)

    def canonical(self, values: Sequence[bytes]) -> bytes:
        """The signed headers, relaxed, in the order of h=. `values`: of the headers that differ, in their order."""
        return self._lines % tuple([relaxed_value(values[place]) for place in self._order])


class Draft(NamedTuple):
    """A mail to be signed: its form, the values that are its own, and its body's relaxed form."""

    form: Form
    values: Sequence[bytes]
    relaxed: bytes


class Signer:
    """Signs for one domain: one header line a key. RSA's comes first: who looks at one signature looks at that one. Each
    covers the same headers and the same body, and none the other. Safe in threads."""

    def __init__(self, domain: str, rsa: RsaKey, ed25519: Ed25519Key | None = None) -> None:
        self._names: dict[tuple[bytes, ...], bytes] = {}
        keys: list[SigningKey] = [rsa] if ed25519 is None else [rsa, ed25519]
        self._keys = [(key, _start(domain, key)) for key in keys]

    def sign(
        self, headers: Sequence[tuple[bytes, bytes]], body: bytes, at: int, *, relaxed: bytes | None = None
    ) -> bytes:
        """The DKIM-Signature header lines with their CRLF. `at`: seconds since 1970. `relaxed`: the body's relaxed form,
        where who wrote the body knows it."""
        names = tuple([name.lower() for name, _ in headers])
        listed = self._names.get(names)
        if listed is None:
            listed = self._names[names] = _folded(chosen_names(names))
        tags = _tags(at, listed, relaxed_body(body) if relaxed is None else relaxed)
        return self._lines([canonical_headers(headers, names)], [tags])[0]

    def sign_all(self, drafts: Sequence[Draft], at: int) -> list[bytes]:
        """What `sign` makes, for many mails: first all that is Python's, then all that is a key's, each in its own cache."""
        covered = [draft.form.canonical(draft.values) for draft in drafts]
        return self._lines(covered, [_tags(at, draft.form.listed, draft.relaxed) for draft in drafts])

    def _lines(self, covered: Sequence[bytes], tags: Sequence[bytes]) -> list[bytes]:
        """`covered`: each mail's signed headers, relaxed; `tags`: what its signatures say alike, up to the signature."""
        made = []
        for key, start in self._keys:
            values = [start + said for said in tags]
            texts = [
                # Ours is folded with single blanks only.
                b"%bdkim-signature:%b" % (headers, value.replace(b"\r\n", b""))
                for headers, value in zip(covered, values, strict=True)
            ]
            signatures = list(map(key.sign, texts))
            made.append([_line(value, signed) for value, signed in zip(values, signatures, strict=True)])
        return made[0] if len(made) == 1 else [b"".join(lines) for lines in zip(*made, strict=True)]


def _start(domain: str, key: SigningKey) -> bytes:
    said = f"v=1; a={key.algorithm}; c=relaxed/relaxed;\r\n d={domain}; s={key.selector};\r\n t="
    return said.encode("ascii")


def _tags(at: int, listed: bytes, relaxed: bytes) -> bytes:
    """The value from the time up to the signature: the body is hashed once, however many keys sign."""
    digest = binascii.b2a_base64(hashlib.sha256(relaxed).digest(), newline=False)
    return b"%d;\r\n h=%b;\r\n bh=%b;\r\n b=" % (at, listed, digest)


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
            out += (name, b":", relaxed_value(value), b"\r\n")
    return b"".join(out)


def relaxed_value(value: bytes) -> bytes:
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
