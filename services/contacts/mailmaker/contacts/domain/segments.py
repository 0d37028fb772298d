"""contacts.domain.segments: a saved rule that says who of a list is meant; read from JSON and checked here.

A rule is a tree. `{"all": [...]}`: every one of them holds. `{"any": [...]}`: at least one. `{"not": [...]}`: none.
A leaf is `{"field", "op", "value"}`; which ops a field has, domain.segment_fields says.

There are two truth values. A comparison with an empty field is false, whatever is asked of it, `ne` and `not_in` too;
`not` turns false into true. So `{"not": [{"field": "city", "op": "eq", "value": "Roma"}]}` holds for who has no city.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

MOST_SEGMENTS = 500
"""Segments of one list."""
DEEPEST = 8
MOST_NODES = 200
MOST_IN_SET = 1_000
MOST_LOOKED_UP = 8
"""Leaves of a rule that ask for one mailing or for imports: each of them is a set to join with."""
LONGEST_TEXT = 255
MOST_DAYS = 36_500


class Kind(StrEnum):
    """What a field is, as far as rules are concerned."""

    TEXT = "text"
    EMAIL = "email"
    CHOICE = "choice"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    ENGAGEMENT = "engagement"
    IMPORT = "import"


class Op(StrEnum):
    """What a leaf asks of its field."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    SAME_AS = "same_as"
    STARTS_WITH = "starts_with"
    CONTAINS = "contains"
    ENDS_WITH = "ends_with"
    IS_EMPTY = "is_empty"
    IS_NOT_EMPTY = "is_not_empty"
    IN_LAST_DAYS = "in_last_days"
    IN_NEXT_DAYS = "in_next_days"
    OLDER_THAN_DAYS = "older_than_days"
    ANNIVERSARY_IN_NEXT_DAYS = "anniversary_in_next_days"
    OF_MAILING = "of_mailing"
    TOUCHED_BY = "touched_by"
    CREATED_BY = "created_by"


Scalar = str | Decimal | date | bool | UUID
Value = Scalar | int | tuple[Scalar, ...] | None
How = Literal["all", "any", "not"]


@dataclass(frozen=True, slots=True)
class Test:
    """A leaf. `value` is typed by the field's kind and the op: a number of days, two ends, a set, or one value."""

    __test__ = False
    field: str
    kind: Kind
    op: Op
    value: Value = None
    stored: str = ""
    """What a custom field's values are kept under; a rename does not touch it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rules taken together. An `all` without any holds for everybody."""

    how: How
    rules: tuple[Rule, ...]


Rule = Test | Group


@dataclass(frozen=True, slots=True)
class Segment:
    """A rule of one list under a name. `version` counts the changes; every version's rule is kept."""

    account_id: UUID
    list_id: UUID
    id: UUID
    name: str
    rule: Mapping[str, object]
    created_at: datetime
    changed_at: datetime
    version: int
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """The day that relative dates count from: today in the list's time zone."""

    today: date
    zone: ZoneInfo


def day_of(now: datetime, timezone: str) -> Day:
    """The list's day at an instant."""
    zone = ZoneInfo(timezone)
    return Day(now.astimezone(zone).date(), zone)


def tests(rule: Rule) -> Iterator[Test]:
    """Every leaf, in the order of the rule."""
    if isinstance(rule, Test):
        yield rule
        return
    for one in rule.rules:
        yield from tests(one)


def searched(email: str | None, mobile: str | None, fkey: str | None, q: str | None) -> Rule | None:
    """What a search in a list asks, as a rule. Addresses are canonical; `q` looks in addresses, names and the key."""
    asked = {"email": email, "mobile": mobile, "fkey": fkey}
    kinds = {"email": Kind.EMAIL}
    found: list[Rule] = [
        Test(name, kinds.get(name, Kind.TEXT), Op.EQ, value) for name, value in asked.items() if value
    ]
    if q:
        names = ("email", "mobile", "fkey", "name", "surname")
        found.append(Group("any", tuple(Test(n, kinds.get(n, Kind.TEXT), Op.CONTAINS, q) for n in names)))
    return Group("all", tuple(found)) if found else None


def looks_up(test: Test) -> bool:
    """Whether a leaf asks for a set beside the contact: one mailing's recipients, an import's rows."""
    return test.kind is Kind.IMPORT or test.op is Op.OF_MAILING


def written(rule: Rule) -> dict[str, object]:
    """The rule as JSON again, in one spelling."""
    if isinstance(rule, Group):
        return {rule.how: [written(one) for one in rule.rules]}
    found: dict[str, object] = {"field": rule.field, "op": str(rule.op)}
    if rule.value is not None:
        found["value"] = _json(rule.value)
    return found


def _json(value: Value) -> object:
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
