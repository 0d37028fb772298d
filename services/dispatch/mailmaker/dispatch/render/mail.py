"""dispatch.render: a mailing's text compiled once, and the exact headers and body of each mail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from mailmaker.common.mail.tokens import Token, TokenKeys
from mailmaker.common.mail.verp import bounce_address, unsubscribe_address
from mailmaker.dispatch.domain import headers
from mailmaker.dispatch.domain.headers import UnsafeHeader
from mailmaker.dispatch.render.quoted import Letter, Part
from mailmaker.dispatch.render.text import TemplateFault, Text

Header = tuple[bytes, bytes]
X_TOKEN = b"X-Mailmaker-Token"
OWN = (b"To", b"Subject", b"Date", b"Message-ID", b"List-Unsubscribe", b"CFBL-Feedback-ID", X_TOKEN)
"""The headers whose values are a mail's own, in order."""
_OWN_LINES = b"".join(name + b": %b\r\n" for name in OWN)


@dataclass(frozen=True, slots=True)
class Copy:
    """What was approved to be sent: the same for every recipient."""

    account_number: int
    mailing_number: int
    mailing_id: UUID
    sender_id: UUID
    subject: str
    html: str
    body: str
    from_name: str
    from_email: str
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Doors:
    """Where answers come back to: public pages, and the domain of return paths and unsubscribe mail."""

    base_url: str
    mail_domain: str


class Frame:
    """The headers around a mail's own: the same for every mail of a mailing to one list. Compared by identity."""

    def __init__(self, before: Sequence[Header], after: Sequence[Header]) -> None:
        self.before, self.after = tuple(before), tuple(after)
        self.head, self.tail = _lines(before), _lines(after) + b"\r\n"

    def places(self) -> list[tuple[bytes, bytes | None]]:
        """All headers in order, without the values that are a mail's own."""
        return [*self.before, *((name, None) for name in OWN), *self.after]


class Unsigned(NamedTuple):
    """One mail before its signature: its frame, its own headers' values, its body, and its envelope sender."""

    frame: Frame
    own: tuple[bytes, ...]
    body: bytes
    relaxed: bytes
    dotted: bool
    return_path: str

    @property
    def headers(self) -> list[Header]:
        """All headers in order."""
        return [*self.frame.before, *zip(OWN, self.own, strict=True), *self.frame.after]


class CompiledMail:
    """One mailing, ready to be written to each recipient. Constructing it raises TemplateFault."""

    def __init__(self, copy: Copy, doors: Doors, keys: TokenKeys) -> None:
        self._copy = copy
        self._doors = doors
        self._keys = keys
        self._subject = Text(copy.subject, "header")
        parts = [(b"text/plain", copy.body, "text"), (b"text/html", copy.html, "html")]
        self._parts = [(kind, Part(Text(source, how))) for kind, source, how in parts if source.strip()]  # type: ignore[arg-type]
        if not self._parts:
            raise TemplateFault("there is neither html nor text")
        self._id_domain = copy.from_email.rpartition("@")[2].encode("ascii")
        self._boundary = b"=_" + hashlib.sha256(copy.mailing_id.bytes).hexdigest()[:32].encode()
        self._letter = Letter(self._pieces())
        self._fixed = self._fixed_headers()
        self._frames: dict[UUID, Frame] = {}

    def write(
        self, address: str, contact_id: UUID, list_id: UUID, values: Mapping[str, Any], at: datetime
    ) -> Unsigned:
        """The mail to one recipient. Raises TemplateFault, for values that cannot stand where the template puts them."""
        copy = self._copy
        tokens = self._keys.mint_all(Token(copy.account_number, copy.mailing_number, contact_id))
        page = f"{self._doors.base_url}/u/{tokens.unsubscribe}"
        known = {**values, "unsubscribe_url": page}
        try:
            subject = headers.unstructured(self._subject.render(known), used=9)
            to = headers.safe(address).encode("ascii")
        except (UnsafeHeader, UnicodeEncodeError) as wrong:
            raise TemplateFault("a value cannot stand in a header") from wrong
        mailto = unsubscribe_address(tokens.mail_unsubscribe, self._doors.mail_domain)
        own = (
            to,
            subject,
            _date(at),
            b"<%b@%b>" % (tokens.message_id.encode(), self._id_domain),
            f"<{page}>,\r\n <mailto:{mailto}>".encode("ascii"),
            tokens.cfbl.encode(),
            tokens.x_header.encode(),
        )
        body = self._letter.render(known)
        return Unsigned(
            self._frames.get(list_id) or self._frame(list_id),
            own,
            body.raw,
            body.relaxed,
            body.dotted,
            bounce_address(tokens.bounce, self._doors.mail_domain),
        )

    def _pieces(self) -> list[Part | bytes]:
        """The body: one part, or several between boundaries."""
        if len(self._parts) == 1:
            return [self._parts[0][1]]
        pieces: list[Part | bytes] = []
        for kind, part in self._parts:
            head = (
                b"--%b\r\nContent-Type: %b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                % (self._boundary, kind)
            )
            pieces += (head, part)
        return [*pieces, b"--%b--\r\n" % self._boundary]

    def _fixed_headers(self) -> list[Header]:
        copy = self._copy
        try:
            fixed = [(b"From", headers.mailbox(copy.from_name, copy.from_email))]
            if copy.reply_to:
                fixed.append((b"Reply-To", headers.mailbox("", copy.reply_to)))
        except (UnsafeHeader, UnicodeEncodeError) as wrong:
            raise TemplateFault("the sender cannot stand in a header") from wrong
        fixed.append((b"MIME-Version", b"1.0"))
        if len(self._parts) == 1:
            fixed.append((b"Content-Type", self._parts[0][0] + b"; charset=utf-8"))
            fixed.append((b"Content-Transfer-Encoding", b"quoted-printable"))
        else:
            boundary = b'multipart/alternative;\r\n boundary="' + self._boundary + b'"'
            fixed.append((b"Content-Type", boundary))
        fixed.append((b"List-Unsubscribe-Post", b"List-Unsubscribe=One-Click"))
        fixed.append((b"X-Auto-Response-Suppress", b"OOF, AutoReply"))
        return fixed

    def _frame(self, list_id: UUID) -> Frame:
        """List-Id (RFC 2919) and Feedback-ID (mailing:list:account:sender), which names nothing of the recipient."""
        copy = self._copy
        feedback = f"{copy.mailing_number}:{list_id.hex}:{copy.account_number}:{copy.sender_id.hex[-12:]}"
        made = [
            (b"List-Id", f"<{list_id.hex}.lists.{self._doors.mail_domain}>".encode("ascii")),
            (b"Feedback-ID", feedback.encode()),
        ]
        # Two threads may make it at once: one of the two frames is kept.
        return self._frames.setdefault(list_id, Frame(self._fixed, made))


@lru_cache(maxsize=16)
def _date(at: datetime) -> bytes:
    # A batch is written at one time.
    return format_datetime(at).encode()


def _lines(headers: Sequence[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def written(mail: Unsigned, signature: bytes) -> bytes:
    """The exact bytes that are sent: the signature header, the headers it covers, the body."""
    return b"".join((signature, mail.frame.head, _OWN_LINES % mail.own, mail.frame.tail, mail.body))
