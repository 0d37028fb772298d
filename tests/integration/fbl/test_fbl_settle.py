"""Kept mails are read, and what they say is done, once; a mail that kills its reader is set aside."""

from __future__ import annotations

import os
import signal

from fbl_house import Fbl
from mailmaker.common.mail.tokens import Purpose
from mailmaker.common.storage.ids import NOBODY

REPORTS = "SELECT * FROM reports ORDER BY id"
HANDOVERS = "SELECT account_id, body FROM handovers ORDER BY created_at"
EVENTS = "SELECT account_id, headers ->> 'ce_type' AS type FROM outbox ORDER BY id"


def arf(returned: str, kind: str = "abuse") -> bytes:
    return "\r\n".join(
        (
            "From: feedback@provider.example",
            "Message-ID: <arf-1@provider.example>",
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"',
            "",
            "--b",
            "Content-Type: message/feedback-report",
            "",
            f"Feedback-Type: {kind}",
            "Version: 1",
            "",
            "--b",
            "Content-Type: text/rfc822-headers",
            "",
            returned,
            "",
            "--b--",
            "",
        )
    ).encode()


def dsn(action: str = "failed", status: str = "5.1.1") -> bytes:
    return "\r\n".join(
        (
            "From: mailer-daemon@mx.example",
            'Content-Type: multipart/report; boundary="b"',
            "",
            "--b",
            "Content-Type: message/delivery-status",
            "",
            "Reporting-MTA: dns; mx.example",
            "",
            "Final-Recipient: rfc822; ada@example.com",
            f"Action: {action}",
            f"Status: {status}",
            "",
            "--b--",
            "",
        )
    ).encode()


async def test_a_complaint_is_attributed_by_any_token_and_moves_to_its_account(fbl: Fbl) -> None:
    token = fbl.keys.mint(Purpose.CFBL, fbl.token)
    assert (await fbl.send("fbl@mail.example.com", arf(f"CFBL-Feedback-ID: {token}"), "f@provider.example"))[
        0
    ] == 250
    assert await fbl.settler.settle_some() == 1
    (report,) = await fbl.rows(REPORTS)
    assert (report["account_id"], report["kind"], report["acted"]) == (fbl.account, "complaint", "suppressed")
    assert (report["token"], report["feedback_type"], report["attributed"]) == (token, "abuse", True)
    (handed,) = await fbl.rows(HANDOVERS)
    assert handed["account_id"] == fbl.account
    no = handed["body"]
    assert (no["reason"], no["scope"], no["door"]) == ("complaint", "account", "fbl")
    assert no["contact_id"] == str(fbl.token.contact_id)
    assert await fbl.rows("SELECT account_id FROM raws") == [{"account_id": fbl.account}]
    assert await fbl.rows(EVENTS) == [{"account_id": fbl.account, "type": "complaint.received"}]
    # The provider missed our 250 and sends again.
    assert await fbl.send("fbl@mail.example.com", arf(f"CFBL-Feedback-ID: {token}")) == (
        250,
        b"2.0.0 kept before",
    )


async def test_forged_and_silent_reports_suppress_nobody(fbl: Fbl) -> None:
    token = fbl.keys.mint(Purpose.X_HEADER, fbl.token)
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    await fbl.send("fbl@mail.example.com", arf(f"X-Mailmaker-Token: {forged}"))
    await fbl.send("fbl@mail.example.com", arf(f"X-Mailmaker-Token: {token}", "not-spam"))
    assert await fbl.settler.settle_some() == 2
    assert await fbl.rows(HANDOVERS) == []
    first, second = await fbl.rows(REPORTS)
    assert (first["account_id"], first["acted"], first["token"]) == (NOBODY, "queued_for_operator", None)
    assert (second["account_id"], second["acted"]) == (fbl.account, "ignored")


async def test_bounces_by_their_token(fbl: Fbl) -> None:
    rcpt = fbl.rcpt(Purpose.BOUNCE)
    for mail in (dsn(), dsn(status="5.2.2"), dsn("delayed", "4.4.1")):
        assert (await fbl.send(rcpt, mail, ""))[0] == 250
    assert await fbl.settler.settle_some() == 3
    assert await fbl.settler.settle_some() == 0
    rows = await fbl.rows(REPORTS)
    assert [(row["kind"], row["acted"]) for row in rows] == [
        ("bounce", "suppressed"),
        ("bounce", "counted"),
        ("auto_reply", "ignored"),
    ]
    assert rows[0]["recipients"] == [
        {
            "address": "ada@example.com",
            "action": "failed",
            "status": "5.1.1",
            "category": "user_unknown",
            "permanent": True,
        }
    ]
    (handed,) = await fbl.rows(HANDOVERS)
    assert (handed["body"]["reason"], handed["body"]["id"]) == ("hard_bounce", str(rows[0]["id"]))
    assert [one["type"] for one in await fbl.rows(EVENTS)] == ["bounce.received", "bounce.received"]


async def test_a_mail_that_breaks_a_limit_or_its_reader_is_parked_with_raw(fbl: Fbl) -> None:
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 40
    await fbl.send("abuse@mail.example.com", deep)
    assert await fbl.settler.settle_some() == 1
    cell = fbl.settler._cell
    assert cell._child is not None
    os.kill(cell._child.pid, signal.SIGKILL)
    await fbl.send("abuse@mail.example.com", b"Subject: unlucky\r\n\r\n")
    await fbl.send("abuse@mail.example.com", b"Subject: next\r\n\r\n")
    assert await fbl.settler.settle_some() == 2
    rows = await fbl.rows(REPORTS)
    assert [(row["state"], row["error"]) for row in rows] == [
        ("parked", "too_deep"),
        ("parked", "parser_crashed"),
        ("settled", None),
    ]
    assert len(await fbl.rows("SELECT 1 FROM raws")) == 3
    assert await fbl.settler.settle_some() == 0


async def test_a_report_whose_owner_cannot_be_told_waits(fbl: Fbl) -> None:
    token = fbl.keys.mint(Purpose.CFBL, fbl.token)
    await fbl.send("fbl@mail.example.com", arf(f"CFBL-Feedback-ID: {token}"))
    fbl.contacts.away = True
    assert await fbl.settler.settle_some() == 1
    (row,) = await fbl.rows(REPORTS)
    assert row["state"] == "waiting"
    fbl.contacts.away = False
    await fbl.rows("UPDATE reports SET claimed_until = now() - interval '1 s' RETURNING 1")
    assert await fbl.settler.settle_some() == 1
    (row,) = await fbl.rows(REPORTS)
    assert (row["state"], row["acted"]) == ("settled", "suppressed")
