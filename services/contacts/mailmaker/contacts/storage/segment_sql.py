"""contacts.storage.segment_sql: a rule as SQL: names from an allow-list, every value bound.

Three-valued logic gives the two values that rules have: a comparison with NULL is not true, `all` and `any` are true when
their parts are, and each `not` asks whether what is in it is true. What lies in other tables is joined one row to one
contact, not asked of each: a hash join costs the same under `any` and `not` as it does under `all`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from mailmaker.contacts.domain.lists import STANDARD_FIELDS
from mailmaker.contacts.domain.segment_fields import CUSTOM, ENGAGEMENT
from mailmaker.contacts.domain.segments import Day, Kind, Op, Rule, Test, Value
from mailmaker.contacts.storage.segment_text import like_sql

_COLUMNS = {
    name: f"c.{name}"
    for name in (*STANDARD_FIELDS, "email_consent", "sms_consent", "created_at", "changed_at")
}
_MOMENTS = {
    **{name: f"e.{name}_at" for name in ENGAGEMENT},
    "created_at": "c.created_at",
    "changed_at": "c.changed_at",
}
_SIGNS = {Op.EQ: "=", Op.NE: "<>", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}
_TYPES = {Kind.NUMBER: "numeric", Kind.BOOLEAN: "boolean", Kind.DATE: "date"}
_LIKE = (Op.SAME_AS, Op.STARTS_WITH, Op.CONTAINS, Op.ENDS_WITH)

# $1 is the account and $2 the list in every statement that a rule is a part of.
LAST = "LEFT JOIN engagement e ON e.account_id = c.account_id AND e.contact_id = c.id"
OF_MAILING = """
LEFT JOIN engagement_mailings {alias} ON {alias}.account_id = $1::uuid AND {alias}.mailing_id = {value}::uuid
      AND {alias}.kind = {kind}::text AND {alias}.contact_id = c.id
"""
TOUCHED = """
LEFT JOIN (SELECT DISTINCT r.contact_id FROM plans p
             JOIN plan_rows r ON r.account_id = p.account_id AND r.import_id = p.import_id
            WHERE p.account_id = $1::uuid AND p.list_id = {list} AND p.state = 'applied' AND r.applied
              AND r.action <> 'removed' AND {which}) {alias} ON {alias}.contact_id = c.id
"""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Parts of a statement over `contacts c`: more joins, a condition, and the values bound from `start` on."""

    joins: str
    where: str
    values: tuple[object, ...]


def compiled(rule: Rule, day: Day, start: int, *, list_of: str = "$2::uuid") -> Compiled:
    """A rule as SQL. Its first value is bound as `$start`; `list_of` is the SQL of the contact's list."""
    work = _Work(day, start, list_of)
    where = work.rule(rule)
    return Compiled("\n".join(work.joins.values()), where, tuple(work.values))


