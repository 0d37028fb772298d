"""dispatch.render: a mailing's text compiled once, and the exact headers and body of each mail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from mailmaker.common.mail.tokens import Token, TokenKeys
from mailmaker.common.mail.verp import bounce_address, unsubscribe_address
from mailmaker.dispatch.domain import headers
from mailmaker.dispatch.domain.headers import UnsafeHeader
from mailmaker.dispatch.domain.relaxed import without_last_empty_lines
from mailmaker.dispatch.render.quoted import Body, Part
from mailmaker.dispatch.render.text import TemplateFault, Text

Header = tuple[bytes, bytes]
X_TOKEN = b"X-Mailmaker-Token"


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


@dataclass(frozen=True, slots=True)
class Unsigned:
    """One mail before its signature: its headers in order, its body, and its envelope sender."""

    headers: list[Header]
    body: bytes
    relaxed: bytes
    dotted: bool
    return_path: str


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
        self._fixed = self._fixed_headers()
        self._of_list: dict[UUID, list[Header]] = {}

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
        own = [
            (b"To", to),
            (b"Subject", subject),
            (b"Date", _date(at)),
            (b"Message-ID", b"<" + tokens.message_id.encode() + b"@" + self._id_domain + b">"),
            (b"List-Unsubscribe", f"<{page}>,\r\n <mailto:{mailto}>".encode("ascii")),
            (b"CFBL-Feedback-ID", tokens.cfbl.encode()),
            (X_TOKEN, tokens.x_header.encode()),
        ]
        of_list = self._of_list.get(list_id) or self._list_headers(list_id)
        body = self._body(known)
        return Unsigned(
            self._fixed + own + of_list,
            body.raw,
            body.relaxed,
            body.dotted,
            bounce_address(tokens.bounce, self._doors.mail_domain),
        )

    def _body(self, values: Mapping[str, Any]) -> Body:
        if len(self._parts) == 1:
            whole = self._parts[0][1].render(values)
            return whole._replace(relaxed=without_last_empty_lines(whole.relaxed))
        raws: list[bytes] = []
        forms: list[bytes] = []
        dotted = False
        for kind, part in self._parts:
            head = (
                b"--%b\r\nContent-Type: %b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                % (self._boundary, kind)
            )
            raw, form, dots = part.render(values)
            raws += (head, raw)
            forms += (head, form)
            dotted = dotted or dots
        end = b"--" + self._boundary + b"--\r\n"
        whole_raw = b"".join((*raws, end))
        same = all(form is raw for form, raw in zip(forms, raws, strict=True))
        return Body(whole_raw, whole_raw if same else b"".join((*forms, end)), dotted)

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

    def _list_headers(self, list_id: UUID) -> list[Header]:
        """List-Id (RFC 2919) and Feedback-ID (mailing:list:account:sender), which names nothing of the recipient."""
        copy = self._copy
        feedback = f"{copy.mailing_number}:{list_id.hex}:{copy.account_number}:{copy.sender_id.hex[-12:]}"
        made = [
            (b"List-Id", f"<{list_id.hex}.lists.{self._doors.mail_domain}>".encode("ascii")),
            (b"Feedback-ID", feedback.encode()),
        ]
        self._of_list[list_id] = made
        return made


@lru_cache(maxsize=16)
def _date(at: datetime) -> bytes:
    # A batch is written at one time.
    return format_datetime(at).encode()


def written(mail: Unsigned, signature: bytes) -> bytes:
    """The exact bytes that are sent: the signature header, the headers it covers, the body."""
    out = [signature]
    for name, value in mail.headers:
        out += (name, b": ", value, b"\r\n")
    out += (b"\r\n", mail.body)
    return b"".join(out)
