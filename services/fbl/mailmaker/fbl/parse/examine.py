"""fbl.parse.examine: reads a mail and says what it is."""

from __future__ import annotations

import re

from mailmaker.fbl.domain.findings import Findings, Recipient, Shape
from mailmaker.fbl.parse.delivery import delivery_report, text_bounce
from mailmaker.fbl.parse.feedback import feedback, returned_fields
from mailmaker.fbl.parse.fields import Fields, words
from mailmaker.fbl.parse.mime import Limits, Part, read_mail
from mailmaker.fbl.parse.traces import traces

_VACATION = re.compile(
    r"out of (?:the )?office|automatic reply|auto(?:matic)?[- ]?(?:reply|response|antwort)|^auto:|vacation|on holiday"
    r"|abwesen|fuori (?:sede|ufficio)|risposta automatica|assenza dall|r[ée]ponse automatique|ausencia",
    re.IGNORECASE,
)
_AUTO_FIELDS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-response", "x-mail-autoreply")


def examine(raw: bytes, limits: Limits = Limits()) -> Findings:  # noqa: B008
    """What a mail says. Raises Unreadable when it breaks a limit."""
    mail = read_mail(raw, limits)
    returned = returned_fields(mail)
    report = feedback(mail)
    if report is not None:
        return _findings(
            "feedback_report", mail, returned, raw, feedback_type=report.type, address=report.address
        )
    recipients = delivery_report(mail)
    if recipients is not None:
        return _findings("delivery_report", mail, returned, raw, recipients)
    if "x-apple-unsubscribe" in mail.fields:
        return _findings("unsubscribe", mail, returned, raw)
    # Exim marks its bounces `Auto-Submitted: auto-replied`: who says it failed comes before who says it is automatic.
    recipients = text_bounce(mail)
    if recipients is not None:
        return _findings("text_bounce", mail, returned, raw, recipients)
    if _is_auto_reply(mail.fields):
        return _findings("auto_reply", mail, returned, raw)
    return _findings("other", mail, returned, raw)


def _findings(
    shape: Shape,
    mail: Part,
    returned: Fields,
    raw: bytes,
    recipients: tuple[Recipient, ...] = (),
    *,
    feedback_type: str | None = None,
    address: str | None = None,
) -> Findings:
    named = [one.address for one in recipients if one.address is not None]
    return Findings(
        shape=shape,
        message_id=_message_id(mail.fields),
        feedback_type=feedback_type,
        recipients=recipients,
        traces=traces(returned, raw),
        address=address or (named[0] if named else None),
        original_message_id=_message_id(returned),
    )


def _message_id(fields: Fields) -> str | None:
    value = fields.first("message-id")
    return value[:500] or None if value else None


def _is_auto_reply(fields: Fields) -> bool:
    # X-Auto-Response-Suppress asks for silence; it does not mark a reply (LOOP-1).
    submitted = (fields.first("auto-submitted") or "no").split(";")[0].strip().lower()
    if submitted.startswith("auto-replied") or any(name in fields for name in _AUTO_FIELDS):
        return True
    if (fields.first("precedence") or "").strip().lower() in ("auto_reply", "auto-reply"):
        return True
    return bool(_VACATION.search(words(fields.first("subject"))))
