"""dispatch.domain: the limits and rules of shaping.toml, read and proved, and what is wrong with it, said with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeVar, cast

from mailmaker.common.mail.reply import Reply, parse_reply
from mailmaker.dispatch.domain.pace import Rate
from mailmaker.dispatch.domain.reactions import ACTIONS, Action, Rule, first, pattern_of, seconds_of

T = TypeVar("T")
Tls = Literal["opportunistic", "required", "off"]
MOST_RULES = 500
HOUR = 3600.0
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ENHANCED = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")
_CODES = {"4xx": range(400, 500), "5xx": range(500, 600)}


class BadShaping(ValueError):
    """A shaping file that cannot be used: in which table, line and field, and what to do."""

    def __init__(self, what: str, table: str = "", line: int | None = None, field: str = "") -> None:
        self.what, self.table, self.line, self.field = what, table, line, field
        at = (f"[{table}]" if table else "", f"line {line}" if line else "", field)
        place = ", ".join(part for part in at if part)
        super().__init__(f"shaping.toml: {place}: {what}" if place else f"shaping.toml: {what}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one source may ask of one provider or site. Timeouts are seconds; None is no limit.

    `per_site`: the limits hold for each site of the provider, not for all of them together.
    """

    connections: int
    connection_rate: Rate | None
    per_connection: int
    rate: Rate | None
    per_hour: int | None
    per_day: int | None
    tls: Tls
    connect_timeout: float
    idle_timeout: float
    data_timeout: float
    dot_timeout: float
    per_site: bool = False


LIMIT_KEYS = frozenset(one.name for one in fields(Limits))
WHEN_KEYS = frozenset({"code", "enhanced", "text", "threshold"})
THEN_KEYS = frozenset({"action", "for", "connections", "rate"})
RULE_KEYS = frozenset({"name", "source", "sample"}) | WHEN_KEYS | THEN_KEYS


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file, read with its place in mind. `nth` counts tables of one name from 0."""

    name: str
    values: Mapping[str, object]
    text: str
    nth: int = 0

    def wrong(self, what: str, key: str = "") -> BadShaping:
        """What is wrong here."""
        return BadShaping(what, self.name, line_of(self.text, self.name, self.nth, key), key)

    def only(self, known: frozenset[str]) -> None:
        """Refuses keys nobody reads."""
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, sorted(known), 1)
                raise self.wrong(f"no such key; did you mean {near[0]}?" if near else "no such key", key)

    def need(self, key: str) -> object:
        """The value of a key that must be there."""
        if key not in self.values:
            raise self.wrong(f"{key} is missing")
        return self.values[key]

    def whole(self, key: str, most: int) -> int:
        """A whole number from 1."""
        value = self.need(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self.wrong(f"{shown(value)}: write a whole number from 1 to {most}", key)
        return value

    def count(self, key: str, most: int) -> int | None:
        """A whole number from 1; None where the key is missing or says "none"."""
        return None if self.values.get(key, "none") == "none" else self.whole(key, most)

    def strings(self, key: str) -> tuple[str, ...]:
        """A string or a list of strings, none of them empty; () where the key is missing."""
        value = self.values.get(key, [])
        several: list[object] = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) and one.strip() for one in several):
            raise self.wrong(f"{shown(value)}: write a string, or a list of strings", key)
        return tuple(cast("list[str]", several))

    def read(self, key: str, how: Callable[[str], T]) -> T:
        """A string that must be there, as `how` reads it."""
        value = self.need(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{shown(value)}: write a string that is not empty", key)
        try:
            return how(value)
        except ValueError as wrong:
            raise self.wrong(str(wrong), key) from wrong

    def maybe(self, key: str, how: Callable[[str], T]) -> T | None:
        """As `read`; None where the key is missing or says "none"."""
        return None if self.values.get(key, "none") == "none" else self.read(key, how)

    def seconds(self, key: str, most: float) -> float:
        """A duration of at most so many seconds."""
        seconds = self.read(key, seconds_of)
        if seconds > most:
            raise self.wrong(f"is longer than {most / HOUR:g}h", key)
        return seconds


def read_rules(values: object, name: str, text: str) -> tuple[Rule, ...]:
    """The rules of one list, each proved by its samples to be met before any other. Raises BadShaping."""
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise BadShaping(f"must be tables, written [[{name}]]", name)
    if len(values) > MOST_RULES:
        raise BadShaping(f"are {len(values)} rules, more than {MOST_RULES}", name)
    tables = [Table(name, values[nth], text, nth) for nth in range(len(values))]
    rules = tuple(_rule(table) for table in tables)
    for nth, (table, rule) in enumerate(zip(tables, rules, strict=True)):
        if any(rule.name == other.name for other in rules[:nth]):
            raise table.wrong(f"a rule {rule.name} stands before it; give it another name", "name")
        for sample in rule.samples:
            if (met := first(rules[:nth], sample)) is not None:
                what = f"rule {met.name} takes {shown(str(sample))} before it; narrow that, or move this up"
                raise table.wrong(what, "sample")
    return rules


def checked_name(name: str) -> str:
    """A name for a rule or provider: it shows up in lanes, metrics and pages. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{shown(name)}: write 1 to 40 of a-z, 0-9, _ and -")
    return name


