"""contacts.domain.read_rule: a rule's JSON, from outside, to typed dataclasses; or everything that is wrong with it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from uuid import UUID

from mailmaker.contacts.domain.segment_fields import OPS, SPELLINGS, Known
from mailmaker.contacts.domain.segments import (
    DEEPEST,
    LONGEST_TEXT,
    MOST_DAYS,
    MOST_IN_SET,
    MOST_LOOKED_UP,
    MOST_NODES,
    Group,
    How,
    Kind,
    Op,
    Rule,
    Scalar,
    Test,
    Value,
    looks_up,
    tests,
)

FaultAt = tuple[str, str, str]
MOST_FAULTS = 50
_HOWS: tuple[How, ...] = ("all", "any", "not")
_DAYS = {Op.IN_LAST_DAYS, Op.IN_NEXT_DAYS, Op.OLDER_THAN_DAYS}
_EARLIEST, _LATEST = date(1000, 1, 1), date(9000, 1, 1)


class _Wrong(ValueError):
    def __init__(self, code: str, detail: str, at: str = "/value") -> None:
        super().__init__(detail)
        self.code, self.detail, self.at = code, detail, at


def read_rule(
    source: object, known: Mapping[str, Known], *, kept: bool = False
) -> tuple[Rule | None, tuple[FaultAt, ...]]:
    """The rule, or its faults as (JSON pointer, code, detail). `kept`: the rule was saved earlier; a choice that its
    field has lost since is no fault: whoever still has it is still meant."""
    reading = _Reading(known, kept)
    rule = reading.node(source, "/rule", 1)
    if rule is not None and sum(map(looks_up, tests(rule))) > MOST_LOOKED_UP:
        reading.fault(
            "/rule", "rule.too_many_lookups", f"at most {MOST_LOOKED_UP} leaves about imports or one mailing"
        )
    faults = tuple(reading.faults[:MOST_FAULTS])
    return (None, faults) if faults else (rule, ())


class _Reading:
    def __init__(self, known: Mapping[str, Known], kept: bool) -> None:
        self._known = known
        self._kept = kept
        self._nodes = 0
        self.faults: list[FaultAt] = []

    def fault(self, at: str, code: str, detail: str) -> None:
        self.faults.append((at, code, detail))

    def node(self, source: object, at: str, depth: int) -> Rule | None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            if self._nodes == MOST_NODES + 1:
                self.fault("/rule", "rule.too_large", f"at most {MOST_NODES} groups and leaves")
            return None
        if depth > DEEPEST:
            self.fault(at, "rule.too_deep", f"at most {DEEPEST} levels")
            return None
        if not isinstance(source, dict):
            self.fault(
                at,
                "rule.object_needed",
                'an object: {"all": [...]} or {"field": ..., "op": ..., "value": ...}',
            )
            return None
        hows = [how for how in _HOWS if how in source]
        if not hows:
            return self._leaf(source, at)
        if len(source) != 1:
            self.fault(at, "rule.one_key", "a group has one key: all, any or not")
            return None
        return self._group(hows[0], source[hows[0]], f"{at}/{hows[0]}", depth)

    def _group(self, how: How, members: object, at: str, depth: int) -> Rule | None:
        if how == "not" and isinstance(members, dict):
            members = [members]
        if not isinstance(members, list) or (not members and how != "all"):
            self.fault(
                at, "rule.list_needed", "a list of rules; only `all` may be empty, and means everybody"
            )
            return None
        read = [
            self.node(one, f"{at}/{place}", depth + 1) for place, one in enumerate(members[: MOST_NODES + 1])
        ]
        return Group(how, tuple(one for one in read if one is not None))

    def _leaf(self, source: dict[str, object], at: str) -> Rule | None:
        try:
            return self._test(source)
        except _Wrong as wrong:
            self.fault(at + wrong.at, wrong.code, wrong.detail)
            return None

    def _test(self, source: dict[str, object]) -> Test:
        field, op = source.get("field"), source.get("op")
        known = self._known.get(field) if isinstance(field, str) else None
        if known is None or not isinstance(field, str):
            raise _Wrong("rule.field_unknown", "no such field; a custom one is named custom.NAME", "/field")
        allowed = OPS[known.kind]
        found = SPELLINGS.get(op) or (Op(op) if op in set(Op) else None) if isinstance(op, str) else None
        if found is None or found not in allowed:
            raise _Wrong("rule.op_unknown", f"this field has: {', '.join(sorted(allowed))}", "/op")
        if any(key not in ("field", "op", "value") for key in source):
            raise _Wrong("rule.key_unknown", "a leaf has field, op and value, nothing else", "")
        return Test(field, known.kind, found, self._value(source, known, found), known.stored)

    def _value(self, source: dict[str, object], known: Known, op: Op) -> Value:
        value = source.get("value")
        if op in (Op.IS_EMPTY, Op.IS_NOT_EMPTY):
            if value is not None:
                raise _Wrong("rule.value_unused", "this op takes no value")
            return None
        if op in _DAYS:
            return _days(value, MOST_DAYS)
        if op is Op.ANNIVERSARY_IN_NEXT_DAYS:
            return _days(value, 366)
        if op in (Op.OF_MAILING, Op.TOUCHED_BY, Op.CREATED_BY):
            return _id(value)
        read: Callable[[object], Scalar] = lambda one: self._scalar(one, known)  # noqa: E731
        if op in (Op.IN, Op.NOT_IN):
            if not isinstance(value, list) or not 1 <= len(value) <= MOST_IN_SET:
                raise _Wrong("rule.set_needed", f"a list of 1 to {MOST_IN_SET} values")
            return _each(value, read)
        if op is Op.BETWEEN:
            if not isinstance(value, list) or len(value) != 2:
                raise _Wrong("rule.two_needed", "a list of two values, the lower one first")
            return _each(value, read)
        return read(value)

    def _scalar(self, value: object, known: Known) -> Scalar:
        if known.kind is Kind.NUMBER:
            return _number(value)
        if known.kind is Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise _Wrong("rule.boolean_needed", "true or false")
            return value
        if known.kind in (Kind.DATE, Kind.MOMENT, Kind.ENGAGEMENT):
            return _date(value)
        found = _text(value)
        if known.kind is Kind.CHOICE and not self._kept and found not in known.values:
            raise _Wrong("rule.choice_unknown", f"one of {', '.join(known.values[:20])}")
        return found


def _each(values: list[object], read: Callable[[object], Scalar]) -> tuple[Scalar, ...]:
    found = []
    for place, one in enumerate(values):
        try:
            found.append(read(one))
        except _Wrong as wrong:
            raise _Wrong(wrong.code, wrong.detail, f"/value/{place}") from wrong
    return tuple(found)


def _days(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _Wrong("rule.days_needed", f"a whole number of days, 0 to {most}")
    return value


def _id(value: object) -> UUID:
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError as wrong:
        raise _Wrong("rule.id_needed", "the id of a mailing or of an import") from wrong


def _number(value: object) -> Decimal:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or abs(value) >= 1e30
        or math.isnan(value)
    ):
        raise _Wrong("rule.number_needed", "a JSON number below 1e30")
    return Decimal(str(value))


def _date(value: object) -> date:
    try:
        found = date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError as wrong:
        raise _Wrong("rule.date_needed", "a day, YYYY-MM-DD") from wrong
    if not _EARLIEST <= found <= _LATEST:
        raise _Wrong("rule.date_out_of_range", "a day of the years 1000 to 8999")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("rule.text_needed", "a JSON string")
    found = unicodedata.normalize("NFC", value)
    if not found:
        raise _Wrong("rule.text_empty", "some text; for fields without a value there is is_empty")
    if len(found) > LONGEST_TEXT:
        raise _Wrong("rule.text_too_long", f"at most {LONGEST_TEXT} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in found):
        raise _Wrong("rule.control_character", "the text holds a control character")
    return found
