"""What follows from a mail: who is suppressed, and who never is."""

from __future__ import annotations

import pytest
from fbl_mails import (
    APPLE_UNSUBSCRIBE,
    DOMAIN,
    KEYS,
    TOKEN,
    VACATION,
    delivery_report,
    feedback_report,
    minted,
)
from mailmaker.common.mail.tokens import Purpose
from mailmaker.fbl.domain.category import category_of
from mailmaker.fbl.domain.findings import Recipient
from mailmaker.fbl.domain.mailbox import Box, mailbox_of
from mailmaker.fbl.domain.report import same_message_id
from mailmaker.fbl.domain.verdict import asks_to_unsubscribe, judge, main_category
from mailmaker.fbl.parse.examine import examine

DOMAINS = frozenset({DOMAIN})
UNSUBSCRIBE = f"u+{minted(Purpose.MAIL_UNSUBSCRIBE)}@{DOMAIN}"
BOUNCE = f"b+{minted(Purpose.BOUNCE)}@{DOMAIN}"


@pytest.mark.parametrize(
    ("address", "box"),
    [
        (UNSUBSCRIBE, Box.UNSUBSCRIBE),
        (UNSUBSCRIBE.upper(), Box.UNSUBSCRIBE),
        (BOUNCE, Box.BOUNCE),
        (f"FBL@{DOMAIN.upper()}", Box.FBL),
        (f"abuse@{DOMAIN}.", Box.ABUSE),
        (f"Postmaster@{DOMAIN}", Box.POSTMASTER),
        ("postmaster", Box.POSTMASTER),
    ],
)
def test_our_mailboxes_in_any_case(address: str, box: Box) -> None:
    found = mailbox_of(address, DOMAINS, KEYS)
    assert found is not None
    assert found.box is box
    assert found.token == (TOKEN if box in (Box.UNSUBSCRIBE, Box.BOUNCE) else None)


@pytest.mark.parametrize(
    "address",
    [
        f"info@{DOMAIN}",
        "fbl@other.example",
        f"{UNSUBSCRIBE}.other.example",
        BOUNCE.replace("b+", "u+"),
        UNSUBSCRIBE.replace("u+", "b+"),
        f"u+@{DOMAIN}",
        f"u+{'a' * 56}@{DOMAIN}",
        f"u+{UNSUBSCRIBE[3:58]}@{DOMAIN}",
        f"u+{UNSUBSCRIBE[2:58][:-1]}{'a' if UNSUBSCRIBE[57] != 'a' else 'b'}@{DOMAIN}",
        "",
        "@",
        f"@{DOMAIN}",
        f"fbl%other.example@{DOMAIN}",
        f'"fbl"@{DOMAIN}',
        f"u+{minted(Purpose.UNSUBSCRIBE)}@{DOMAIN}",
    ],
)
def test_everything_else_is_refused(address: str) -> None:
    assert mailbox_of(address, DOMAINS, KEYS) is None


@pytest.mark.parametrize(
    ("mail_from", "content_type", "asks"),
    [
        ("ada@example.com", "text/plain", True),
        ("ada@example.com", "multipart/alternative", True),
        ("", "text/plain", False),
        ("ada@example.com", "multipart/report", False),
        ("x", "MULTIPART/REPORT", False),
    ],
)
def test_what_an_opt_out_by_mail_is(mail_from: str, content_type: str, asks: bool) -> None:
    assert asks_to_unsubscribe(mail_from, content_type) is asks


@pytest.mark.parametrize(
    ("status", "said", "name", "permanent"),
    [
        ("5.1.1", "550 5.1.1 user unknown", "user_unknown", True),
        ("5.1.10", "550 5.1.10 null MX", "domain_unknown", True),
        ("5.1.2", "", "domain_unknown", True),
        ("5.2.1", "mailbox disabled", "mailbox_disabled", True),
        ("5.0.0", "550 <ada@example.com> no such user here", "user_unknown", True),
        ("5.2.2", "552 5.2.2 mailbox full", "mailbox_full", False),
        ("4.2.2", "over quota", "mailbox_full", False),
        ("5.7.1", "554 5.7.1 message refused", "policy", False),
        ("5.1.1", "550 5.1.1 blocked using spamhaus", "spam", False),
        ("5.1.1", "550 5.1.1 rejected due to policy reasons", "policy", False),
        ("5.3.4", "message too big", "content", False),
        ("5.4.7", "delivery time expired", "expired", False),
        ("4.1.1", "450 4.1.1 user unknown", "user_unknown", False),
        ("5.0.0", "", "unknown", False),
        (None, "", "unknown", False),
        (None, "550 unknown user", "user_unknown", True),
        ("5.9.9", "what", "unknown", False),
    ],
)
def test_only_an_unknown_address_is_permanent(
    status: str | None, said: str, name: str, permanent: bool
) -> None:
    found = category_of(Recipient("ada@example.com", "failed", status, said))
    assert (found.name, found.permanent) == (name, permanent)