class _Work:
    def __init__(self, day: Day, start: int, list_of: str) -> None:
        self._day, self._start, self._list = day, start, list_of
        self.values: list[object] = []
        self.joins: dict[str, str] = {}
        self._aliases: dict[object, str] = {}

    def bind(self, value: object) -> str:
        self.values.append(value)
        return f"${self._start + len(self.values) - 1}"

    def rule(self, rule: Rule) -> str:
        if isinstance(rule, Test):
            return f"({self._test(rule)})"
        parts = [self.rule(one) for one in rule.rules]
        if rule.how == "all":
            return f"({' AND '.join(parts)})" if parts else "true"
        found = f"({' OR '.join(parts)})"
        return found if rule.how == "any" else f"({found} IS NOT TRUE)"

    def _test(self, test: Test) -> str:
        if test.kind is Kind.IMPORT:
            return self._import(test)
        if test.op is Op.OF_MAILING:
            return self._mailing(test)
        if test.kind in (Kind.MOMENT, Kind.ENGAGEMENT):
            return self._moment(test)
        field = self._field(test)
        if test.op is Op.IS_EMPTY:
            return f"{field} IS NULL"
        if test.op is Op.IS_NOT_EMPTY:
            return f"{field} IS NOT NULL"
        if test.op in _LIKE:
            return like_sql(field, test.op, str(test.value), self.bind)
        if test.kind is Kind.DATE and isinstance(test.value, int):
            return self._relative(field, test.op, test.value, custom=test.field.startswith(CUSTOM))
        return self._compared(field, test)

    def _field(self, test: Test) -> str:
        """The contact's value. A custom one of another type than its field has now is none."""
        if not test.field.startswith(CUSTOM):
            return _COLUMNS[test.field]
        key = f"c.custom -> {self.bind(test.stored or test.field.removeprefix(CUSTOM))}::text"
        if test.kind in (Kind.NUMBER, Kind.BOOLEAN):
            typed = _TYPES[test.kind]
            kind = "number" if test.kind is Kind.NUMBER else "boolean"
            return f"CASE WHEN jsonb_typeof({key}) = '{kind}' THEN ({key})::{typed} END"
        text = f"CASE WHEN jsonb_typeof({key}) = 'string' THEN nullif({key.replace('->', '->>')}, '') END"
        if test.kind is Kind.DATE:
            return f"substring({text} FROM '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$')"
        return text

    def _compared(self, field: str, test: Test) -> str:
        typed, value = _TYPES.get(test.kind, "text"), test.value
        if test.kind is Kind.DATE and test.field.startswith(CUSTOM):
            # ISO dates are in the order of their text.
            typed, value = "text", _iso(value)
        if test.kind is Kind.EMAIL:
            field, value = f'lower({field} COLLATE "C")', _small(value)
        elif typed == "text":
            field = f'({field}) COLLATE "C"'
        if isinstance(value, tuple):
            if test.op is Op.BETWEEN:
                return f"({field}) BETWEEN {self.bind(value[0])}::{typed} AND {self.bind(value[1])}::{typed}"
            sign = "= ANY" if test.op is Op.IN else "<> ALL"
            return f"({field}) {sign} ({self.bind(list(value))}::{typed}[])"
        return f"({field}) {_SIGNS[test.op]} {self.bind(value)}::{typed}"

    def _relative(self, field: str, op: Op, days: int, *, custom: bool) -> str:
        today, span = self._day.today, timedelta(days=days)
        if op is Op.ANNIVERSARY_IN_NEXT_DAYS:
            return self._anniversary(field, days, custom=custom)
        typed: Callable[[date], str] = (
            (lambda one: f"{self.bind(one.isoformat())}::text")
            if custom
            else (lambda one: f"{self.bind(one)}::date")
        )
        field = f'({field}) COLLATE "C"' if custom else field
        if op is Op.OLDER_THAN_DAYS:
            return f"{field} < {typed(today - span)}"
        first, last = (today - span, today) if op is Op.IN_LAST_DAYS else (today, today + span)
        return f"{field} BETWEEN {typed(first)} AND {typed(last)}"

    def _anniversary(self, field: str, days: int, *, custom: bool) -> str:
        coming = [self._day.today + timedelta(days=ahead) for ahead in range(min(days, 366) + 1)]
        found = {(one.month, one.day) for one in coming}
        if any((one.month, one.day) == (2, 28) and (one + timedelta(days=1)).day == 1 for one in coming):
            found.add((2, 29))
        if custom:
            texts = self.bind(sorted(f"{month:02}-{day:02}" for month, day in found))
            return f"substr({field}, 6, 5) = ANY ({texts}::text[])"
        numbers = self.bind(sorted(month * 100 + day for month, day in found))
        return (
            f"(date_part('month', {field}) * 100 + date_part('day', {field}))::int = ANY ({numbers}::int[])"
        )

    def _moment(self, test: Test) -> str:
        field, day = _MOMENTS[test.field], self._day
        if test.kind is Kind.ENGAGEMENT:
            self.joins["last"] = LAST
        if test.op in (Op.IS_EMPTY, Op.IS_NOT_EMPTY):
            return f"{field} IS {'NULL' if test.op is Op.IS_EMPTY else 'NOT NULL'}"
        first, last = _days_of(test, day.today)
        parts = []
        if first is not None:
            parts.append(f"{field} >= {self.bind(_begins(first, day))}::timestamptz")
        if last is not None:
            parts.append(f"{field} < {self.bind(_begins(last + timedelta(days=1), day))}::timestamptz")
        found = " AND ".join(parts)
        return f"NOT ({found})" if test.op is Op.NE else found

    def _mailing(self, test: Test) -> str:
        def join(alias: str) -> str:
            return OF_MAILING.format(alias=alias, kind=self.bind(test.field), value=self.bind(test.value))

        return self._joined((test.field, test.value), "m", join)

    def _import(self, test: Test) -> str:
        def join(alias: str) -> str:
            return TOUCHED.format(alias=alias, list=self._list, which=self._which(test))

        return self._joined((test.op, test.value), "i", join)

    def _joined(self, key: object, letter: str, join: Callable[[str], str]) -> str:
        """Whether the contact has a row in a joined set. The same set asked twice is joined once."""
        if key not in self._aliases:
            alias = self._aliases[key] = f"{letter}{len(self._aliases)}"
            self.joins[alias] = join(alias)
        return f"{self._aliases[key]}.contact_id IS NOT NULL"

    def _which(self, test: Test) -> str:
        if test.op is Op.IN_LAST_DAYS and isinstance(test.value, int):
            first = self.bind(_begins(self._day.today - timedelta(days=test.value), self._day))
            last = self.bind(_begins(self._day.today + timedelta(days=1), self._day))
            return f"p.applied_at >= {first}::timestamptz AND p.applied_at < {last}::timestamptz"
        one = f"p.import_id = {self.bind(test.value)}::uuid"
        # Who was new has no fields before; a new row that met a "no" counts as protected.
        return (
            one
            if test.op is Op.TOUCHED_BY
            else f"{one} AND r.before IS NULL AND r.action IN ('created', 'protected')"
        )


def _days_of(test: Test, today: date) -> tuple[date | None, date | None]:
    """The first and last day that a moment may lie in; of `ne` the day it may not."""
    op, value, one = test.op, test.value, timedelta(days=1)
    if isinstance(value, int):
        start = today - timedelta(days=value)
        return (start, today) if op is Op.IN_LAST_DAYS else (None, start - one)
    first, last = value if isinstance(value, tuple) else (value, value)
    if not (isinstance(first, date) and isinstance(last, date)):
        raise TypeError("a moment is compared with days")
    if op in (Op.EQ, Op.NE, Op.BETWEEN):
        return first, last
    if op in (Op.LT, Op.LE):
        return None, first - one if op is Op.LT else first
    return first + one if op is Op.GT else first, None


def _begins(day: date, of: Day) -> datetime:
    """The instant a day begins in the list's time zone; where its midnight is skipped, the end of the gap."""
    return datetime.combine(day, time(), of.zone).astimezone(UTC)


def _iso(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(str(one) for one in value)
    return str(value)


def _small(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(str(_small(one)) for one in value)
    return str(value).translate(_SMALL)


_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
