"""unit: texts as SMS: the alphabet by its Unicode names, the boundaries of parts, and that no text is lost on the way."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.gsm7 import (
    Encoding,
    Gentle,
    Measure,
    Replaced,
    Unsendable,
    encoding_of,
    gently,
    measure,
    parts,
    text_of,
)

# 3GPP TS 23.038 section 6.2.1, by name: typed again, so that a slip in one table shows.
NAMED = {
    0x00: "COMMERCIAL AT",
    0x01: "POUND SIGN",
    0x02: "DOLLAR SIGN",
    0x03: "YEN SIGN",
    0x04: "LATIN SMALL LETTER E WITH GRAVE",
    0x05: "LATIN SMALL LETTER E WITH ACUTE",
    0x06: "LATIN SMALL LETTER U WITH GRAVE",
    0x07: "LATIN SMALL LETTER I WITH GRAVE",
    0x08: "LATIN SMALL LETTER O WITH GRAVE",
    0x09: "LATIN CAPITAL LETTER C WITH CEDILLA",
    0x0A: "LINE FEED",
    0x0B: "LATIN CAPITAL LETTER O WITH STROKE",
    0x0C: "LATIN SMALL LETTER O WITH STROKE",
    0x0D: "CARRIAGE RETURN",
    0x0E: "LATIN CAPITAL LETTER A WITH RING ABOVE",
    0x0F: "LATIN SMALL LETTER A WITH RING ABOVE",
    0x10: "GREEK CAPITAL LETTER DELTA",
    0x11: "LOW LINE",
    0x12: "GREEK CAPITAL LETTER PHI",
    0x13: "GREEK CAPITAL LETTER GAMMA",
    0x14: "GREEK CAPITAL LETTER LAMDA",
    0x15: "GREEK CAPITAL LETTER OMEGA",
    0x16: "GREEK CAPITAL LETTER PI",
    0x17: "GREEK CAPITAL LETTER PSI",
    0x18: "GREEK CAPITAL LETTER SIGMA",
    0x19: "GREEK CAPITAL LETTER THETA",
    0x1A: "GREEK CAPITAL LETTER XI",
    0x1C: "LATIN CAPITAL LETTER AE",
    0x1D: "LATIN SMALL LETTER AE",
    0x1E: "LATIN SMALL LETTER SHARP S",
    0x1F: "LATIN CAPITAL LETTER E WITH ACUTE",
    0x24: "CURRENCY SIGN",
    0x40: "INVERTED EXCLAMATION MARK",
    0x5B: "LATIN CAPITAL LETTER A WITH DIAERESIS",
    0x5C: "LATIN CAPITAL LETTER O WITH DIAERESIS",
    0x5D: "LATIN CAPITAL LETTER N WITH TILDE",
    0x5E: "LATIN CAPITAL LETTER U WITH DIAERESIS",
    0x5F: "SECTION SIGN",
    0x60: "INVERTED QUESTION MARK",
    0x7B: "LATIN SMALL LETTER A WITH DIAERESIS",
    0x7C: "LATIN SMALL LETTER O WITH DIAERESIS",
    0x7D: "LATIN SMALL LETTER N WITH TILDE",
    0x7E: "LATIN SMALL LETTER U WITH DIAERESIS",
    0x7F: "LATIN SMALL LETTER A WITH GRAVE",
}
EXTENDED = {
    0x0A: "FORM FEED",
    0x14: "CIRCUMFLEX ACCENT",
    0x28: "LEFT CURLY BRACKET",
    0x29: "RIGHT CURLY BRACKET",
    0x2F: "REVERSE SOLIDUS",
    0x3C: "LEFT SQUARE BRACKET",
    0x3D: "TILDE",
    0x3E: "RIGHT SQUARE BRACKET",
    0x40: "VERTICAL LINE",
    0x65: "EURO SIGN",
}
# All else of the basic table is where ASCII has it.
BASIC = {
    code: unicodedata.lookup(NAMED[code]) if code in NAMED else chr(code)
    for code in range(128)
    if code != 0x1B
}
EXTENSION = {code: unicodedata.lookup(name) for code, name in EXTENDED.items()}
GSM = "".join(BASIC.values()) + "".join(EXTENSION.values())


def read(payload: bytes, encoding: Encoding) -> str:
    """Our reading, from the tables above; strict."""
    if encoding == "ucs2":
        return payload.decode("utf-16-be")
    codes = iter(payload)
    return "".join(EXTENSION[next(codes)] if code == 0x1B else BASIC[code] for code in codes)


@pytest.mark.parametrize(("code", "character"), BASIC.items())
def test_the_basic_table(code: int, character: str) -> None:
    assert parts(character) == (bytes([code]),)
    assert measure(character) == Measure("gsm7", 1, 1, 160, 159)
    assert text_of(bytes([code]), 0) == character


@pytest.mark.parametrize(("code", "character"), EXTENSION.items())
def test_the_extension_table_costs_two(code: int, character: str) -> None:
    assert parts(character) == (bytes([0x1B, code]),)
    assert measure(character) == Measure("gsm7", 2, 1, 160, 158)
    assert text_of(bytes([0x1B, code]), 0) == character


@pytest.mark.parametrize("character", ["ç", "È", "`", "\t", "’", "\x1b", "\x00", "ά", "😀", "�"])
def test_what_gsm7_does_not_have_goes_as_ucs2(character: str) -> None:
    assert encoding_of(f"ciao {character}") == "ucs2"


E, A, P = "€", "a", "😀"


@pytest.mark.parametrize(
    ("text", "expected", "sizes"),
    [
        ("", Measure("gsm7", 0, 1, 160, 160), [0]),
        (A * 160, Measure("gsm7", 160, 1, 160, 0), [160]),
        (A * 161, Measure("gsm7", 161, 2, 153, 145), [153, 8]),
        ("ò" * 160, Measure("gsm7", 160, 1, 160, 0), [160]),
        (A * 306, Measure("gsm7", 306, 2, 153, 0), [153, 153]),
        (A * 307, Measure("gsm7", 307, 3, 153, 152), [153, 153, 1]),
        (A * 459, Measure("gsm7", 459, 3, 153, 0), [153, 153, 153]),
        # 80 euro signs are one full part, and 160 of them lose a septet in each full part but not more.
        (E * 80, Measure("gsm7", 160, 1, 160, 0), [160]),
        (E * 160, Measure("gsm7", 320, 3, 153, 137), [152, 152, 16]),
        (A * 158 + E, Measure("gsm7", 160, 1, 160, 0), [160]),
        (A * 159 + E, Measure("gsm7", 161, 2, 153, 145), [153, 8]),
        # The pair at the boundary: fits, would be split, begins the next.
        (A * 151 + E + A * 153, Measure("gsm7", 306, 2, 153, 0), [153, 153]),
        (A * 152 + E + A * 151, Measure("gsm7", 305, 2, 153, 0), [152, 153]),
        (A * 152 + E + A * 152, Measure("gsm7", 306, 3, 153, 152), [152, 153, 1]),
        (A * 153 + E + A * 151, Measure("gsm7", 306, 2, 153, 0), [153, 153]),
        ("Ω" * 160, Measure("gsm7", 160, 1, 160, 0), [160]),
        ("ώ" * 70, Measure("ucs2", 70, 1, 70, 0), [70]),
        ("ώ" * 71, Measure("ucs2", 71, 2, 67, 63), [67, 4]),
        ("ώ" * 134, Measure("ucs2", 134, 2, 67, 0), [67, 67]),
        ("ώ" * 135, Measure("ucs2", 135, 3, 67, 66), [67, 67, 1]),
        (P * 35, Measure("ucs2", 70, 1, 70, 0), [70]),
        (A * 68 + P, Measure("ucs2", 70, 1, 70, 0), [70]),
        (A * 69 + P, Measure("ucs2", 71, 2, 67, 63), [67, 4]),
        (A * 65 + P + A * 67, Measure("ucs2", 134, 2, 67, 0), [67, 67]),
        (A * 66 + P + A * 65, Measure("ucs2", 133, 2, 67, 0), [66, 67]),
        (A * 66 + P + A * 66, Measure("ucs2", 134, 3, 67, 66), [66, 67, 1]),
        (P * 67, Measure("ucs2", 134, 3, 67, 65), [66, 66, 2]),
    ],
    ids=lambda value: f"{value[:3]}..{len(value)}" if isinstance(value, str) else "",
)
def test_boundaries(text: str, expected: Measure, sizes: list[int]) -> None:
    assert measure(text) == expected
    made = parts(text)
    width = 2 if expected.encoding == "ucs2" else 1
    assert [len(part) // width for part in made] == sizes
    # Each part can be read alone: no pair is split.
    assert "".join(read(part, expected.encoding) for part in made) == text


def test_255_parts_are_the_most() -> None:
    assert len(parts(A * 153 * 255)) == 255
    assert measure(A * (153 * 255 + 1)).parts == 256
    with pytest.raises(Unsendable):
        parts(A * (153 * 255 + 1))


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b"])
def test_half_a_pair_is_refused_aloud(text: str) -> None:
    for call in (measure, parts):
        with pytest.raises(Unsendable):
            call(text)


@given(st.one_of(st.text(GSM, max_size=700), st.text(max_size=300), st.text("a€😀è", max_size=700)))
def test_no_text_is_lost_and_the_measure_is_what_is_sent(text: str) -> None:
    said, made = measure(text), parts(text)
    width = 2 if said.encoding == "ucs2" else 1
    sizes = [len(part) // width for part in made]
    assert "".join(read(part, said.encoding) for part in made) == text
    assert said.encoding == ("gsm7" if set(text) <= set(GSM) else "ucs2")
    assert (len(made), sum(sizes), said.per_part - sizes[-1]) == (said.parts, said.units, said.left)
    assert max(sizes) <= said.per_part <= (160 if said.encoding == "gsm7" else 70)
    # No part ends before it must: only a pair that did not fit may leave one unit unused.
    assert all(size >= said.per_part - 1 for size in sizes[:-1])
    assert "".join(text_of(part, 8 if width == 2 else 0) for part in made) == text


@given(st.text(max_size=200))
def test_one_character_more_never_costs_less(text: str) -> None:
    assert measure(text + "a").parts >= measure(text).parts


@given(st.binary(max_size=200), st.integers(0, 255))
def test_any_octets_have_a_reading(payload: bytes, data_coding: int) -> None:
    assert isinstance(text_of(payload, data_coding), str)


@pytest.mark.parametrize(
    ("payload", "data_coding", "text"),
    [
        (b"STOP", 0, "STOP"),
        (b"STOP", 1, "STOP"),
        (b"perch\xe9", 3, "perché"),
        (b"\x00S\x00T\x00O\x00P", 8, "STOP"),
        (b"\x1bA\x1b\x1b\x1b", 0, "A "),
        (b"a\xffb", 0, "a\ufffdb"),
        (b"\x00a\x00", 8, "a\ufffd"),
    ],
)
def test_what_phones_send(payload: bytes, data_coding: int, text: str) -> None:
    assert text_of(payload, data_coding) == text


def test_gently_says_what_it_replaced() -> None:
    made = gently("“L’offerta” – solo\u00a0oggi…")
    assert made.text == '"L\'offerta" - solo oggi...'
    assert set(made.replaced) == {
        Replaced("“", '"', 1),
        Replaced("”", '"', 1),
        Replaced("’", "'", 1),
        Replaced("–", "-", 1),
        Replaced("\u00a0", " ", 1),
        Replaced("…", "...", 1),
    }
    assert made.obstacles == ()


def test_gently_composes_letters_and_drops_what_cannot_be_seen() -> None:
    made = gently("perche\u0301 e\u0300 a\u200b casa\ufeff’’")
    assert made.text == "perché è a casa''"
    assert Replaced("e\u0301", "é", 1) in made.replaced
    assert Replaced("\u200b", "", 1) in made.replaced
    assert Replaced("’", "'", 2) in made.replaced


def test_gently_changes_nothing_in_vain() -> None:
    assert gently("L’offerta 😀 è ç 😀") == Gentle("L’offerta 😀 è ç 😀", (), ("😀", "ç"))


def test_gently_leaves_gsm7_alone() -> None:
    assert gently(GSM) == Gentle(GSM, (), ())


@given(st.one_of(st.text(max_size=80), st.text("“”’–… abcèe\u0300€", max_size=80)))
def test_gently_ends_in_gsm7_or_as_it_began(text: str) -> None:
    made = gently(text)
    if made.obstacles:
        assert (made.text, made.replaced) == (text, ())
        assert all(piece in text for piece in made.obstacles)
    else:
        assert encoding_of(made.text) == "gsm7"
        assert (made.text != text) == bool(made.replaced)
    assert gently(made.text).replaced == ()


def test_every_ascii_letter_and_digit_is_gsm7() -> None:
    assert encoding_of(string.ascii_letters + string.digits + " \r\n") == "gsm7"