def verdict(raw: bytes, box: Box, attributed: bool = True) -> tuple[str, str, str | None]:
    found = judge(box, examine(raw), attributed=attributed)
    return found.kind, found.acted, found.reason


@pytest.mark.parametrize(
    ("raw", "box", "attributed", "follows"),
    [
        (delivery_report(), Box.BOUNCE, True, ("bounce", "suppressed", "hard_bounce")),
        (delivery_report(), Box.UNSUBSCRIBE, True, ("bounce", "ignored", None)),
        (delivery_report(), Box.FBL, True, ("bounce", "counted", None)),
        (delivery_report(), Box.FBL, False, ("bounce", "queued_for_operator", None)),
        (
            delivery_report(status="5.7.1", diagnostic="smtp; 554 policy"),
            Box.BOUNCE,
            True,
            ("bounce", "counted", None),
        ),
        (
            delivery_report(status="5.2.2", diagnostic="smtp; 552 full"),
            Box.BOUNCE,
            True,
            ("bounce", "counted", None),
        ),
        (
            delivery_report(action="delayed", status="4.4.1"),
            Box.BOUNCE,
            True,
            ("auto_reply", "ignored", None),
        ),
        (
            delivery_report(action="relayed (to a far place)", status="2.0.0"),
            Box.BOUNCE,
            True,
            ("auto_reply", "ignored", None),
        ),
        (VACATION, Box.BOUNCE, True, ("auto_reply", "ignored", None)),
        (VACATION, Box.UNSUBSCRIBE, True, ("auto_reply", "ignored", None)),
        (feedback_report("Subject: x"), Box.FBL, True, ("complaint", "suppressed", "complaint")),
        (feedback_report("Subject: x"), Box.BOUNCE, True, ("complaint", "suppressed", "complaint")),
        (feedback_report("Subject: x"), Box.FBL, False, ("complaint", "queued_for_operator", None)),
        (feedback_report("Subject: x"), Box.UNSUBSCRIBE, True, ("complaint", "ignored", None)),
        (
            feedback_report("Subject: x", kind="x-unheard-of"),
            Box.FBL,
            True,
            ("complaint", "suppressed", "complaint"),
        ),
        (
            feedback_report("Subject: x", kind="fraud"),
            Box.FBL,
            True,
            ("complaint", "suppressed", "complaint"),
        ),
        (feedback_report("Subject: x", kind="not-spam"), Box.FBL, True, ("complaint", "ignored", None)),
        (feedback_report("Subject: x", kind="Auth-Failure"), Box.FBL, True, ("complaint", "ignored", None)),
        (
            feedback_report("Subject: x", kind="virus"),
            Box.FBL,
            True,
            ("complaint", "queued_for_operator", None),
        ),
        (APPLE_UNSUBSCRIBE, Box.FBL, False, ("unsubscribe", "queued_for_operator", None)),
        (b"Subject: stop it\r\n\r\n!", Box.ABUSE, False, ("abuse", "queued_for_operator", None)),
        (b"Subject: hello\r\n\r\n!", Box.POSTMASTER, False, ("other", "queued_for_operator", None)),
        (b"Subject: hello\r\n\r\n!", Box.UNSUBSCRIBE, True, ("other", "ignored", None)),
    ],
)
def test_what_follows(raw: bytes, box: Box, attributed: bool, follows: tuple[str, str, str | None]) -> None:
    assert verdict(raw, box, attributed) == follows


def test_one_living_recipient_saves_the_address() -> None:
    second = "\nFinal-Recipient: rfc822; bob@example.com\nAction: failed\nStatus: 5.7.1\n"
    found = judge(Box.BOUNCE, examine(delivery_report(extra=second)), attributed=True)
    assert (found.acted, main_category(found).name) == ("counted", "user_unknown")


def test_a_complaint_at_abuse_says_so() -> None:
    assert judge(Box.ABUSE, examine(feedback_report("Subject: x")), attributed=True).door == "abuse"


def test_message_ids_are_found_with_and_without_brackets() -> None:
    assert same_message_id("<a@b>") == same_message_id("a@b") == ("<a@b>", "a@b")
