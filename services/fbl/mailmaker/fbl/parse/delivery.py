"""fbl.parse.delivery: delivery status notifications (RFC 3464), and the plainest of the bounces that are none."""

from __future__ import annotations

import re

from mailmaker.fbl.domain.findings import MAX_RECIPIENTS, Recipient
from mailmaker.fbl.parse.fields import Fields, groups, plain_address, typed
from mailmaker.fbl.parse.mime import Part

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}"
_TEXT_RECIPIENTS = (
    re.compile(rf"^\s*<({_ADDRESS})>:", re.MULTILINE),
    re.compile(rf"^\s{{2,}}<?({_ADDRESS})>?\s*$", re.MULTILINE),
    re.compile(rf"RCPT TO:\s*<({_ADDRESS})>", re.IGNORECASE),
)
_SENDERS = re.compile(r"mailer-daemon|postmaster|mail ?delivery|mdaemon", re.IGNORECASE)
_SUBJECTS = re.compile(
    r"undeliver|returned mail|delivery (?:status|fail|has failed)|failure notice|mail delivery (?:failed|problem|error)"
    r"|non ?remis|nicht zustellbar|mancato recapito|delivery notification|could not be delivered|message not delivered",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"^-{2,}.{0,60}(?:original|returned|copy of|forwarded)|^Return-Path:", re.IGNORECASE | re.MULTILINE
)
_TEXT_LIMIT = 64 * 1024


def delivery_report(mail: Part) -> tuple[Recipient, ...] | None:
    """The recipients of a delivery status part, or None where there is no such part."""
    reports = [part for part in mail.walk() if part.kind in _REPORTS]
    if not reports:
        return None
    found: list[Recipient] = []
    for part in reports:
        for group in groups(part.body):
            if "final-recipient" in group or "original-recipient" in group:
                found.append(_recipient(group))
    return tuple(found[:MAX_RECIPIENTS])


def text_bounce(mail: Part) -> tuple[Recipient, ...] | None:
    """A bounce written for people: who it names and the first reply it quotes. None for what is no bounce."""
    sender, subject = mail.fields.first("from") or "", mail.fields.first("subject") or ""
    failed = mail.fields.every("x-failed-recipients")
    if not failed and not (_SENDERS.search(sender) and (_SUBJECTS.search(subject) or _is_null(mail))):
        return None
    text = next((part.text()[:_TEXT_LIMIT] for part in mail.walk() if part.kind == "text/plain"), "")
    text = _COPY.split(text, maxsplit=1)[0]
    names = [address.strip() for value in failed for address in value.split(",")]
    for pattern in _TEXT_RECIPIENTS:
        names = names or pattern.findall(text)
    status = _STATUS.search(text)
    diagnostic = " ".join(text.split())[:1000]
    unique = list(dict.fromkeys(name for name in names if "@" in name))[:MAX_RECIPIENTS]
    one = status.group(1) if status else None
    return tuple(Recipient(name[:320], None, one, diagnostic) for name in unique) or (
        Recipient(None, None, one, diagnostic),
    )


def _recipient(group: Fields) -> Recipient:
    # The address we wrote is the original one; a forwarder's final recipient is somebody else's (BNC-7).
    address = plain_address(group.first("original-recipient")) or plain_address(
        group.first("final-recipient")
    )
    action = (group.first("action") or "").split("(")[0].strip().lower()
    diagnostic = typed(group.first("diagnostic-code") or "")[:1000]
    status = _STATUS.search(group.first("status") or "") or _STATUS.search(diagnostic)
    return Recipient(address, action[:40] or None, status.group(1) if status else None, diagnostic)


def _is_null(mail: Part) -> bool:
    return (mail.fields.first("return-path") or "").strip() == "<>"
