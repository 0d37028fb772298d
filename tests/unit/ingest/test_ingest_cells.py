"""unit: what a cell may hold, and that the fast roads say the same as the slow ones."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.mail.address import InvalidAddress, canonical_address, canonical_mobile
from mailmaker.ingest.domain import cells
from mailmaker.ingest.domain.cells import BadCell
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.readers.columns import Bad, column
from phonenumbers import PhoneNumberFormat, PhoneNumberType, example_number_for_type, format_number

TODAY = date(2026, 11, 24)


def convert(field: Field, *raw: str, country: str = "IT") -> list[str]:
    return column(0, field, country, TODAY).convert(raw)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("1980-02-29", "1980-02-29"), ("29/02/1980", "1980-02-29"), ("1/3/1999", "1999-03-01"),
        ("01-03-1999", "1999-03-01"), ("1.3.1999", "1999-03-01"), (" 1999/3/1 ", "1999-03-01"),
        ("1999-03-01T00:00:00", "1999-03-01"), ("01/03/1999 00:00", "1999-03-01"),
    ],
)  # fmt: skip
def test_dates_are_iso_or_day_first(raw: str, found: str) -> None:
    assert cells.day(raw) == found


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("1981-02-29", "date.impossible"), ("31/04/1990", "date.impossible"), ("1990-13-01", "date.impossible"),
        ("00/00/0000", "date.impossible"), ("1/3/99", "date.unreadable"), ("marzo", "date.unreadable"),
        ("2026-11-25", "date.out_of_range"), ("1899-12-31", "date.out_of_range"),
    ],
)  # fmt: skip
def test_impossible_dates_are_named(raw: str, code: str) -> None:
    with pytest.raises(BadCell) as wrong:
        cells.birth_day(raw, TODAY)
    assert wrong.value.code == code


def test_small_types() -> None:
    assert [cells.sex(s) for s in ("m", "F", "Femmina", "uomo", "x")] == ["M", "F", "F", "M", "X"]
    assert [cells.country(s) for s in ("it", "Italia", "CH")] == ["IT", "IT", "CH"]
    assert [cells.language(s) for s in ("IT", "it_IT", "en-gb")] == ["it", "it-IT", "en-GB"]
    assert [cells.number(s) for s in ("1,50", "-0.0", "007", "1e3", "100")] == [
        "1.5",
        "0",
        "7",
        "1000",
        "100",
    ]
    assert [cells.boolean(s) for s in ("Sì", "no", "1", "FALSE")] == ["true", "false", "true", "false"]
    assert cells.enum("GOLD", ("silver", "gold")) == "gold"
    assert cells.text("  D'Angelo \u00a0 e\nfigli ") == "D'Angelo e figli"


@pytest.mark.parametrize("raw", ["a\0b", "a\x1bb", "a\x9fb"])
def test_control_characters_are_refused(raw: str) -> None:
    with pytest.raises(BadCell, match="control"):
        cells.text(raw)


@pytest.mark.parametrize("raw", ["", "x", "1,2,3", "nan", "inf", "1e99"])
def test_what_is_no_number(raw: str) -> None:
    with pytest.raises(BadCell):
        cells.number(raw)


LOCALS = st.text(st.sampled_from("abzAZ019._+-'!"), min_size=1, max_size=70)
DOMAINS = st.text(st.sampled_from("abzAZ019.-è"), min_size=1, max_size=70)


# The first number or address of a country loads what is known of them.
@settings(deadline=None)
@given(local=LOCALS, domain=DOMAINS)
def test_the_fast_road_of_addresses_says_what_the_slow_one_says(local: str, domain: str) -> None:
    raw = f"{local}@{domain}.it"
    found = convert(Field("email", "email"), raw)[0]
    try:
        assert found == canonical_address(cells.unguarded(raw, address=True))
        assert type(found) is str
    except InvalidAddress:
        assert isinstance(found, Bad)


@pytest.mark.parametrize(
    "raw", ["MARIO@EXAMPLE.IT", " a@b.it ", "a@XN--NXASMQ6B.com", "a@b.İt", "a@müller.de"]
)
def test_addresses_that_need_a_look(raw: str) -> None:
    assert convert(Field("email", "email"), raw) == [canonical_address(raw.strip())]


@pytest.mark.parametrize("country", ["IT", "FR", "DE", "ES", "PL", "AT", "CH", "GB", "US"])
@settings(deadline=None)
@given(digits=st.text("0123456789", min_size=6, max_size=12), style=st.integers(0, 3))
def test_the_fast_road_of_mobiles_says_what_the_slow_one_says(country: str, digits: str, style: int) -> None:
    example = example_number_for_type(country, PhoneNumberType.MOBILE)
    assert example is not None
    whole = format_number(example, PhoneNumberFormat.E164)
    start = whole[: len(whole) - 6]
    raw = [
        start + digits[:6],
        "00" + start[1:] + " " + digits[:6],
        "0" + digits,
        start[3:] + "-" + digits[:6],
    ][style]
    found = convert(Field("mobile", "mobile"), raw, country=country)[0]
    try:
        assert found == canonical_mobile(raw, country)
    except InvalidAddress:
        assert isinstance(found, Bad)


def test_a_cache_forgets_and_never_keeps_a_refusal() -> None:
    made = column(0, Field("sex", "sex"), "IT", TODAY)
    for _ in range(2):
        out = made.convert(["M", "q", "", "  ", "q"])
        assert (out[0], out[2], out[3], made.refused) == ("M", "", "", 2)
    names = column(0, Field("name", "text"), "IT", TODAY)
    for start in range(0, 100_000, 5000):
        assert names.convert([str(n) for n in range(start, start + 5000)])[0] == str(start)


@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=40))
def test_a_custom_cell_is_a_member_of_a_quoted_json_object(text: str) -> None:
    found = convert(Field("note", "text", True), text)[0]
    member = found.replace('""', '"')
    assert (json.loads("{" + member + "}") if member else {}) == (
        {"note": cells.text(text)} if text.strip() else {}
    )
