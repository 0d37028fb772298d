"""contacts.domain.segment_holds: whether a rule holds for one contact, said plainly and without SQL.

Written apart from storage.segment_sql, so that each is the other's test: the two must agree for every rule and contact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.likeness import plain
from mailmaker.contacts.domain.segment_fields import CUSTOM
from mailmaker.contacts.domain.segments import Day, Group, Kind, Op, Rule, Test

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


@dataclass(frozen=True, slots=True)
class Touch:
    """An applied import that made or changed a contact."""

    import_id: UUID
    at: datetime
    created: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A contact and what else is known of it: when it was last reached, by which mailings, and its imports."""

    contact: Contact
    last: Mapping[str, datetime] = field(default_factory=dict)
    mailings: frozenset[tuple[str, UUID]] = frozenset()
    touches: tuple[Touch, ...] = ()


def holds(rule: Rule, person: Person, day: Day) -> bool:
    """Whether a rule holds for a person on a day."""
    if isinstance(rule, Test):
        return _test_holds(rule, person, day)
    found = [holds(one, person, day) for one in rule.rules]
    if rule.how == "all":
        return all(found)
    return any(found) if rule.how == "any" else not any(found)


def everybody(rule: Rule) -> bool:
    """Whether a rule asks nothing at all."""
    return isinstance(rule, Group) and rule.how == "all" and not rule.rules


def _test_holds(test: Test, person: Person, day: Day) -> bool:
    if test.kind is Kind.IMPORT:
        return any(_touched(test, touch, day) for touch in person.touches)
    if test.op is Op.OF_MAILING:
        return (test.field, test.value) in person.mailings
    value = _value_of(test, person, day)
    if test.op is Op.IS_EMPTY:
        return value is None
    if test.op is Op.IS_NOT_EMPTY:
        return value is not None
    return value is not None and _compares(test, value, day)


def _touched(test: Test, touch: Touch, day: Day) -> bool:
    if test.op is Op.IN_LAST_DAYS and isinstance(test.value, int):
        return 0 <= (day.today - touch.at.astimezone(day.zone).date()).days <= test.value
    return touch.import_id == test.value and (touch.created or test.op is Op.TOUCHED_BY)


def _value_of(test: Test, person: Person, day: Day) -> object:
    """The contact's value, or None where it is empty: a value of another type than its field's is none."""
    name, contact = test.field, person.contact
    if test.kind in (Kind.MOMENT, Kind.ENGAGEMENT):
        at = {"created_at": contact.created_at, "changed_at": contact.changed_at}.get(
            name
        ) or person.last.get(name)
        return None if at is None else at.astimezone(day.zone).date()
    if name in ("email_consent", "sms_consent"):
        return str(contact.email_consent if name == "email_consent" else contact.sms_consent)
    if not name.startswith(CUSTOM):
        return contact.values.get(name)
    value = contact.custom.get(test.stored or name.removeprefix(CUSTOM))
    if test.kind is Kind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if test.kind is Kind.NUMBER:
        return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if not isinstance(value, str) or value == "":
        return None
    if test.kind is Kind.DATE:
        return date.fromisoformat(value) if _ISO.match(value) else None
    return value


def _compares(test: Test, value: object, day: Day) -> bool:
    wanted: object = test.value
    if test.kind is Kind.EMAIL and test.op in (Op.EQ, Op.NE, Op.IN, Op.NOT_IN):
        value, wanted = _small(value), _small(wanted)
    if test.op in (Op.EQ, Op.NE):
        return (value == wanted) is (test.op is Op.EQ)
    if isinstance(wanted, tuple):
        if test.op is Op.BETWEEN:
            return bool(wanted[0] <= value <= wanted[1])
        return (value in wanted) is (test.op is Op.IN)
    if isinstance(value, str) and isinstance(wanted, str) and test.op in _LIKE:
        return _alike(test.op, plain(value), plain(wanted))
    if isinstance(value, date) and isinstance(wanted, int):
        return _relative(test.op, value, wanted, day.today)
    return _ordered(test.op, value, wanted)


_LIKE = (Op.SAME_AS, Op.STARTS_WITH, Op.ENDS_WITH, Op.CONTAINS)


def _alike(op: Op, value: str, wanted: str) -> bool:
    if op is Op.SAME_AS:
        return value == wanted
    if op is Op.STARTS_WITH:
        return value.startswith(wanted)
    return value.endswith(wanted) if op is Op.ENDS_WITH else wanted in value


def _small(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_small(one) for one in value)
    return "".join(c.lower() if c.isascii() else c for c in str(value))


def _ordered(op: Op, value: object, wanted: object) -> bool:
    if op in (Op.LT, Op.GE):
        return bool(value < wanted) is (op is Op.LT)  # type: ignore[operator]
    return bool(value > wanted) is (op is Op.GT)  # type: ignore[operator]


def _relative(op: Op, value: date, days: int, today: date) -> bool:
    ago = (today - value).days
    if op is Op.IN_LAST_DAYS:
        return 0 <= ago <= days
    if op is Op.IN_NEXT_DAYS:
        return 0 <= -ago <= days
    if op is Op.OLDER_THAN_DAYS:
        return ago > days
    coming = min(
        one for one in (_in_year(value, today.year), _in_year(value, today.year + 1)) if one >= today
    )
    return coming <= today + timedelta(days=days)


def _in_year(born: date, year: int) -> date:
    """The anniversary of a day in a year: of 29 February the 28th where the year has no 29th."""
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
