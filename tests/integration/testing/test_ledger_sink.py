"""The oracle: what the sink answers 250 is on disk before, in order, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from mailmaker.common.testing.book import Keep
from mailmaker.common.testing.ledger import BYTES, LEDGER, Ledger
from mailmaker.common.testing.sink import Sink

HEAD = b"Message-ID: <m1@example.com>\r\nX-Mailmaker-Token: tok\r\nSubject: dots\r\n\r\n"
MAIL = HEAD + b".one\r\n..\r\nMessage-ID: no\r\n"


def stuffed(message: bytes) -> bytes:
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in message.split(b"\r\n"))


def transaction(recipient: bytes, message: bytes = MAIL) -> bytes:
    envelope = b"MAIL FROM:<b+tok@example.com> BODY=8BITMIME\r\nRCPT TO:<" + recipient + b">\r\nDATA\r\n"
    return envelope + stuffed(message) + b".\r\n"


@pytest_asyncio.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Sink]:
    sink = Sink(tmp_path, Keep(1), lambda rcpt: b"450 4.2.1 later\r\n" if rcpt.startswith("later") else None)
    await sink.listen()
    yield sink
    await sink.close()


async def talk(port: int, said: bytes, answers: int) -> list[bytes]:
    """Says everything at once and reads so many final answer lines (greeting included)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    lines: list[bytes] = []
    while len(lines) < answers:
        line = await asyncio.wait_for(reader.readline(), 10)
        assert line
        if line[3:4] == b" ":
            lines.append(line[:3])
    writer.close()
    await writer.wait_closed()
    return lines


async def test_pipelined_transactions_are_answered_in_order_and_kept(sink: Sink, tmp_path: Path) -> None:
    said = b"EHLO us\r\n" + transaction(b"a@x.it") + transaction(b"b@x.it", b".\r\n") + b"QUIT\r\n"
    codes = await talk(sink.port, said, 11)
    assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 2, b"221"]
    ledger = Ledger(tmp_path)
    first, second = ledger.load()
    assert first.recipients == ("a@x.it",)
    assert first.mail_from == "b+tok@example.com"
    assert (first.message_id, first.token) == ("<m1@example.com>", "tok")
    assert first.accepted
    assert first.begun_utc <= (first.ended_utc or 0)
    assert ledger.message(first) == MAIL
    assert first.sha256 == hashlib.sha256(MAIL).hexdigest()
    assert ledger.message(second) == b".\r\n"


async def test_what_comes_in_single_bytes_is_the_same(sink: Sink, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    for byte in b"EHLO us\r\n" + transaction(b"a@x.it") + b"QUIT\r\n":
        writer.write(bytes((byte,)))
        await writer.drain()
    assert b"221" in await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert [Ledger(tmp_path).message(one) for one in Ledger(tmp_path)] == [MAIL]


async def test_bare_line_ends_never_end_a_message(sink: Sink, tmp_path: Path) -> None:
    body = b"x\r\n\n.\n y\n.\r\nz\r.\rw\r.\r\n"
    said = b"EHLO us\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.it>\r\nDATA\r\n" + body + b".\r\n"
    assert (await talk(sink.port, said, 6))[-1] == b"250"
    (only,) = Ledger(tmp_path).load()
    assert only.mail_from == ""
    assert Ledger(tmp_path).message(only) == body


async def test_a_broken_send_is_written_down_as_begun_only(sink: Sink, tmp_path: Path) -> None:
    said = b"EHLO us\r\nMAIL FROM:<b@x.it>\r\nRCPT TO:<a@x.it>\r\nDATA\r\nSubject: half"
    assert (await talk(sink.port, said, 5))[-1] == b"354"
    ledger = Ledger(tmp_path)
    for _ in range(100):
        if ledger.count():
            break
        await asyncio.sleep(0.02)
    (only,) = ledger.load()
    assert not only.accepted
    assert only.recipients == ("a@x.it",)


async def test_scripted_refusals_and_wrong_order(sink: Sink, tmp_path: Path) -> None:
    said = b"EHLO us\r\nDATA\r\nMAIL FROM:<b@x.it>\r\nRCPT TO:<later@x.it>\r\nDATA\r\nRSET\r\nWHAT\r\n"
    codes = await talk(sink.port, said, 8)
    assert codes == [b"220", b"250", b"503", b"250", b"450", b"503", b"250", b"500"]
    assert Ledger(tmp_path).load() == []


async def test_a_torn_last_line_is_left_out(sink: Sink, tmp_path: Path) -> None:
    await talk(sink.port, b"EHLO us\r\n" + transaction(b"a@x.it"), 6)
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(b"[2,1,")
    assert len(Ledger(tmp_path).load()) == 1


async def test_killed_it_keeps_what_it_answered_and_starts_again(tmp_path: Path) -> None:
    for round_ in (1, 2):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mailmaker.common.testing.sink",
            "--dir",
            str(tmp_path),
            "--keep-bytes",
            "all",
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        told = await asyncio.wait_for(process.stdout.readline(), 30)
        port = int(told.decode().rpartition(":")[2])
        assert (await talk(port, b"EHLO us\r\n" + transaction(b"a@x.it"), 6))[-1] == b"250"
        os.kill(process.pid, signal.SIGKILL if round_ == 1 else signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)
    ledger = Ledger(tmp_path)
    assert [ledger.message(one) for one in ledger] == [MAIL, MAIL]
    assert (tmp_path / BYTES).stat().st_size == 2 * len(MAIL)
