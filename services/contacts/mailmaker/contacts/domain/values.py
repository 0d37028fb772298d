"""contacts.domain.values: what a field of a contact may hold, and how it is written once it is accepted.

The forms are those that ingest stages (a date YYYY-MM-DD, a sex M, F or X, a country of ISO 3166, E.164), so that a
contact written by API and the same contact in a file are equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date

from mailmaker.common.mail.address import InvalidAddress, canonical_address, canonical_mobile
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import Json, Value, Wish
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList, Field, FieldType

LONGEST = 255
LONGEST_CUSTOM = 4000
FaultAt = tuple[str, str, str]

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]")
_LINE_ENDS = re.compile("[\n\v\f\r\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{2}))?\Z")
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")


class BadValue(ValueError):
    """A value its field cannot take. The value itself is never repeated."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read(items: Mapping[str, object], of: ContactList, today: date) -> tuple[Wish, list[FaultAt]]:
    """A write's fields as a Wish, and everything wrong with them as (JSON pointer, code, detail)."""
    faults: list[FaultAt] = []
    values: dict[str, Value] = {}
    custom: dict[str, Json] = {}
    for name in STANDARD_FIELDS:
        if name in items:
            try:
                values[name] = _standard(name, items[name], of, today)
            except BadValue as wrong:
                faults.append((f"/{name}", wrong.code, wrong.detail))
    own = {one.name: one for one in of.fields}
    given = items.get("custom") or {}
    for name, value in given.items() if isinstance(given, Mapping) else ():
        try:
            custom[own[name].key if name in own else name] = _custom(own.get(name), value)
        except BadValue as wrong:
            faults.append((f"/custom/{name}", wrong.code, wrong.detail))
    wish = Wish(values, custom, _consent(items, "email_consent"), _consent(items, "sms_consent"))
    return wish, faults


def _consent(items: Mapping[str, object], name: str) -> Consent | None:
    return Consent(str(items[name])) if items.get(name) is not None else None


def _standard(name: str, value: object, of: ContactList, today: date) -> Value:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadValue("text.needed", "a JSON string")
    found = text(value)
    if not found:
        return None
    if name == "email":
        return _address(lambda: canonical_address(found))
    if name == "mobile":
        return _address(lambda: canonical_mobile(found, of.default_country))
    if name == "birth_date":
        return _birth_date(found, today)
    if name == "fkey":
        return _fkey(value.strip())
    return _coded(name, found)


def _fkey(found: str) -> str:
    """The client's own key, byte for byte, as a line of a file could bring it too."""
    if _LINE_ENDS.search(found):
        raise BadValue("control_character", "the key holds a line end")
    if len(found) > LONGEST:
        raise BadValue("too_long", f"at most {LONGEST} characters")
    return found


def _coded(name: str, found: str) -> str:
    if name == "sex":
        if found.upper() not in ("M", "F", "X"):
            raise BadValue("sex.unknown", "one of M, F, X")
        return found.upper()
    if name == "country":
        if not _COUNTRY.match(found):
            raise BadValue("country.unknown", "two letters of ISO 3166, as IT")
        return found.upper()
    if name == "language":
        match = _LANGUAGE.match(found)
        if match is None:
            raise BadValue("language.unknown", "a language code, as it or it-IT")
        code, region = match.groups()
        return f"{code.lower()}-{region.upper()}" if region else code.lower()
    return found


def _address(read_it: Callable[[], str]) -> str:
    try:
        return read_it()
    except InvalidAddress as wrong:
        raise BadValue(wrong.code, wrong.detail) from wrong


def text(value: str, longest: int = LONGEST) -> str:
    """A line of text: NFC, outer white space cut, inner runs of it one space."""
    if _CONTROL.search(value):
        raise BadValue("control_character", "the value holds a control character")
    found = unicodedata.normalize("NFC", _SPACES.sub(" ", value).strip())
    if len(found) > longest:
        raise BadValue("too_long", f"at most {longest} characters")
    return found


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as wrong:
        raise BadValue("date.impossible", "a day of the calendar, YYYY-MM-DD") from wrong


def _birth_date(value: str, today: date) -> date:
    found = _day(value)
    if not date(1900, 1, 1) <= found <= today:
        raise BadValue("date.out_of_range", "a birth date lies between 1900-01-01 and today")
    return found


def _custom(one: Field | None, value: object) -> Json:
    if one is None:
        raise BadValue("field.unknown", "the list has no such field; see GET /v1/lists/{list}/fields")
    if value is None:
        return None
    if one.type is FieldType.BOOLEAN:
        if not isinstance(value, bool):
            raise BadValue("boolean.unknown", "true or false")
        return value
    if one.type is FieldType.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 1e30:
            raise BadValue("number.unreadable", "a JSON number below 1e30")
        if 0 < abs(value) < 1e-30:
            raise BadValue("number.out_of_range", "a JSON number that is 0 or from 1e-30 on")
        return value
    if not isinstance(value, str):
        raise BadValue("text.needed", "a JSON string")
    found = text(value, LONGEST_CUSTOM)
    if one.type is FieldType.DATE:
        return _day(found).isoformat()
    if one.type is FieldType.ENUM and found not in one.values:
        raise BadValue("enum.unknown", f"one of {', '.join(one.values[:20])}")
    return found
