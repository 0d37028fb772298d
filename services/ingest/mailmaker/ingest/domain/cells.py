"""ingest.domain.cells: what one cell may hold, and how it is written once it is accepted."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from mailmaker.common.mail.address import InvalidAddress, canonical_address, canonical_mobile
from mailmaker.common.marks import ERRORS, ROUNDED, unmarked
from mailmaker.ingest.domain import dates

LONGEST_TEXT = 255
LONGEST_CUSTOM_TEXT = 4000
LONGEST_KEY = 255

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_LINE_ENDS = re.compile(r"[\n\v\f\r\x85\u2028\u2029]").search
_GROUPS = re.compile(r"(?<=\d)[.,'’ \u00a0\u202f](?=\d{3}(?!\d))")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{2}))?\Z")
_SEXES = {
    "m": "M",
    "maschio": "M",
    "male": "M",
    "uomo": "M",
    "man": "M",
    "maschile": "M",
    "f": "F",
    "femmina": "F",
    "female": "F",
    "donna": "F",
    "woman": "F",
    "femminile": "F",
    "x": "X",
    "altro": "X",
    "other": "X",
}
_COUNTRIES = {
    "italia": "IT",
    "italy": "IT",
    "ita": "IT",
    "san marino": "SM",
    "svizzera": "CH",
    "francia": "FR",
    "germania": "DE",
    "spagna": "ES",
    "austria": "AT",
}
_TRUE = frozenset(("true", "1", "yes", "y", "si", "sì", "s", "vero", "x"))
_FALSE = frozenset(("false", "0", "no", "n", "falso"))


class BadCell(ValueError):
    """A cell that its field cannot take. `code` is stable; `detail` says what would be taken."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def unguarded(cell: str, *, address: bool = False) -> str:
    """A cell without the apostrophe by which spreadsheets and safe exports mark what is no formula and no number;
    `address`: of an email column.

    Raises BadCell for what a spreadsheet writes where a formula failed: taken for text it would become a name.
    """
    if cell[0] == "#" and cell.strip().upper() in ERRORS:
        raise BadCell("cell.error", "the spreadsheet shows an error in this cell")
    return unmarked(cell, address=address)


def _check_whole(cell: str) -> None:
    """3,48E+11 is what is left of a number that a spreadsheet rounded: some other number, and nobody's."""
    if ROUNDED(cell):
        raise BadCell(
            "number.rounded", "a spreadsheet rounded this number; make the column text and enter it again"
        )


def text(cell: str, longest: int = LONGEST_TEXT) -> str:
    """A line of text: NFC, outer white space cut, inner runs of it one space."""
    if _CONTROL.search(cell):
        raise BadCell("control_character", "the cell holds a control character")
    found = unicodedata.normalize("NFC", _SPACES.sub(" ", cell).strip())
    if len(found) > longest:
        raise BadCell("too_long", f"{len(found)} characters; at most {longest}")
    return found


def fkey(cell: str, *, marked: bool = False) -> str:
    """The client's own key: compared byte for byte, so nothing but outer white space is cut. `marked`: the cell was
    text on purpose, so that no spreadsheet can have rounded it."""
    found = cell.strip()
    if _CONTROL.search(found) or _LINE_ENDS(found):
        raise BadCell("control_character", "the key holds a control character")
    if not marked:
        _check_whole(found)
    if len(found) > LONGEST_KEY:
        raise BadCell("too_long", f"{len(found)} characters; at most {LONGEST_KEY}")
    return found


def email(cell: str) -> str:
    """The canonical address; see common.mail.address."""
    try:
        return canonical_address(cell.strip())
    except InvalidAddress as wrong:
        raise BadCell(wrong.code, wrong.detail) from wrong


def mobile(cell: str, country: str) -> str:
    """E.164; `country` reads numbers without a prefix."""
    _check_whole(cell.strip())
    try:
        return canonical_mobile(cell.strip(), country)
    except InvalidAddress as wrong:
        raise BadCell(wrong.code, wrong.detail) from wrong


def day(cell: str, formats: Sequence[str] = dates.STANDARD, not_after: date | None = None) -> str:
    """A date as YYYY-MM-DD, by the formats stated; unless stated, ISO 8601 or day/month/year, four digits of year."""
    try:
        return dates.day_of(cell.strip(), formats, not_after).isoformat()
    except dates.Ambiguous as wrong:
        raise BadCell("date.ambiguous", "two of the stated formats read this as different days") from wrong
    except dates.NoDate as wrong:
        known = "YYYY-MM-DD or DD/MM/YYYY" if formats == dates.STANDARD else " or ".join(formats)
        raise BadCell("date.unreadable", f"a date is {known}") from wrong
    except ValueError as wrong:
        raise BadCell("date.impossible", "no such day in the calendar") from wrong


def birth_day(cell: str, today: date, formats: Sequence[str] = dates.STANDARD) -> str:
    """A day somebody alive may be born on."""
    found = day(cell, formats, today)
    if not "1900-01-01" <= found <= today.isoformat():
        raise BadCell("date.out_of_range", "a birth date lies between 1900-01-01 and today")
    return found


def sex(cell: str) -> str:
    """M, F or X."""
    found = _SEXES.get(cell.strip().casefold())
    if found is None:
        raise BadCell("sex.unknown", "one of M, F, X")
    return found


def country(cell: str) -> str:
    """ISO 3166-1 alpha-2, or the name of a neighbour in Italian."""
    found = cell.strip()
    if len(found) == 2 and found.isascii() and found.isalpha():
        return found.upper()
    if (known := _COUNTRIES.get(found.casefold())) is not None:
        return known
    raise BadCell("country.unknown", "two letters of ISO 3166, as IT")


def language(cell: str) -> str:
    """A language with an optional region: it, it-IT."""
    match = _LANGUAGE.match(cell.strip())
    if match is None:
        raise BadCell("language.unknown", "a language code, as it or it-IT")
    code, region = match.groups()
    return f"{code.lower()}-{region.upper()}" if region else code.lower()


def number(cell: str, decimal: str | None = None) -> str:
    """A JSON number. With `decimal` stated, the other of point and comma may group thousands; else one of them at
    most may stand, for the decimal point."""
    plain = cell.strip()
    if decimal is not None:
        whole, point, rest = plain.partition(decimal)
        plain = _GROUPS.sub("", whole) + (f".{rest}" if point else "")
    try:
        found = Decimal(plain.replace(",", ".", 1) if decimal is None else plain)
    except InvalidOperation as wrong:
        raise BadCell("number.unreadable", "digits with at most one decimal point or comma") from wrong
    if not found.is_finite() or not -30 <= found.adjusted() <= 30 or len(found.as_tuple().digits) > 30:
        raise BadCell("number.out_of_range", "at most 30 digits")
    if found == 0:
        return "0"
    shown = format(found, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def boolean(cell: str) -> str:
    """`true` or `false`, from the usual words in English and Italian."""
    found = cell.strip().casefold()
    if found in _TRUE:
        return "true"
    if found in _FALSE:
        return "false"
    raise BadCell("boolean.unknown", "true or false")


def enum(cell: str, values: tuple[str, ...]) -> str:
    """One of the field's values, whatever the case it is written in."""
    found = text(cell)
    if found in values:
        return found
    for value in values:
        if value.casefold() == found.casefold():
            return value
    raise BadCell("enum.unknown", f"one of {', '.join(values[:20])}")


def json_text(value: str) -> str:
    """A JSON string."""
    return json.dumps(value, ensure_ascii=False)
