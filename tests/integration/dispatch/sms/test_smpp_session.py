"""One SMPP session against the local SMSC: how each submit ends, what is heard, who asks whether anybody is there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mailmaker.dispatch.domain.gsm7 import text_of
from mailmaker.dispatch.domain.last_look import LEASE_LOST, Refusal
from mailmaker.dispatch.sms import connect as connecting
from mailmaker.dispatch.sms import hearing
from mailmaker.dispatch.sms import session as talking
from mailmaker.dispatch.sms.codec import Unencodable
from mailmaker.dispatch.sms.compose import submissions
from mailmaker.dispatch.sms.connect import NotBound
from mailmaker.dispatch.sms.ends import Accepted, End, Refused, Throttled, Unanswered, Withheld
from mailmaker.dispatch.sms.link import Link
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.pdu import Address
from mailmaker.dispatch.sms.receipt import Receipt
from mailmaker.dispatch.sms.session import Session
from sms_client import ACME, Ears, bound, message, open_session, terms, until, yes
from smsc import DELIVER_SM, ENQUIRE_LINK, RESPONSE, SUBMIT_SM, UNBIND, Cut, Smsc, serving

AT = datetime(2024, 11, 23, 10, 5, tzinfo=UTC)
STATES = {1: "undeliverable", 2: "expired", 0: "delivered"}


def receipt(number: int, *, dated: bool = True) -> Receipt:
    return Receipt(str(number), STATES[number % 3], "", AT if dated else None)  # type: ignore[arg-type]


async def end_of(ending: asyncio.Future[End]) -> End:
    return await asyncio.wait_for(ending, 20)


async def test_binds_submits_and_unbinds_in_order() -> None:
    async with serving(Smsc()) as smsc:
        session = await open_session(smsc)
        assert await end_of(session.submit(message(b"Ciao"), yes)) == Accepted("1")
        await session.close(5)
        assert smsc.commands == [0x09, SUBMIT_SM, UNBIND]
        (entry,) = smsc.ledger
        assert (entry.source, entry.destination, entry.short_message) == ("Acme", "393330000001", b"Ciao")
        assert (entry.esm_class, entry.data_coding, entry.registered_delivery) == (0, 0, 1)
        assert not session.usable
        assert await end_of(session.submit(message(), yes)) == Unanswered(False, "the session was closed")
        assert len(smsc.ledger) == 1


async def test_the_parts_of_a_text_arrive_as_one_joined_message() -> None:
    text = "a" * 152 + "€" + "è" * 20
    async with serving(Smsc()) as smsc, bound(smsc) as session:
        for sm in submissions(ACME, Address(1, 1, "393331"), text, reference=0x1A9):
            assert isinstance(await end_of(session.submit(sm, yes)), Accepted)
        assert [entry.short_message for entry in smsc.ledger] == [
            b"\x05\x00\x03\xa9\x02\x01" + b"a" * 152,
            b"\x05\x00\x03\xa9\x02\x02" + b"\x1b\x65" + b"\x04" * 20,
        ]
        assert {entry.esm_class for entry in smsc.ledger} == {0x40}


@pytest.mark.parametrize("status", [0x0E, 0x0D])
async def test_a_refused_bind_says_why(status: int) -> None:
    async with serving(Smsc(bind_statuses=[status])) as smsc:
        with pytest.raises(NotBound) as refused:
            await open_session(smsc)
        assert refused.value.status == status
    with pytest.raises(NotBound, match="ConnectionRefusedError"):
        await open_session(smsc)


async def test_an_smsc_that_never_answers_the_bind_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.1)
    heard = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        heard.set()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NotBound, match="TimeoutError"):
            await open_session(Smsc(port=server.sockets[0].getsockname()[1]))
        await asyncio.wait_for(heard.wait(), 20)


async def test_the_last_look_is_asked_in_the_step_of_the_write_and_obeyed() -> None:
    looked: list[int] = []
    async with serving(Smsc()) as smsc, bound(smsc) as session:

        def no() -> Refusal:
            looked.append(session.outstanding)
            return LEASE_LOST

        ending = session.submit(message(), no)
        # Nothing was awaited: looked and ended already.
        assert looked == [0]
        assert ending.result() == Withheld(LEASE_LOST)
        assert session.outstanding == 0
        with pytest.raises(Unencodable):
            session.submit(message(bytes(255)), no)
        assert looked == [0]
        assert await end_of(session.submit(message(), yes)) == Accepted("1")
        assert [entry.id for entry in smsc.ledger] == [1]


async def test_no_more_than_the_window_is_ever_unanswered() -> None:
    async with serving(Smsc(holding=True)) as smsc, bound(smsc, agreed=terms(window=4)) as session:
        endings = [session.submit(message(number=n), yes) for n in range(4)]
        assert await end_of(session.submit(message(), yes)) == Unanswered(False, "the window is full")
        waiting = asyncio.create_task(session.room())
        await until(lambda: len(smsc.ledger) == 4)
        assert not waiting.done()
        # Answered the last first: each end finds its own submit.
        await smsc.release()
        assert [await end_of(ending) for ending in endings] == [Accepted(str(n)) for n in (1, 2, 3, 4)]
        assert await waiting is True
        smsc.holding = False

        async def lane() -> None:
            for n in range(50):
                while not isinstance(end := await when_there_is_room(session, n), Accepted):
                    assert end == Unanswered(False, "the window is full")

        await asyncio.gather(*(lane() for _ in range(8)))
        assert len(smsc.accepted) == 404
        assert smsc.most_unanswered == 4


async def when_there_is_room(session: Session, number: int) -> End:
    assert await session.room()
    return await end_of(session.submit(message(number=number), yes))


@pytest.mark.parametrize("status", [0x58, 0x14])
async def test_a_throttled_submit_may_go_again_and_the_pace_is_halved(status: int) -> None:
    pace = Pace(1000, time.monotonic, recovery=0.0)
    smsc = Smsc(refused={"393330000007": status})
    async with serving(smsc), bound(smsc, pace=pace) as session:
        end = await end_of(session.submit(message(number=7), yes))
        assert isinstance(end, Throttled)
        assert 0 < end.after <= 1.0
        assert pace.rate == 500
        assert smsc.accepted == []


async def test_a_refusal_keeps_its_status() -> None:
    async with serving(Smsc(refused={"393330000007": 0x0B})) as smsc, bound(smsc) as session:
        assert await end_of(session.submit(message(number=7), yes)) == Refused(0x0B)
        assert await end_of(session.submit(message(number=8), yes)) == Accepted("1")


async def test_no_answer_in_time_is_uncertain_and_the_session_goes_on() -> None:
    async with serving(Smsc(silent=True)) as smsc, bound(smsc, agreed=terms(1, answer_within=0.2)) as session:
        ending = session.submit(message(), yes)
        assert await end_of(ending) == Unanswered(True, "no answer in time")
        assert len(smsc.accepted) == 1
        smsc.silent = False
        assert await end_of(session.submit(message(), yes)) == Accepted("2")


async def test_a_late_answer_ends_nothing_twice() -> None:
    async with serving(Smsc(holding=True)) as smsc, bound(smsc, agreed=terms(answer_within=0.2)) as session:
        assert await end_of(session.submit(message(), yes)) == Unanswered(True, "no answer in time")
        await smsc.release()
        smsc.holding = False
        assert await end_of(session.submit(message(), yes)) == Accepted("2")


async def test_whoever_stops_waiting_leaves_the_window_true() -> None:
    async with serving(Smsc(holding=True)) as smsc, bound(smsc, agreed=terms(window=1)) as session:
        session.submit(message(), yes).cancel()
        assert session.outstanding == 1
        await until(lambda: smsc.ledger)
        await smsc.release()
        assert await asyncio.wait_for(session.room(), 20)
        assert session.outstanding == 0


@pytest.mark.parametrize(
    ("cut", "accepted"),
    [("unread", 0), ("before_answer", 1), ("half_answer", 1), ("between", 1), ("after_answer", 1)],
)
async def test_a_cut_link_is_uncertain_unless_the_answer_came(cut: Cut, accepted: int) -> None:
    ears = Ears()
    async with serving(Smsc(cuts={1: cut}, receipts="text")) as smsc, bound(smsc, ears) as session:
        end = await end_of(session.submit(message(), yes))
        if cut == "after_answer":
            assert end == Accepted("1")
        else:
            assert isinstance(end, Unanswered)
            assert end.sent
        assert len(smsc.accepted) == accepted
        await until(lambda: not session.usable)
        assert await session.room() is False
        # What was delivered before the cut was not answered, and is delivered again.
        async with bound(smsc, ears):
            await until(lambda: len(ears.receipts) >= accepted)
            assert set(ears.receipts) == ({receipt(1)} if accepted else set())
            assert [await d.status for d in smsc.reported] == [0] * accepted


async def test_all_that_was_outstanding_at_a_cut_is_uncertain() -> None:
    async with serving(Smsc(cuts={3: "before_answer"}, holding=True)) as smsc, bound(smsc) as session:
        endings = [session.submit(message(number=n), yes) for n in range(5)]
        await until(lambda: len(smsc.ledger) >= 2)
        smsc.link.writer.transport.abort()
        ends = [await end_of(ending) for ending in endings]
        assert all(isinstance(end, Unanswered) and end.sent for end in ends)


# Is anybody there?


async def test_a_silent_link_is_asked_and_a_dead_one_left() -> None:
    smsc = Smsc(silent=True)
    async with serving(smsc), bound(smsc, agreed=terms(10, 0.3, enquire_after=0.05)) as session:
        await until(lambda: smsc.commands.count(ENQUIRE_LINK) >= 3)
        assert session.usable
        smsc.deaf = True
        await until(lambda: not session.usable)
        assert session.why == "no answer to enquire_link"
        assert await end_of(session.submit(message(), yes)) == Unanswered(False, "the session was closed")


async def test_an_enquiry_is_answered() -> None:
    async with serving(Smsc()) as smsc, bound(smsc):
        smsc.link.ask()
        await until(lambda: ENQUIRE_LINK | RESPONSE in smsc.commands)


async def test_the_smscs_unbind_is_answered_and_what_was_outstanding_is_uncertain() -> None:
    async with serving(Smsc(silent=True)) as smsc, bound(smsc) as session:
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        smsc.link.write(UNBIND, 0, 77)
        assert await end_of(ending) == Unanswered(True, "the server unbound")
        await until(lambda: UNBIND | RESPONSE in smsc.commands)
        assert not session.usable


async def test_closing_waits_for_answers_and_unbinds_after_them() -> None:
    async with serving(Smsc(holding=True)) as smsc:
        session = await open_session(smsc)
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        closing = asyncio.create_task(session.close(20))
        await until(lambda: not session.usable)
        assert await end_of(session.submit(message(), yes)) == Unanswered(False, "the session was closed")
        assert UNBIND not in smsc.commands
        await smsc.release()
        assert await end_of(ending) == Accepted("1")
        await asyncio.wait_for(closing, 20)
        assert smsc.commands[-1] == UNBIND


async def test_closing_has_an_end_without_answers() -> None:
    async with serving(Smsc(silent=True)) as smsc:
        session = await open_session(smsc)
        ending = session.submit(message(), yes)
        await asyncio.wait_for(session.close(0.1), 20)
        assert await end_of(ending) == Unanswered(True, "unbound")
        await until(lambda: smsc.commands[-1] == UNBIND)


# What the SMSC delivers.


@pytest.mark.parametrize("early", [0, 1])
@pytest.mark.parametrize("form", ["text", "tlv", "both"])
async def test_receipts_name_their_message_in_every_form(form: str, early: int) -> None:
    ears = Ears()
    smsc = Smsc(receipts=form, early=early)  # type: ignore[arg-type]
    async with serving(smsc), bound(smsc, ears) as session:
        for n in (1, 2, 3):
            assert await end_of(session.submit(message(number=n), yes)) == Accepted(str(n))
        await until(lambda: len(ears.receipts) == 3)
        assert ears.receipts == [receipt(n, dated=form != "tlv") for n in (1, 2, 3)]
        assert [await delivery.status for delivery in smsc.reported] == [0, 0, 0]
        assert {entry.early for entry in smsc.ledger} == {bool(early)}


async def test_a_receipt_before_its_answer_is_told_after_it() -> None:
    ears = Ears()
    async with serving(Smsc(holding=True, receipts="text")) as smsc, bound(smsc, ears) as session:
        order: list[str] = []
        ending = session.submit(message(), yes)
        ending.add_done_callback(lambda _: order.append(f"ended, {len(ears.receipts)} told"))
        await until(lambda: smsc.ledger)
        delivery = smsc.report(smsc.ledger[0])
        # Delivered after the receipt, told before it: so the receipt has been read, and waits.
        smsc.say("393331", b"STOP")
        await until(lambda: ears.messages)
        assert ears.receipts == []
        assert not delivery.status.done()
        await smsc.release()
        assert await end_of(ending) == Accepted("1")
        await until(lambda: ears.receipts)
        assert order == ["ended, 0 told"]
        assert await delivery.status == 0


async def test_a_receipt_of_another_session_waits_only_for_what_was_on_its_way() -> None:
    ears = Ears()
    smsc = Smsc(receipts="text")
    async with serving(smsc), bound(smsc, ears) as session:
        assert await end_of(session.submit(message(), yes)) == Accepted("1")
        await until(lambda: len(ears.receipts) == 1)
        # Nothing is on its way: told at once.
        assert await smsc.report(smsc.ledger[0]).status == 0
        smsc.holding = True
        first = session.submit(message(), yes)
        await until(lambda: len(smsc.ledger) == 2)
        old = smsc.report(smsc.ledger[0])
        smsc.say("393331", b"STOP")
        await until(lambda: ears.messages)
        session.submit(message(), yes)
        await until(lambda: len(smsc.ledger) == 3)
        assert len(ears.receipts) == 2
        # The first of two is answered: the receipt came before the second, so it waits for that no more.
        smsc.receipts = "none"
        await smsc.release(1)
        assert await end_of(first) == Accepted("2")
        assert await old.status == 0
        assert ears.receipts == [receipt(1)] * 3
        assert session.outstanding == 1


async def test_a_held_receipt_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "HELD_FOR", 0.1)
    ears = Ears()
    smsc = Smsc(silent=True, receipts="text")
    async with serving(smsc), bound(smsc, ears, terms(answer_within=1.0)) as session:
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        assert await asyncio.wait_for(smsc.report(smsc.ledger[0]).status, 20) == 0
        assert ears.receipts == [receipt(1)]
        assert not ending.done()


async def test_what_the_listener_cannot_store_is_delivered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "TELL_TIMEOUT", 0.1)
    ears = Ears()
    async with serving(Smsc()) as smsc, bound(smsc, ears):
        ears.faults = [RuntimeError("no disk")]
        assert await smsc.say("393331", b"STOP").status == 0x64
        ears.gate.clear()
        assert await smsc.say("393331", b"STOP").status == 0x64
        ears.gate.set()
        assert ears.messages == []
        assert await smsc.say("393331", b"STOP").status == 0
        assert len(ears.messages) == 1


async def test_a_receipt_that_names_nothing_is_refused_for_good() -> None:
    ears = Ears()
    async with serving(Smsc()) as smsc, bound(smsc, ears):
        assert await smsc.say("393331", b"all is well", esm_class=0x04).status == 0x65
        assert (ears.receipts, ears.messages) == ([], [])


@pytest.mark.parametrize(
    ("said", "esm_class", "data_coding"),
    [
        (b"STOP", 0, 0),
        ("STOP".encode("utf-16-be"), 0, 8),
        (b"\x05\x00\x03\x01\x01\x01STOP", 0x40, 0),
    ],
)
async def test_a_stop_is_heard(said: bytes, esm_class: int, data_coding: int) -> None:
    ears = Ears()
    async with serving(Smsc()) as smsc, bound(smsc, ears):
        assert await smsc.say("393331", said, esm_class=esm_class, data_coding=data_coding).status == 0
        (sm,) = ears.messages
        assert text_of(sm.user_data, sm.data_coding) == "STOP"
        assert (sm.source.number, sm.destination.number) == ("393331", "48123")


async def test_a_slow_listener_slows_the_smsc_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MOST_TOLD", 5)
    ears = Ears()
    ears.gate.clear()
    async with serving(Smsc()) as smsc, bound(smsc, ears) as session:
        first = [smsc.say("393331", b"%d" % n) for n in range(5)]
        transport = session._transport
        assert isinstance(transport, asyncio.Transport)
        await until(lambda: not transport.is_reading())
        more = [smsc.say("393331", b"%d" % n) for n in range(5, 50)]
        ears.gate.set()
        assert [await asyncio.wait_for(d.status, 20) for d in first + more] == [0] * 50
        assert sorted(int(sm.user_data) for sm in ears.messages) == list(range(50))
        assert transport.is_reading()


# What is no SMPP.


async def test_what_is_not_understood_is_said_so_and_the_session_goes_on() -> None:
    async with serving(Smsc()) as smsc, bound(smsc) as session:
        smsc.link.write(0x102, 0, 5)
        smsc.link.write(DELIVER_SM, 0, 6, b"\0\1")
        smsc.link.write(SUBMIT_SM, 0, 7, b"\0" * 17)
        await until(lambda: len(smsc.nacks) == 3)
        assert smsc.nacks == [0x03, 0x02, 0x04]
        assert await end_of(session.submit(message(), yes)) == Accepted("1")


async def test_an_answer_that_cannot_be_read_is_uncertain() -> None:
    async with serving(Smsc(silent=True)) as smsc, bound(smsc) as session:
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        smsc.link.write(SUBMIT_SM | RESPONSE, 0, 2, b"no end")
        assert await end_of(ending) == Unanswered(True, "an answer that cannot be read")
        assert session.usable


async def test_a_nack_refuses_its_submit() -> None:
    async with serving(Smsc(silent=True)) as smsc, bound(smsc) as session:
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        smsc.link.write(RESPONSE, 0x02, 2)
        assert await end_of(ending) == Refused(0x02)


@pytest.mark.parametrize("length", [0, 15, 65_537, 0xFFFFFFFF])
async def test_a_lost_stream_is_closed(length: int) -> None:
    async with serving(Smsc(silent=True)) as smsc, bound(smsc) as session:
        ending = session.submit(message(), yes)
        await until(lambda: smsc.ledger)
        smsc.link.raw(length.to_bytes(4, "big"))
        end = await end_of(ending)
        assert isinstance(end, Unanswered)
        assert end.sent
        assert not session.usable
        await until(lambda: smsc.nacks == [0x02])


@contextlib.asynccontextmanager
async def not_reading() -> AsyncIterator[tuple[Smsc, asyncio.Event, list[asyncio.StreamWriter]]]:
    """A server that answers the bind and then reads nothing until the event; its buffers are small."""
    reading, writers = asyncio.Event(), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(bytes.fromhex("00000010 80000009 00000000 00000001"))
        writers.append(writer)
        await reading.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = await asyncio.start_server(serve, sock=listening, limit=1024)
    async with server:
        yield Smsc(port=listening.getsockname()[1]), reading, writers
        reading.set()
        for writer in writers:
            writer.transport.abort()


async def test_a_connection_that_takes_no_more_is_not_written_to() -> None:
    async with not_reading() as (smsc, reading, _), bound(smsc, agreed=terms(1_000_000)) as session:
        written = 0
        while session.outstanding == written and written < 500_000:
            session.submit(message(bytes(254)), yes)
            written += 1
        assert session.outstanding == written - 1
        waiting = asyncio.create_task(session.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        reading.set()
        assert await asyncio.wait_for(waiting, 20) is True


async def test_a_server_that_asks_and_never_reads_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "MOST_UNREAD", 100_000)
    async with not_reading() as (smsc, _, writers), bound(smsc) as session:
        await until(lambda: writers)
        asking = bytes.fromhex("00000010 00000015 00000000 00000001") * 10_000

        def ask() -> bool:
            if session.usable:
                writers[0].write(asking)
            return not session.usable

        await until(ask)
        assert session.why == "the server does not read"


# The link.


async def test_a_link_binds_again_with_back_off() -> None:
    async with serving(Smsc(bind_statuses=[0x0D, 0x0D])) as smsc:
        link = Link(lambda: open_session(smsc), first=0.01, longest=0.05)
        session = await asyncio.wait_for(link.session(), 20)
        assert session is not None
        assert (len(smsc.links), smsc.binds, link.binds) == (3, 1, 1)
        assert await link.session() is session
        smsc.link.writer.transport.abort()
        await until(lambda: not session.usable)
        one, other = await asyncio.wait_for(asyncio.gather(link.session(), link.session()), 20)
        assert one is other is not session
        assert smsc.binds == 2
        await link.close(5)
        assert await link.session() is None
        assert smsc.commands[-1] == UNBIND


async def test_a_closed_link_stops_trying() -> None:
    async with serving(Smsc(bind_statuses=[0x0D] * 50)) as smsc:
        link = Link(lambda: open_session(smsc), first=10.0, longest=10.0)
        trying = asyncio.create_task(link.session())
        await until(lambda: smsc.links)
        await asyncio.wait_for(link.close(5), 9)
        assert await trying is None


async def test_tls_with_a_certificate_we_trust_and_not_with_another(tmp_path: Path) -> None:
    server, trusting = _tls(tmp_path)
    async with serving(Smsc(), server) as smsc:
        session = await open_session(smsc, tls=trusting)
        assert await end_of(session.submit(message(), yes)) == Accepted("1")
        await session.close(5)
        with pytest.raises(NotBound, match="SSLCertVerificationError"):
            await open_session(smsc, tls=ssl.create_default_context())


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "local SMSC")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "smsc.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(
        cadata=certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