def line_of(text: str, table: str, nth: int, key: str) -> int | None:
    """The line of a key, or else of its table, as such files are usually written. None: not found."""
    at, seen = None, -1
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if bare.startswith("["):
            if at is not None:
                break
            seen += (here := re.sub(r"[\[\s\"']", "", bare.partition("]")[0]) == table)
            at = number if here and seen == nth else None
        elif at is not None and key and bare.partition("=")[0].strip() == key:
            return number
    return at


def _rule(table: Table) -> Rule:
    table.only(RULE_KEYS)
    actions, samples = table.strings("action"), table.strings("sample")
    if not actions or not set(actions) <= set(ACTIONS) or len(set(actions)) < len(actions):
        raise table.wrong(f"write one or more of {', '.join(ACTIONS)}, each once", "action")
    threshold = table.maybe("threshold", Rate.parse)
    if threshold is not None and threshold.count > 1000:
        raise table.wrong("is more than 1000; the tally keeps every one of them", "threshold")
    rule = Rule(
        name=table.read("name", checked_name),
        codes=_codes(table),
        enhanced=frozenset(table.strings("enhanced")),
        text=table.read("text", pattern_of) if "text" in table.values else None,
        actions=cast("tuple[Action, ...]", actions),
        seconds=table.seconds("for", 7 * 24 * HOUR),
        threshold=threshold,
        connections=table.count("connections", 10_000),
        rate=table.maybe("rate", Rate.parse),
        samples=tuple(_sample(table, sample) for sample in samples),
        source=table.read("source", str),
    )
    if not all(map(_ENHANCED.fullmatch, rule.enhanced)):
        raise table.wrong("write codes such as 4.7.28", "enhanced")
    if not rule.codes and not rule.enhanced and rule.text is None:
        raise table.wrong("matches every reply; give it code, enhanced or text")
    if ("slow" in actions) != (rule.connections is not None or rule.rate is not None):
        raise table.wrong("connections and rate go with slow, and slow with one of them", "action")
    if not samples:
        raise table.wrong("has no sample; give it a whole reply that it must match")
    for sample in rule.samples:
        if not rule.matches(sample):
            raise table.wrong(f"does not match its own sample {shown(str(sample))}", "sample")
    return rule


def _codes(table: Table) -> frozenset[int]:
    value = table.values.get("code", [])
    codes: set[int] = set()
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one in _CODES:
            codes.update(_CODES[one])
        elif isinstance(one, int) and 400 <= one <= 599:
            codes.add(one)
        else:
            raise table.wrong(f'{shown(one)}: write 400 to 599, "4xx" or "5xx"', "code")
    return frozenset(codes)


def _sample(table: Table, text: str) -> Reply:
    try:
        reply = parse_reply(text.encode("utf-8", "replace").splitlines())
    except ValueError:
        reply = Reply(0, None, "")
    if not 400 <= reply.code <= 599:
        raise table.wrong(f"{shown(text)}: write a whole reply, from its 4xx or 5xx code on", "sample")
    return reply


def shown(value: object) -> str:
    """A value for a message, cut."""
    try:
        return f"{value!r:.100}"
    except ValueError:
        return "so large a number"
