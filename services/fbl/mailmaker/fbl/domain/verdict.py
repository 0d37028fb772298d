"""fbl.domain.verdict: what follows from a mail: its kind, what we do, and the "no" in it, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailmaker.common.contracts.suppressions import Door, Reason
from mailmaker.fbl.domain.category import UNKNOWN, Category, category_of
from mailmaker.fbl.domain.findings import Findings, Recipient
from mailmaker.fbl.domain.mailbox import Box

Kind = Literal["bounce", "complaint", "unsubscribe", "auto_reply", "abuse", "other"]
Acted = Literal["suppressed", "counted", "quarantined", "ignored", "queued_for_operator"]

# RFC 5965 section 7.3, RFC 6430, RFC 6591: these speak of the message or of the server, not for the person.
_SILENT_TYPES = frozenset({"not-spam", "auth-failure", "dmarc"})
_OPERATORS_TYPES = frozenset({"virus"})
_FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Judged:
    """One recipient with its category; `category` is None where nothing failed."""

    recipient: Recipient
    category: Category | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is None where the mail holds no "no"."""

    kind: Kind
    acted: Acted
    reason: Reason | None = None
    door: Door = "fbl"
    judged: tuple[Judged, ...] = ()


def asks_to_unsubscribe(mail_from: str, content_type: str) -> bool:
    """Whether a mail to an unsubscribe address is an opt-out: anything is, but what a machine sends back.

    The token in the RCPT is the authority; From, Subject, body and Auto-Submitted (Apple sends auto-replied) say
    nothing (UNS-9). A null sender or a report is a bounce of something we never sent from there (UNS-10).
    """
    return bool(mail_from) and content_type.lower() != "multipart/report"


def judge(box: Box, findings: Findings, *, attributed: bool) -> Verdict:
    """The verdict on a parsed mail. `attributed`: a token of ours, in the RCPT or in the mail, says whose mail it was."""
    match findings.shape:
        case "feedback_report":
            return _complaint(box, findings, attributed)
        case "delivery_report" | "text_bounce":
            return _bounce(box, findings, attributed)
        case "auto_reply":
            return Verdict("auto_reply", "ignored")
        case "unsubscribe":
            return Verdict("unsubscribe", "queued_for_operator")
    if box is Box.UNSUBSCRIBE:
        return Verdict("other", "ignored")
    return Verdict("abuse" if box is Box.ABUSE else "other", "queued_for_operator")


def _complaint(box: Box, findings: Findings, attributed: bool) -> Verdict:
    if box is Box.UNSUBSCRIBE or findings.feedback_type in _SILENT_TYPES:
        return Verdict("complaint", "ignored")
    if not attributed or findings.feedback_type in _OPERATORS_TYPES:
        return Verdict("complaint", "queued_for_operator")
    return Verdict("complaint", "suppressed", "complaint", "abuse" if box is Box.ABUSE else "fbl")


def _bounce(box: Box, findings: Findings, attributed: bool) -> Verdict:
    judged = tuple(
        Judged(one, category_of(one) if one.action in (None, _FAILED) else None)
        for one in findings.recipients
    )
    failed = [one.category for one in judged if one.category is not None]
    if judged and not failed:
        # Delayed, relayed, expanded, delivered: nothing has failed (BNC-7).
        return Verdict("auto_reply", "ignored", judged=judged)
    if box is Box.UNSUBSCRIBE:
        return Verdict("bounce", "ignored", judged=judged)
    if not attributed:
        return Verdict("bounce", "queued_for_operator", judged=judged)
    # Only a proper report to the message's own return path speaks for the address; free text is counted.
    sure = box is Box.BOUNCE and findings.shape == "delivery_report" and bool(failed)
    if sure and all(category.permanent for category in failed):
        return Verdict("bounce", "suppressed", "hard_bounce", judged=judged)
    return Verdict("bounce", "counted", judged=judged)


def main_category(verdict: Verdict) -> Category:
    """The category a bounce is told by: the first failed recipient's."""
    return next((one.category for one in verdict.judged if one.category is not None), UNKNOWN)
