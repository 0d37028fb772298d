"""dispatch.domain: what a server's reply sets off: a rule, its reactions, the tally of its threshold (SHP-6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mailmaker.common.mail.reply import Reply
from mailmaker.dispatch.domain.pace import Rate

Action = Literal["slow", "suspend", "suspend_account", "page"]
ACTIONS: tuple[Action, ...] = ("slow", "suspend", "suspend_account", "page")
CUT = 1000
"""Characters of a reply that rules look at."""
MOST_WORK = 4000
"""Ways in which a pattern may be tried at one place of a reply: the worst reply costs some tenths of a second."""
_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
}
_UNITS |= {"day": 86400}
_DURATION = re.compile(r"([0-9]{1,6}) ?(s|m|min|h|d)")
_BOUNDS = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")


def seconds_of(text: str) -> float:
    """Seconds, from `45s`, `30m`, `2h`, `1d`. Raises ValueError, which says how to write it."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is no duration: write a whole number from 1, then s, m, h or d")
    return float(int(found[1]) * _UNITS[found[2]])


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do on one egress path, and for how long.

    `slow`: at most `connections` and `rate` (None: as they are). `suspend`: nothing from this source to this provider
    or site. `suspend_account`: nothing of the message's account there. `page`: tell the operator, and not again
    meanwhile. `rule` names the rule: `google/unusual-rate`, or `spamhaus` for one that holds everywhere.
    """

    action: Action
    provider: str | None
    rule: str
    seconds: float
    threshold: Rate | None = None
    connections: int | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the file. A reply must have one of `codes`, one of `enhanced` and contain `text`, as far as given."""

    name: str
    codes: frozenset[int]
    enhanced: frozenset[str]
    text: re.Pattern[str] | None
    actions: tuple[Action, ...]
    seconds: float
    threshold: Rate | None
    connections: int | None
    rate: Rate | None
    samples: tuple[Reply, ...]
    source: str

    def matches(self, reply: Reply) -> bool:
        """Whether the rule speaks of this reply."""
        if self.codes and reply.code not in self.codes:
            return False
        if self.enhanced and reply.enhanced not in self.enhanced:
            return False
        return self.text is None or self.text.search(reply.text[:CUT]) is not None

    def reactions(self, provider: str | None, rule: str) -> tuple[Reaction, ...]:
        """Its actions on one path, in the order of the file."""
        return tuple(
            Reaction(action, provider, rule, self.seconds, self.threshold, self.connections, self.rate)
            if action == "slow"
            else Reaction(action, provider, rule, self.seconds, self.threshold)
            for action in self.actions
        )


def first(rules: tuple[Rule, ...], reply: Reply) -> Rule | None:
    """The first rule that speaks of this reply."""
    return next((rule for rule in rules if rule.matches(reply)), None)


@dataclass(frozen=True, slots=True)
class Tally:
    """When one rule was met on one path, as far back as its threshold looks. Never longer than the threshold."""

    instants: tuple[float, ...] = ()

    def strike(self, threshold: Rate | None, now: float) -> tuple[Tally, bool]:
        """The tally after one more reply at `now` (seconds, monotonic), and whether the rule acts.

        It acts when `count` replies fell within the last `seconds`, this one too; then the count begins anew.
        Without a threshold it acts at once.
        """
        if threshold is None:
            return Tally(), True
        recent = (*(at for at in self.instants if now - at < threshold.seconds), now)
        if len(recent) >= threshold.count:
            return Tally(), True
        return Tally(recent), False


def pattern_of(text: str) -> re.Pattern[str]:
    """A rule's regular expression, case-insensitive. Raises ValueError, which says what to change.

    Refused is what replies never need and what could make a match last: repeated groups, look-around, references,
    nested sets, and more ways to match than MOST_WORK.
    """
    if "\\\\" in text:
        raise ValueError("has a doubled backslash; between single quotes TOML wants one only")
    if not text or len(text) > 400 or text.count("(") > 20:
        raise ValueError("must have 1 to 400 characters and at most 20 groups")
    if (work := _work(text)) > MOST_WORK:
        raise ValueError(
            f"can be tried in {work} ways at each place, more than {MOST_WORK}: use fewer of *, + and ?"
        )
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError) as wrong:
        raise ValueError(f"is no regular expression: {wrong}") from wrong
    if pattern.search("") is not None:
        raise ValueError("matches an empty reply, so every one; say what it is about")
    return pattern


def _work(text: str) -> int:
    """In how many ways a pattern can be tried at one place: its choices multiplied, its alternatives added."""
    alternatives, ways, outer = 0, 1, list[tuple[int, int]]()
    at, in_group = 0, False
    while at < len(text):
        sign, group_ended = text[at], False
        if sign == "\\":
            if text[at + 1 : at + 2].isdigit():
                raise ValueError("refers to a group (\\1); write out what it stands for")
            at += 2
        elif sign == "[":
            at = _after_set(text, at)
        elif sign == "(":
            if text.startswith("(?", at) and not text.startswith("(?:", at):
                raise ValueError("has a (?…) other than (?:…); only plain groups are understood")
            outer.append((alternatives, ways))
            alternatives, ways, at = 0, 1, at + (3 if text.startswith("(?:", at) else 1)
        elif sign == ")" and outer:
            (alternatives, before), inside = outer.pop(), alternatives + ways
            ways, at, group_ended = before * inside, at + 1, True
        elif (choices := _choices(text, at)) is not None:
            if in_group and sign != "?":
                raise ValueError("repeats a group; repeat a single character or set only")
            ways, at = ways * choices[0], choices[1]
            # What follows a quantifier only changes its greed.
            at += text[at : at + 1] in ("?", "+")
        else:
            if sign == "|":
                alternatives, ways = alternatives + ways, 1
            at += 1
        in_group = group_ended
    return alternatives + ways


def _choices(text: str, at: int) -> tuple[int, int] | None:
    """How many lengths the quantifier here allows, and where it ends. None: there is none here."""
    if text[at] in "*+":
        return CUT, at + 1
    if text[at] == "?":
        return 2, at + 1
    found = _BOUNDS.match(text, at)
    if found is None or found[0] == "{}":
        return None
    least = int(found[1] or 0)
    most = least if not found[2] else int(found[3]) if found[3] else least + CUT
    return max(1, most - least + 1), found.end()


def _after_set(text: str, at: int) -> int:
    """Where a set `[…]` ends."""
    start = at + 2 if text.startswith("[^", at) else at + 1
    end = start
    while end < len(text) and (text[end] != "]" or end == start):
        if text[end] == "[" or text[end : end + 2] in ("--", "&&", "~~", "||"):
            raise ValueError("has [, --, &&, ~~ or || within a set; put a backslash before them")
        end += 2 if text[end] == "\\" else 1
    return end + 1
