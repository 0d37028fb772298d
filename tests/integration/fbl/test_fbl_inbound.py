"""What the SMTP door promises: 250 means kept, and a "no" is never lost on the way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from fbl_house import Fbl
from mailmaker.common.mail.tokens import Purpose, Token
from mailmaker.common.storage.ids import NOBODY, new_id

MAIL = b"From: x@y.example\r\nSubject: unsubscribe\r\nMessage-ID: <one@y.example>\r\n\r\n"
APPLE = b"Auto-Submitted: auto-replied\r\nX-Apple-Unsubscribe: true\r\n" + MAIL
REPORT = b'Content-Type: multipart/report; report-type="delivery-status";\r\n\tboundary=b\r\n' + MAIL
HANDOVERS = "SELECT account_id, target, path, body FROM handovers ORDER BY created_at"
REPORTS = "SELECT * FROM reports ORDER BY id"


@pytest.mark.parametrize(
    "mail", [MAIL, APPLE, b"", b"\r\n", b"Content-Type: text/html\r\n\r\n<p>leave me alone"]
)
async def test_an_unsubscribe_mail_is_a_no_by_its_rcpt_alone(fbl: Fbl, mail: bytes) -> None:
    rcpt = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    assert await fbl.send(rcpt.upper(), mail, "somebody@else.example") == (250, b"2.0.0 kept")
    (handed,) = await fbl.rows(HANDOVERS)
    assert (handed["account_id"], handed["target"], handed["path"]) == (
        fbl.account,
        "suppression",
        "/internal/nos",
    )
    (report,) = await fbl.rows(REPORTS)
    no = handed["body"]
    assert no["id"] == str(report["id"])
    assert (no["door"], no["reason"], no["contact_id"]) == ("mail", "unsubscribe", str(fbl.token.contact_id))
    assert no["mailing_number"] == 3
    assert (report["kind"], report["acted"], report["state"]) == ("unsubscribe", "suppressed", "settled")
    assert report["rcpt"] == rcpt
    (event,) = await fbl.rows("SELECT topic, headers FROM outbox")
    assert event["headers"]["ce_type"] == "opt_out.requested"


@pytest.mark.parametrize(("mail", "sender"), [(MAIL, ""), (REPORT, "ada@example.com"), (REPORT, "")])
async def test_a_bounce_to_the_unsubscribe_address_is_no_opt_out(fbl: Fbl, mail: bytes, sender: str) -> None:
    assert (await fbl.send(fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE), mail, sender))[0] == 250
    await fbl.settler.settle_some()
    assert await fbl.rows(HANDOVERS) == []
    (report,) = await fbl.rows(REPORTS)
    assert report["acted"] == "ignored"
    assert report["account_id"] == fbl.account


async def test_the_same_mail_again_is_recognised(fbl: Fbl) -> None:
    rcpt = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    answers = await asyncio.gather(*(fbl.send(rcpt, MAIL) for _ in range(4)))
    assert {code for code, _ in answers} == {250}
    assert await fbl.send(rcpt, MAIL) == (250, b"2.0.0 kept before")
    assert len(await fbl.rows(HANDOVERS)) == 1
    other = replace(fbl.token, contact_id=new_id())
    assert await fbl.send([rcpt, fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE, other)], MAIL) == (250, b"2.0.0 kept")
    assert len(await fbl.rows(HANDOVERS)) == 2
    assert len(await fbl.rows("SELECT 1 FROM raws")) == 1


async def test_what_is_not_ours_is_refused_in_the_session(fbl: Fbl) -> None:
    good = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    forged = f"u+{'a' * 56}@mail.example.com"
    for rcpt in (
        forged,
        good.replace("u+", "b+"),
        "info@mail.example.com",
        "fbl@elsewhere.example",
        f"{good}@elsewhere.example",
        "someone%elsewhere.example@mail.example.com",
    ):
        code, text = await fbl.send(rcpt, MAIL)
        assert (code, text[:5]) in ((550, b"5.1.1"), (553, b"5.1.3")), rcpt
    assert await fbl.send([forged, good], MAIL) == (250, b"2.0.0 kept")
    assert len(await fbl.rows(REPORTS)) == 1


async def test_roles_are_accepted_and_kept_for_the_operator(fbl: Fbl) -> None:
    for role in ("FBL", "abuse", "Postmaster"):
        assert (await fbl.send(f"{role}@mail.example.com", MAIL, ""))[0] == 250
    assert (await fbl.send("postmaster", MAIL))[0] == 250
    assert await fbl.settler.settle_some() == 4
    rows = await fbl.rows(REPORTS)
    assert {(row["account_id"], row["acted"], row["attributed"]) for row in rows} == {
        (NOBODY, "queued_for_operator", False)
    }
    assert [row["kind"] for row in rows] == ["other", "abuse", "other", "other"]


async def test_too_large_a_mail_is_told_so_and_a_smaller_one_is_a_no(fbl: Fbl) -> None:
    rcpt = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    line = b"x" * 70 + b"\r\n"
    assert (await fbl.send(rcpt, MAIL + line * 20_000))[0] == 552
    assert (await fbl.send(rcpt, MAIL + b"y" * 500_000))[0] in (500, 552)
    reader, writer = await asyncio.open_connection("127.0.0.1", fbl.server.port)
    writer.write(b"EHLO me\r\nMAIL FROM:<a@b.example> SIZE=30000000\r\nQUIT\r\n")
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b"SIZE 1000000" in said
    assert b"\r\n552" in said
    assert await fbl.rows(REPORTS) == []
    assert (await fbl.send(rcpt, MAIL))[0] == 250


async def test_storage_away_is_451_and_nothing_is_half_kept(fbl: Fbl) -> None:
    rcpt = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    await fbl.db.close()
    assert (await fbl.send(rcpt, MAIL))[0] == 451
    await fbl.db.open()
    assert await fbl.rows(REPORTS) == []
    assert (await fbl.send(rcpt, MAIL))[0] == 250


async def test_a_known_account_needs_no_contacts_and_an_unknown_one_is_asked_for(fbl: Fbl) -> None:
    assert (await fbl.send(fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE), MAIL))[0] == 250
    fbl.contacts.away = True
    assert (await fbl.send(fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE), APPLE))[0] == 250
    stranger = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE, Token(8, 1, new_id()))
    assert (await fbl.send(stranger, MAIL))[0] == 451
    fbl.contacts.away = False
    fbl.contacts.open(8)
    assert (await fbl.send(stranger, MAIL))[0] == 250
    assert len(await fbl.rows(HANDOVERS)) == 3


SEQUENCES = [b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r"]


@pytest.mark.parametrize("sequence", SEQUENCES)
async def test_no_bare_line_end_ends_a_mail(fbl: Fbl, sequence: bytes) -> None:
    first, second = (
        fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE),
        fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE, replace(fbl.token, contact_id=new_id())),
    )
    body = (
        MAIL
        + b"one"
        + sequence
        + f"MAIL FROM:<b@c.example>\r\nRCPT TO:<{second}>\r\nDATA\r\nsmuggled".encode()
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", fbl.server.port)
    writer.write(b"EHLO me\r\n")
    await asyncio.sleep(0)
    writer.write(f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{first}>\r\nDATA\r\n".encode())
    writer.write(body + b"\r\n.\r\nQUIT\r\n")
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert said.count(b"2.0.0 kept") <= 1
    reports = await fbl.rows(REPORTS)
    assert [report["rcpt"] for report in reports] in ([], [first])


async def test_sessions_and_recipients_are_bounded(fbl: Fbl) -> None:
    open_ones = [await asyncio.open_connection("127.0.0.1", fbl.server.port) for _ in range(5)]
    for reader, _ in open_ones:
        assert (await asyncio.wait_for(reader.readline(), 10))[:3] == b"220"
    reader, writer = await asyncio.open_connection("127.0.0.1", fbl.server.port)
    assert (await asyncio.wait_for(reader.read(), 10))[:3] == b"421"
    for _, one in [*open_ones, (reader, writer)]:
        one.close()
    await _until(lambda: fbl.server._sessions == 0)
    rcpts = [fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE, replace(fbl.token, contact_id=new_id())) for _ in range(101)]
    assert (await fbl.send(rcpts, MAIL))[0] == 250
    assert len(await fbl.rows(HANDOVERS)) == 100


async def test_a_mail_that_goes_in_circles_is_refused(fbl: Fbl) -> None:
    hops = b"Received: from a by b\r\n" * 51
    assert (await fbl.send("abuse@mail.example.com", hops + MAIL))[0] == 554


async def test_raw_is_kept_byte_by_byte(fbl: Fbl) -> None:
    mail = MAIL + b"..dots\r\n.\xff\xfe not text\r\n\tend\r\n"
    assert (await fbl.send("abuse@mail.example.com", mail))[0] == 250
    (raw,) = await fbl.rows("SELECT sha256, body FROM raws")
    assert raw["body"] == mail
    assert raw["sha256"] == hashlib.sha256(mail).digest()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
