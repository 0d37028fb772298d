"""unit: SMPP 3.4 PDUs octet by octet, receipts in every dialect, and the small parts a session is made of."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.gsm7 import parts, text_of
from mailmaker.dispatch.sms import pdu as p
from mailmaker.dispatch.sms.codec import (
    MOST,
    BadBody,
    BadFrame,
    BadPdu,
    Frames,
    Unencodable,
    UnknownCommand,
    decode,
    encode,
)
from mailmaker.dispatch.sms.compose import recipient, sender, submissions
from mailmaker.dispatch.sms.early import Early
from mailmaker.dispatch.sms.ends import Refused
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.receipt import (
    NoReceipt,
    Notation,
    Receipt,
    is_receipt,
    message_key,
    receipt_of,
)
from mailmaker.dispatch.sms.status import Status, name_of

ALIAS = p.Address(5, 0, "Acme")
TO = p.Address(1, 1, "393331234567")

# Written by hand from section 4; the bind is the specification's example (section 3.2.3) as a transceiver.
GOLDEN: list[tuple[str, int, p.Pdu]] = [
    (
        "0000002F 00000009 00000000 00000001"
        "534D50503354455354 00  7365637265743038 00  5355424D495431 00  34  01 01  00",
        1,
        p.BindTransceiver("SMPP3TEST", "secret08", "SUBMIT1", 0x34, p.Address(1, 1, "")),
    ),
    (
        "0000001A 80000009 00000000 00000001  534D5343 00  0210 0001 34",
        1,
        p.BindTransceiverResp(0, "SMSC", (p.Tlv(0x0210, b"\x34"),)),
    ),
    ("00000010 80000009 0000000E 00000001", 1, p.BindTransceiverResp(0x0E)),
    (
        "00000036 00000004 00000000 00000005"
        "00  05 00 41636D65 00  01 01 333933333331323334353637 00"
        "00 00 00  00 00  01 00 00 00  05 4369616F 07",
        5,
        p.SubmitSm(ALIAS, TO, b"Ciao\x07", registered_delivery=1),
    ),
    (
        "0000005C 00000004 00000000 7FFFFFFF"
        "434D54 00  05 00 41636D65 00  01 01 333933333331323334353637 00"
        "40 7F 02  323431323331323335393030303034 2B 00  303030303030303130303030303030 52 00"
        "01 00 08 00  08 050003A90201 20AC",
        0x7FFFFFFF,
        p.SubmitSm(
            ALIAS,
            TO,
            b"\x05\x00\x03\xa9\x02\x01\x20\xac",
            esm_class=0x40,
            data_coding=8,
            registered_delivery=1,
            service_type="CMT",
            protocol_id=0x7F,
            priority_flag=2,
            schedule_delivery_time="241231235900004+",
            validity_period="000000010000000R",
        ),
    ),
    ("00000015 80000004 00000000 00000005  31413242 00", 5, p.SubmitSmResp(0, "1A2B")),
    ("00000010 80000004 00000058 00000006", 6, p.SubmitSmResp(0x58)),
    (
        "0000003F 00000005 00000000 00000001"
        "00  01 01 333933333331323334353637 00  05 00 41636D65 00"
        "04 00 00  00 00  00 00 00 00  00  001E 0005 3141324200  0427 0001 02",
        1,
        p.DeliverSm(TO, ALIAS, esm_class=4, tlvs=(p.Tlv(0x001E, b"1A2B\0"), p.Tlv(0x0427, b"\x02"))),
    ),
    ("00000011 80000005 00000000 00000001  00", 1, p.DeliverSmResp()),
    ("00000010 80000005 00000064 00000001", 1, p.DeliverSmResp(0x64)),
    ("00000010 00000015 00000000 00000002", 2, p.EnquireLink()),
    ("00000010 80000015 00000000 00000002", 2, p.EnquireLinkResp()),
    ("00000010 00000006 00000000 00000003", 3, p.Unbind()),
    ("00000010 80000006 00000000 00000003", 3, p.UnbindResp()),
    ("00000010 80000000 00000003 00000000", 0, p.GenericNack(3)),
]


@pytest.mark.parametrize(("octets", "sequence", "value"), GOLDEN, ids=lambda v: type(v).__name__)
def test_golden_octets_both_ways(octets: str, sequence: int, value: p.Pdu) -> None:
    assert encode(value, sequence) == bytes.fromhex(octets)
    assert decode(bytes.fromhex(octets)) == (sequence, value)


def test_an_answer_may_come_without_a_body_or_with_more_parameters() -> None:
    assert decode(bytes.fromhex("00000010 80000004 00000000 00000005")) == (5, p.SubmitSmResp(0, ""))
    more = bytes.fromhex("00000018 80000004 00000000 00000005  3100  1402 0002 3939")
    assert decode(more) == (5, p.SubmitSmResp(0, "1", (p.Tlv(0x1402, b"99"),)))


def strings(size: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=size - 1)


OCTET = st.integers(0, 255)
STATUS = st.integers(0, 0xFFFFFFFF)
TLVS = st.lists(st.builds(p.Tlv, st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=4).map(tuple)


def addresses(size: int) -> st.SearchStrategy[p.Address]:
    return st.builds(p.Address, OCTET, OCTET, strings(size))


def messages(kind: type[p.SubmitSm] | type[p.DeliverSm]) -> st.SearchStrategy[p.Pdu]:
    return st.builds(
        kind,
        addresses(21),
        addresses(21),
        st.binary(max_size=254),
        OCTET,
        OCTET,
        OCTET,
        strings(6),
        OCTET,
        OCTET,
        strings(17),
        strings(17),
        OCTET,
        OCTET,
        TLVS,
    )


PDUS: st.SearchStrategy[p.Pdu] = st.one_of(
    messages(p.SubmitSm),
    messages(p.DeliverSm),
    st.builds(p.BindTransceiver, strings(16), strings(9), strings(13), OCTET, addresses(41)),
    st.builds(p.BindTransceiverResp, STATUS, strings(16), TLVS),
    st.builds(p.SubmitSmResp, STATUS, strings(65), TLVS),
    st.builds(p.DeliverSmResp, STATUS, strings(65), TLVS),
    st.builds(p.GenericNack, STATUS),
    st.builds(p.EnquireLinkResp, STATUS),
    st.builds(p.UnbindResp, STATUS),
    st.sampled_from([p.EnquireLink(), p.Unbind()]),
)


@given(PDUS, STATUS)
def test_every_value_comes_back(value: p.Pdu, sequence: int) -> None:
    assert decode(encode(value, sequence)) == (sequence, value)


@given(st.lists(PDUS, max_size=5), st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_a_stream_is_cut_into_its_pdus_however_it_arrives(values: list[p.Pdu], steps: list[int]) -> None:
    whole = [encode(value, n) for n, value in enumerate(values, 1)]
    stream, frames = b"".join(whole), Frames()
    read: list[bytes] = []
    while stream:
        step = steps[len(read) % len(steps)]
        steps.append(steps.pop(0))
        read += list(frames.feed(stream[:step]))
        stream = stream[step:]
    assert read == whole


def value_or_fault(octets: bytes) -> p.Pdu | BadBody:
    try:
        return decode(octets)[1]
    except BadBody as wrong:
        return wrong


@given(PDUS, st.data())
def test_a_truncated_body_is_bad_and_nothing_else_is_raised(value: p.Pdu, data: st.DataObject) -> None:
    octets = encode(value, 7)
    size = data.draw(st.integers(16, len(octets)))
    cut = size.to_bytes(4, "big") + octets[4:size]
    read = value_or_fault(cut)
    if isinstance(read, BadBody):
        assert (read.command, read.sequence) == (value.command, 7)
    else:
        # What may be left out at the end may be missing: parameters, and the body of an answer.
        assert type(read) is type(value)
        assert size == len(octets) or size == 16 or len(getattr(read, "tlvs", ())) < len(value.tlvs)  # type: ignore[union-attr]


@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: encode(p.Unbind(), 1)[4:] + b))
)
def test_garbage_raises_nothing_but_bad_pdu(octets: bytes) -> None:
    framed = (len(octets) + 4).to_bytes(4, "big") + octets
    for tried in (octets, framed):
        with contextlib.suppress(BadPdu):
            decode(tried)
    with contextlib.suppress(BadFrame):
        list(Frames().feed(octets))


@given(st.sampled_from([4, 5, 9, 0x80000004, 0x80000005, 0x80000009]), st.binary(max_size=120))
def test_a_garbled_body_of_a_known_command_is_bad_or_reads(command: int, body: bytes) -> None:
    head = b"".join(n.to_bytes(4, "big") for n in (16 + len(body), command, 0, 9))
    read = value_or_fault(head + body)
    assert read.command == command
    assert not isinstance(read, BadBody) or read.sequence == 9


def test_lengths_out_of_bounds_lose_the_stream_after_what_was_good() -> None:
    good = encode(p.EnquireLink(), 1)
    for length in (0, 15, MOST + 1, 0xFFFFFFFF):
        feed = Frames().feed(good + length.to_bytes(4, "big"))
        assert next(feed) == good
        with pytest.raises(BadFrame):
            next(feed)
    largest = encode(p.SubmitSm(TO, TO, tlvs=(p.Tlv(p.MESSAGE_PAYLOAD, bytes(65_400)),)), 1)
    assert list(Frames().feed(largest)) == [largest]


def test_unknown_commands_and_bodies_say_which_pdu_it_was() -> None:
    with pytest.raises(UnknownCommand) as unknown:
        decode(bytes.fromhex("00000010 00000102 00000000 00000009"))
    assert (unknown.value.command, unknown.value.sequence) == (0x102, 9)
    for octets in (
        "00000011 00000015 00000000 00000009 00",
        "00000012 80000004 00000000 00000009 3131",
        "00000014 80000004 00000000 00000009 3100 001E",
        "00000017 80000004 00000000 00000009 3100 001E 0002 31",
    ):
        with pytest.raises(BadBody) as bad:
            decode(bytes.fromhex(octets))
        assert bad.value.sequence == 9


@pytest.mark.parametrize(
    "value",
    [
        p.BindTransceiver("a" * 16, "x"),
        p.BindTransceiver("a", "123456789"),
        p.BindTransceiver("a\0b", "x"),
        p.SubmitSm(ALIAS, p.Address(1, 1, "1" * 21)),
        p.SubmitSm(ALIAS, TO, bytes(255)),
        p.SubmitSm(ALIAS, TO, esm_class=256),
        p.SubmitSm(p.Address(5, 0, "€"), TO),
        p.SubmitSm(ALIAS, TO, tlvs=(p.Tlv(1, bytes(65_536)),)),
        p.SubmitSm(ALIAS, TO, tlvs=(p.Tlv(1, bytes(40_000)), p.Tlv(2, bytes(40_000)))),
        p.SubmitSmResp(-1),
        p.SubmitSmResp(0, "1" * 65),
    ],
)
def test_what_does_not_fit_is_not_written(value: p.Pdu) -> None:
    with pytest.raises(Unencodable):
        encode(value, 1)


def test_a_password_is_in_no_log() -> None:
    assert "secret08" not in repr(p.BindTransceiver("us", "secret08"))


# Concatenation and composing.


def test_parts_are_joined_by_an_eight_bit_reference() -> None:
    assert p.concatenated((b"one",), 700) == (b"one",)
    assert p.concatenated((b"one", b"two"), 0x1A9) == (
        b"\x05\x00\x03\xa9\x02\x01one",
        b"\x05\x00\x03\xa9\x02\x02two",
    )


@given(st.text("ab€è😀", max_size=500))
def test_a_text_travels_in_its_submits(text: str) -> None:
    made = submissions(sender("Acme"), recipient("+393331234567"), text, 9)
    read = [decode(encode(sm, n))[1] for n, sm in enumerate(made, 1)]
    assert read == list(made)
    assert "".join(text_of(sm.user_data, sm.data_coding) for sm in made) == text
    assert {sm.esm_class for sm in made} == ({p.UDH_INDICATOR} if len(parts(text)) > 1 else {0})
    # 140 octets on the air: six of them the header's, septets packed.
    for sm in made:
        header = len(sm.short_message) - len(sm.user_data)
        assert header in (0, 6)
        air = len(sm.user_data) * 7 / 8 if sm.data_coding == 0 else len(sm.user_data)
        assert header + air <= 140


def test_senders_and_recipients() -> None:
    assert sender("Acme") == p.Address(5, 0, "Acme")
    assert sender("+393331234567") == recipient("+393331234567") == p.Address(1, 1, "393331234567")
    assert sender("48123") == p.Address(0, 0, "48123")
    for wrong in ("393331234567", "+0333", "+39 333", "", "Acme", "+39333123456789012"):
        with pytest.raises(ValueError, match=r"E\.164"):
            recipient(wrong)
    for wrong in ("", "AcmeAcmeAcme", "Café", "123456789012"):
        with pytest.raises(ValueError, match=r"E\.164"):
            sender(wrong)


# Receipts.

TEXT = "id:{id} sub:001 dlvrd:001 submit date:2411231004 done date:{done} stat:{stat} err:{err} text:Ciao stat:X id:9"
AT = datetime(2024, 11, 23, 10, 5, tzinfo=UTC)


def deliver(text: str | bytes = b"", *tlvs: p.Tlv, esm_class: int = 4, data_coding: int = 0) -> p.DeliverSm:
    said = text.encode("latin-1") if isinstance(text, str) else text
    return p.DeliverSm(TO, ALIAS, said, esm_class=esm_class, data_coding=data_coding, tlvs=tlvs)


def told(id: str = "1A2B", done: str = "2411231005", stat: str = "DELIVRD", err: str = "000") -> str:
    return TEXT.format(id=id, done=done, stat=stat, err=err)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (told(), Receipt("1a2b", "delivered", "", AT)),
        (told(stat="UNDELIV", err="075"), Receipt("1a2b", "undeliverable", "075", AT)),
        (told(done="241123100507"), Receipt("1a2b", "delivered", "", AT.replace(second=7))),
        (told(done="20241123100507"), Receipt("1a2b", "delivered", "", AT.replace(second=7))),
        (told(done="202411231005"), Receipt("1a2b", "delivered", "", AT)),
        (told(done="9999999999"), Receipt("1a2b", "delivered", "", None)),
        (told(done=""), Receipt("1a2b", "delivered", "", None)),
        (told(id="0000000042"), Receipt("42", "delivered", "", AT)),
        (told(id="c9D03d-F000-x"), Receipt("c9D03d-F000-x", "delivered", "", AT)),
        (told(stat="DELIVERED"), Receipt("1a2b", "delivered", "", AT)),
        (told(stat="EXPIRED"), Receipt("1a2b", "expired", "", AT)),
        (told(stat="DELETED"), Receipt("1a2b", "deleted", "", AT)),
        (told(stat="ACCEPTD"), Receipt("1a2b", "accepted", "", AT)),
        (told(stat="REJECTD"), Receipt("1a2b", "rejected", "", AT)),
        (told(stat="ENROUTE"), Receipt("1a2b", "enroute", "", AT)),
        (told(stat="UNKNOWN"), Receipt("1a2b", "unknown", "", AT)),
        (told(stat="WHATEVER"), Receipt("1a2b", "unknown", "", AT)),
        ("stat:delivrd  ID: 7f done_date:2411231005", Receipt("7f", "delivered", "", AT)),
        ("id:7\nsub:001\ndone\ndate:2411231005\nstat:DELIVRD", Receipt("7", "delivered", "", AT)),
        ("id:7 Text:stat:DELIVRD err:9", Receipt("7", "unknown", "", None)),
        ("id:7 stat: err:9", Receipt("7", "unknown", "9", None)),
    ],
)
def test_receipts_in_text(text: str, expected: Receipt) -> None:
    assert receipt_of(deliver(text), Notation()) == expected


ID = p.Tlv(p.RECEIPTED_MESSAGE_ID, b"0A1B\0")


def test_receipts_in_parameters_count_more_than_the_text() -> None:
    both = deliver(told(id="77", stat="ENROUTE"), ID, p.Tlv(p.MESSAGE_STATE, b"\x05"))
    assert receipt_of(both, Notation()) == Receipt("a1b", "undeliverable", "", AT)
    bare = deliver(b"", ID, p.Tlv(p.MESSAGE_STATE, b"\x02"), p.Tlv(p.NETWORK_ERROR_CODE, b"\x03\x01\x02"))
    assert receipt_of(bare, Notation()) == Receipt("a1b", "delivered", "3/258", None)
    assert receipt_of(deliver(b"", ID, p.Tlv(p.MESSAGE_STATE, b"")), Notation()).state == "unknown"


def test_receipts_in_payload_and_in_ucs2() -> None:
    payload = deliver(b"", p.Tlv(p.MESSAGE_PAYLOAD, told().encode()))
    assert receipt_of(payload, Notation()) == Receipt("1a2b", "delivered", "", AT)
    wide = deliver(told().encode("utf-16-be"), data_coding=8)
    assert receipt_of(wide, Notation()) == Receipt("1a2b", "delivered", "", AT)


@pytest.mark.parametrize(
    ("esm_class", "is_one"), [(0x04, True), (0x44, True), (0x20, True), (0, False), (8, False)]
)
def test_what_is_a_receipt(esm_class: int, is_one: bool) -> None:
    assert is_receipt(deliver("STOP", esm_class=esm_class)) is is_one
    assert is_receipt(deliver("STOP", ID, esm_class=esm_class))


@pytest.mark.parametrize(
    ("answers", "receipts", "answered", "received"),
    [
        ("as_is", "as_is", "0001A2B", "1a2b"),
        ("hex", "decimal", "1A2B", "6699"),
        ("hex", "decimal", "1a2b", "0000006699"),
        ("decimal", "hex", "6699", "00001A2B"),
        ("hex", "decimal", "not-a-number", "not-a-number"),
        ("as_is", "decimal", "0042", "42"),
    ],
)
def test_ids_in_two_notations_are_one(answers: str, receipts: str, answered: str, received: str) -> None:
    notation = Notation(answers, receipts)  # type: ignore[arg-type]
    key = message_key(answered, notation.answers)
    assert receipt_of(deliver(told(id=received)), notation).message_id == key
    # The parameter repeats the answer, whatever the text does.
    tlv = p.Tlv(p.RECEIPTED_MESSAGE_ID, answered.encode() + b"\0")
    assert receipt_of(deliver(told(id="999"), tlv), notation).message_id == key


def test_dates_are_the_providers() -> None:
    zone = timezone(timedelta(hours=2))
    at = receipt_of(deliver(told()), Notation(zone=zone)).at
    assert at == datetime(2024, 11, 23, 8, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "hello", "id: sub:001 stat:DELIVRD", "stat:DELIVRD text:id:7"])
def test_a_receipt_of_nothing_is_a_fault(text: str) -> None:
    with pytest.raises(NoReceipt):
        receipt_of(deliver(text), Notation())


@given(
    st.one_of(
        st.binary(max_size=254),
        st.lists(
            st.sampled_from(["id:", "stat:", "done date:", "err:", "text:", "id:9", "2411231005", " ", "\n"]),
            max_size=12,
        ).map(lambda pieces: " ".join(pieces).encode()),
    ),
    TLVS,
    st.lists(
        st.builds(p.Tlv, st.sampled_from([0x1E, 0x423, 0x424, 0x427]), st.binary(max_size=6)), max_size=4
    ),
    OCTET,
    OCTET,
)
def test_any_deliver_sm_is_a_receipt_or_a_fault_we_know(
    text: bytes, some: tuple[p.Tlv, ...], known: list[p.Tlv], esm_class: int, data_coding: int
) -> None:
    sm = deliver(text, *known, *some, esm_class=esm_class, data_coding=data_coding)
    is_receipt(sm)
    with contextlib.suppress(NoReceipt):
        assert receipt_of(sm, Notation()).message_id


# Early receipts, pace, ends.


def test_an_early_receipt_waits_for_the_submits_that_were_on_their_way() -> None:
    early: Early[str] = Early(10, patience=5.0)
    assert early.hold("7", 3, 0.0, "seven") == []
    assert early.hold("8", 4, 0.0, "eight") == []
    assert early.hold("7", 4, 0.0, "seven again") == []
    assert early.passed(3, 1.0) == []
    assert early.accepted("7") == ["seven", "seven again"]
    assert early.accepted("7") == []
    assert early.passed(4, 1.0) == []
    assert early.passed(5, 1.0) == ["eight"]
    assert len(early) == 0


def test_an_early_receipt_waits_no_longer_than_patience_and_in_no_greater_number() -> None:
    early: Early[str] = Early(2, patience=5.0)
    early.hold("1", 9, 0.0, "one")
    early.hold("2", 9, 1.0, "two")
    assert early.hold("3", 9, 2.0, "three") == ["one"]
    assert early.passed(1, 5.9) == []
    assert early.passed(1, 6.0) == ["two"]
    assert early.passed(None, 6.0) == ["three"]


@given(
    st.lists(st.tuples(st.sampled_from("hap"), st.integers(0, 3), st.integers(0, 5)), max_size=60),
    st.integers(1, 5),
)
def test_no_early_receipt_is_lost_or_doubled(steps: list[tuple[str, int, int]], most: int) -> None:
    early: Early[int] = Early(most, patience=4.0)
    given_back: list[int] = []
    held = last = 0
    for now, (verb, key, number) in enumerate(steps):
        if verb == "h":
            last = max(last, number)
            given_back += early.hold(str(key), last, float(now), held)
            held += 1
        elif verb == "a":
            given_back += early.accepted(str(key))
        else:
            given_back += early.passed(number, float(now))
        assert len(early) <= most
    given_back += early.passed(None, 0.0)
    assert sorted(given_back) == list(range(held))


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pace_spreads_submits_and_saves_nothing_up() -> None:
    time = Time()
    pace = Pace(10, time)
    assert [round(pace.place(), 3) for _ in range(3)] == [0.0, 0.1, 0.2]
    time.now = 60.0
    assert [round(pace.place(), 3) for _ in range(3)] == [0.0, 0.1, 0.2]


def test_a_throttled_pace_is_halved_once_for_a_crowd_and_comes_back_slowly() -> None:
    time = Time()
    pace = Pace(100, time, recovery=0.02, chance=lambda: 1.0)
    assert pace.slower() == pytest.approx(1.0)
    assert pace.slower() == pytest.approx(1.0)
    assert pace.rate == 50
    time.now = 5.0
    assert pace.rate == pytest.approx(60)
    assert pace.slower() == pytest.approx(0.5 * 100 / 30)
    for second in range(20):
        time.now = 6.0 + second
        after = pace.slower()
    assert 2.0 <= pace.rate <= 4.0
    assert after <= 30.0
    time.now = 1000.0
    assert pace.rate == 100


def test_refusals_are_told_apart_and_named() -> None:
    assert Refused(Status.RSYSERR).temporary
    assert not Refused(Status.RINVDSTADR).temporary
    assert str(Refused(0x0B)) == "ESME_RINVDSTADR"
    assert name_of(0x433) == "0x00000433"
