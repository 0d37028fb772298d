"""The session's protocol on a transport of paper: what is written when, and what each end proves."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from mailmaker.dispatch.domain.last_look import LEASE_LOST, Refusal
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.reply import Answered, End, Unanswered, Withheld
from mailmaker.dispatch.relay.session import Session


class Paper(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after the end"
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def mail() -> Mail:
    return Mail(
        account_id=uuid4(),
        id=uuid4(),
        attempt_id=uuid4(),
        mailing_id=uuid4(),
        list_id=uuid4(),
        channel="email",
        subjects=(),
        attempts=0,
        first_try=None,
        valid_until=None,
        good_until=1e9,
        envelope=b"MAIL FROM:<b@x>\r\nRCPT TO:<a@y>\r\n",
        data=b"Subject: x\r\n\r\nbody\r\n.\r\n",
        domain="y",
        pooled=False,
    )


ENVELOPE = b"MAIL FROM:<b@x>\r\nRCPT TO:<a@y>\r\nDATA\r\n"


class Looks:
    """Says yes so many times, then no."""

    def __init__(self, yes: int) -> None:
        self.left = yes

    def __call__(self, _: Mail) -> Refusal | None:
        self.left -= 1
        return None if self.left >= 0 else LEASE_LOST


def opened(*, pipelining: bool = True) -> tuple[Session, Paper]:
    paper = Paper()
    return Session(paper, pipelining=pipelining, clock=lambda: 0.0), paper


def end_of(future: asyncio.Future[End]) -> End:
    assert future.done()
    return future.result()


async def test_one_write_for_the_envelope_one_for_the_body() -> None:
    session, paper = opened()
    end = session.transact(mail(), Looks(2))
    assert paper.written == [ENVELOPE]
    session.data_received(b"250 2.1.0 ok\r\n250-2.1.5 more\r\n250 2.1.5 o")
    session.data_received(b"k\r\n354 go\r\n")
    assert paper.written == [ENVELOPE, mail().data]
    assert not end.done()
    session.data_received(b"250 2.0.0 queued as 17\r\n")
    found = end_of(end)
    assert isinstance(found, Answered)
    assert (found.reply.code, found.reply.text) == (250, "queued as 17")
    assert session.usable


async def test_without_pipelining_each_command_waits_for_its_answer() -> None:
    session, paper = opened(pipelining=False)
    session.transact(mail(), Looks(2))
    for answer, count in ((b"250 ok\r\n", 2), (b"250 ok\r\n", 3), (b"354 go\r\n", 4)):
        session.data_received(answer)
        assert len(paper.written) == count


async def test_a_no_at_the_first_look_writes_nothing() -> None:
    session, paper = opened()
    assert isinstance(end_of(session.transact(mail(), Looks(0))), Withheld)
    assert paper.written == []
    assert session.usable


async def test_a_no_at_the_second_look_drops_the_connection_before_the_body() -> None:
    session, paper = opened()
    end = session.transact(mail(), Looks(1))
    session.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert isinstance(end_of(end), Withheld)
    assert paper.written == [ENVELOPE]
    assert paper.closed
    assert session.dead


@pytest.mark.parametrize(
    ("heard", "dot"),
    [
        (b"", False),
        (b"250 ok\r\n", False),
        (b"250 ok\r\n250 ok\r\n", False),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", True),
    ],
)
async def test_a_lost_connection_is_uncertain_only_after_the_dot(heard: bytes, dot: bool) -> None:
    session, _ = opened()
    end = session.transact(mail(), Looks(2))
    session.data_received(heard)
    session.connection_lost(None)
    found = end_of(end)
    assert isinstance(found, Unanswered)
    assert found.dot is dot


async def test_after_a_refusal_the_next_message_resets_first() -> None:
    session, paper = opened()
    end = session.transact(mail(), Looks(2))
    session.data_received(b"250 ok\r\n550 5.1.1 no\r\n554 5.5.1 nobody\r\n")
    found = end_of(end)
    assert isinstance(found, Answered)
    assert found.reply.code == 550
    session.transact(mail(), Looks(2))
    assert paper.written[1] == b"RSET\r\n" + ENVELOPE
    session.data_received(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n")
    session.transact(mail(), Looks(2))
    assert paper.written[-1] == ENVELOPE


async def test_a_goodbye_between_messages_closes_and_hurts_nobody() -> None:
    session, _ = opened()
    session.data_received(b"421 4.4.2 idle\r\n")
    assert session.dead
    assert isinstance(end_of(session.transact(mail(), Looks(2))), Unanswered)


@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 400 Bad\r\n", b"xx\r\n", b"x" * 70_000, b"250-endless\r\n" * 6000]
)
async def test_a_server_that_is_none_is_left(noise: bytes) -> None:
    session, paper = opened()
    end = session.transact(mail(), Looks(2))
    session.data_received(noise)
    assert paper.closed
    found = end_of(end)
    assert isinstance(found, Unanswered)
    assert not found.dot


async def test_an_abort_writes_nothing_more() -> None:
    session, paper = opened()
    end = session.transact(mail(), Looks(2))
    session.abort("the lease was lost")
    session.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert paper.written == [ENVELOPE]
    assert isinstance(end_of(end), Unanswered)
