"""Mails for the tests of fbl: written here, shaped like real ones."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys

KEYS = TokenKeys({1: b"k" * 32})
TOKEN = Token(7, 3, UUID("01900000-0000-7000-8000-000000000001"))
DOMAIN = "mail.example.com"


def minted(purpose: Purpose, token: Token = TOKEN) -> str:
    return KEYS.mint(purpose, token)


def crlf(text: str) -> bytes:
    return text.lstrip("\n").replace("\n", "\r\n").encode()


def our_headers(token: Token = TOKEN) -> dict[str, str]:
    """The headers of one of our mails that carry the token, one line each."""
    return {
        "Return-Path": f"<b+{minted(Purpose.BOUNCE, token)}@{DOMAIN}>",
        "Message-ID": f"<{minted(Purpose.MESSAGE_ID, token)}@{DOMAIN}>",
        "List-Unsubscribe": (
            f"<https://links.example.com/u/{minted(Purpose.UNSUBSCRIBE, token)}>,"
            f" <mailto:u+{minted(Purpose.MAIL_UNSUBSCRIBE, token)}@{DOMAIN}?subject=unsubscribe>"
        ),
        "CFBL-Feedback-ID": minted(Purpose.CFBL, token),
        "X-Mailmaker-Token": minted(Purpose.X_HEADER, token),
    }


def feedback_report(
    returned: str,
    *,
    kind: str = "abuse",
    part: str = "text/rfc822-headers",
    fields: str = "",
    encoding: str = "7bit",
) -> bytes:
    return crlf(f"""
From: <feedback@provider.example>
To: <fbl@{DOMAIN}>
Subject: FW: Earn money
Message-ID: <report-1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
 boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 0.1
{fields}
--part1_13d.2e68ed54_boundary
Content-Type: {part}
Content-Transfer-Encoding: {encoding}

{returned}

--part1_13d.2e68ed54_boundary--
""")


def delivery_report(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <ada@example.com>: user unknown",
    original: str | None = None,
    extra: str = "",
) -> bytes:
    first = f"Original-Recipient: rfc822;{original}\n" if original else ""
    return crlf(f"""
Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: b+token@{DOMAIN}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <dsn-1@mx.example.com>
MIME-Version: 1.0
Content-Type: MULTIPART/Report; REPORT-TYPE=delivery-status;
\tboundary="AAA.1"

This is a MIME-encapsulated message.

--AAA.1
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--AAA.1
Content-Description: Delivery report
Content-Type: Message/Delivery-Status

REPORTING-MTA: dns; mx.example.com
Arrival-Date: Tue, 24 Nov 2026 10:00:00 +0000

{first}final-RECIPIENT: rfc822; ada@example.com
ACTION: {action}
Status: {status}
Diagnostic-Code: {diagnostic}
{extra}
--AAA.1
Content-Type: text/rfc822-headers

Subject: Sale
Message-ID: <original-1@{DOMAIN}>

--AAA.1--
""")


APPLE_UNSUBSCRIBE = crlf(f"""
Return-Path: <ada@icloud.example>
From: Ada <ada@icloud.example>
To: u+token@{DOMAIN}
Subject: unsubscribe
Message-ID: <apple-1@icloud.example>
Auto-Submitted: auto-replied
X-Apple-Unsubscribe: true
Content-Type: text/plain; charset=us-ascii

""")

VACATION = crlf(f"""
From: Ada <ada@example.com>
To: b+token@{DOMAIN}
Subject: =?utf-8?Q?Fuori_ufficio?= fino a lunedi
Message-ID: <vacation-1@example.com>
Auto-Submitted: auto-replied (vacation)
Content-Type: text/plain

Torno presto. 550 5.1.1 user unknown is only quoted here.
""")
