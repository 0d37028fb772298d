"""tests: a shaping file that could not work is refused, with its place; an operator's file is laid over ours."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.mail.reply import Reply
from mailmaker.dispatch.domain.pace import Rate
from mailmaker.dispatch.domain.shaping import BadShaping, Shaping
from mailmaker.dispatch.relay.shaped import MOST_BYTES, load, shipped

DEFAULT = """\
[default]
connections = 10
per_connection = 100
tls = "opportunistic"
connect_timeout = "60s"
idle_timeout = "60s"
data_timeout = "30s"
dot_timeout = "1m"
"""
GOOD = f"""\
{DEFAULT}
[provider.google]
mx = ["google.com"]
connections = 5

[[provider.google.rule]]
name = "unusual"
enhanced = "4.7.28"
action = "slow"
rate = "10/min"
for = "30m"
sample = "421 4.7.28 an unusual rate of mail"
source = "a page"

[[provider.google.rule]]
name = "reputation"
code = [421, "5xx"]
text = 'low \\w{{1,9}} reputation'
action = ["suspend", "page"]
threshold = "3/h"
for = "2h"
sample = ["550-5.7.1 a low quality\\n550 5.7.1 reputation", "421 low domain reputation"]
source = "a page"

[provider.kpn]
mx = ["kpnmail.nl"]
domains = ["kpn.nl"]

[[rule]]
name = "busy"
code = "4xx"
text = 'server busy'
action = "suspend_account"
for = "90m"
sample = "451 Server busy"
source = "a page"
"""
BASE = Shaping.parse(GOOD)
SHIPPED_TEXT = (resources.files("mailmaker.dispatch.domain") / "shaping.toml").read_text(encoding="utf-8")


def without(line: str) -> str:
    assert GOOD.count(line + "\n") >= 1
    return GOOD.replace(line + "\n", "", 1)


def instead(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def place(text: str, line: str) -> int:
    return text.split("\n").index(line) + 1


def test_the_good_file_is_good() -> None:
    assert list(BASE.providers) == ["google", "kpn"]
    assert BASE.limits_of("google").connections == 5
    assert BASE.limits_of("google").dot_timeout == 60.0
    assert BASE.limits_of("kpn") == BASE.default
    assert BASE.provider_of("kpn.nl", []) == "kpn"
    found = BASE.reactions("google", Reply(550, "5.7.1", "a LOW sender reputation"))
    assert [(one.action, one.rule, one.threshold) for one in found] == [
        ("suspend", "google/reputation", Rate(3, 3600.0)),
        ("page", "google/reputation", Rate(3, 3600.0)),
    ]
    assert [one.rule for one in BASE.reactions("google", Reply(451, None, "Server busy"))] == ["busy"]
    assert [one.rule for one in BASE.reactions(None, Reply(421, None, "a low key reputation"))] == []


@pytest.mark.parametrize(
    ("text", "table", "line", "says"),
    [
        ("[default", "", None, "is not TOML"),
        ("a = [" * 5000, "", None, "is not TOML"),
        ("connections = 1", "", None, "no such key"),
        ("rules = 1", "", None, "did you mean rule?"),
        ("default = 1", "default", None, "must be a table"),
        (without('tls = "opportunistic"'), "default", "[default]", "tls is missing"),
        (without("connections = 10"), "default", "[default]", "connections is missing"),
        (instead("connections = 10", "connections = true"), "default", "connections = true", "whole number"),
        (instead("connections = 10", "connections = 0"), "default", "connections = 0", "whole number from 1"),
        (instead("connections = 10", "connections = -0x" + "f" * 6000), "", None, "is not TOML"),
        (instead("connections = 10", "connections = 0x" + "f" * 6000), "default", None, "so large a number"),
        (
            instead("connections = 5", "conections = 5"),
            "provider.google",
            "conections = 5",
            "mean connections",
        ),
        (
            instead("connections = 5", 'rate = "5 per hour"'),
            "provider.google",
            'rate = "5 per hour"',
            "no rate",
        ),
        (instead("connections = 5", 'rate = "0/s"'), "provider.google", 'rate = "0/s"', "from 1"),
        (instead("connections = 5", 'tls = "yes"'), "provider.google", 'tls = "yes"', "required or off"),
        (
            instead("connections = 5", 'per_site = "no"'),
            "provider.google",
            'per_site = "no"',
            "true or false",
        ),
        (
            instead("connections = 5", 'dot_timeout = "2h"'),
            "provider.google",
            'dot_timeout = "2h"',
            "than 1h",
        ),
        (instead("connections = 5", "dot_timeout = 60"), "provider.google", "dot_timeout = 60", "a string"),
        (
            instead('"google.com"', '"google.com."'),
            "provider.google",
            'mx = ["google.com."]',
            "no dot.*google.com",
        ),
        (instead('"google.com"', '".google.com"'), "provider.google", 'mx = [".google.com"]', "no dot"),
        (instead('"google.com"', '"Google.com"'), "provider.google", 'mx = ["Google.com"]', "lower-case"),
        (instead('"google.com"', '"com"'), "provider.google", 'mx = ["com"]', "write a lower-case name"),
        (instead('["google.com"]', "[1]"), "provider.google", "mx = [1]", "a list of strings"),
        (instead('["kpn.nl"]', '["kpn.nl."]'), "provider.kpn", 'domains = ["kpn.nl."]', "no dot"),
        (
            instead('"kpnmail.nl"', '"mx.google.com"'),
            "provider.kpn",
            'mx = ["mx.google.com"]',
            "goes to google",
        ),
        (instead('"kpnmail.nl"', '"google.com"'), "provider.kpn", 34, "goes to google"),
        (
            instead('mx = ["google.com"]', 'mx = ["google.com"]\ndomains = ["kpn.nl"]'),
            "provider.kpn",
            36,
            "named by google",
        ),
        (instead("[provider.google]", "[provider.gmail]"), "provider.google", None, "no mail.*gmail, kpn"),
        (instead("[provider.kpn]", '[provider."K P N"]'), "provider.K P N", None, "write 1 to 40"),
        (
            instead("[provider.kpn]", "[provider]\nkpn = 1\n[provider.x]"),
            "provider.kpn",
            None,
            "must be a table",
        ),
        (
            without('sample = "421 4.7.28 an unusual rate of mail"'),
            "provider.google.rule",
            14,
            "has no sample",
        ),
        (instead('"421 4.7.28 an', '"421 4.7.0 an'), "provider.google.rule", 20, "its own sample"),
        (instead('"421 4.7.28 an', '"250 2.0.0 an'), "provider.google.rule", 20, "a whole reply"),
        (instead('"421 4.7.28 an', '"an'), "provider.google.rule", 20, "a whole reply"),
        (instead('enhanced = "4.7.28"', 'enhanced = "4.7"'), "provider.google.rule", 16, "such as 4.7.28"),
        (without('enhanced = "4.7.28"'), "provider.google.rule", 14, "matches every reply"),
        (without('rate = "10/min"'), "provider.google.rule", 17, "slow with one of them"),
        (instead('action = "slow"', 'action = "suspend"'), "provider.google.rule", 17, "go with slow"),
        (instead('action = "slow"', 'action = "stop"'), "provider.google.rule", 17, "one or more of slow"),
        (instead('action = "slow"', 'action = ["slow", "slow"]'), "provider.google.rule", 17, "each once"),
        (without('for = "30m"'), "provider.google.rule", 14, "for is missing"),
        (instead('for = "30m"', 'for = "8d"'), "provider.google.rule", 19, "longer than 168h"),
        (instead('for = "30m"', 'for = "half an hour"'), "provider.google.rule", 19, "no duration"),
        (without('source = "a page"'), "provider.google.rule", 14, "source is missing"),
        (without('name = "unusual"'), "provider.google.rule", 14, "name is missing"),
        (instead('name = "unusual"', 'name = "Un usual"'), "provider.google.rule", 15, "write 1 to 40"),
        (instead('name = "reputation"', 'name = "unusual"'), "provider.google.rule", 24, "another name"),
        (instead('code = [421, "5xx"]', 'code = [421, "55x"]'), "provider.google.rule", 25, "4xx"),
        (instead('code = [421, "5xx"]', "code = 250"), "provider.google.rule", 25, "400 to 599"),
        (instead('threshold = "3/h"', 'threshold = "2000/h"'), "provider.google.rule", 28, "more than 1000"),
        (instead("'low \\w", "'low \\\\w"), "provider.google.rule", 26, "doubled backslash"),
        (instead("'low \\w{1,9}", "'(low )+\\w{1,9}"), "provider.google.rule", 26, "repeats a group"),
        (instead("'low \\w{1,9}", "'low.*x.*"), "provider.google.rule", 26, "fewer of"),
        (instead("'low \\w{1,9}", "'low (\\w"), "provider.google.rule", 26, "no regular expression"),
        (instead('enhanced = "4.7.28"', "text = 'u|repu'"), "provider.google.rule", 30, "rule unusual takes"),
        (instead("[[provider.google.rule]]", "[provider.google.rule]"), "", None, "is not TOML"),
        (instead("[[rule]]", "[rule]"), "rule", None, r"written \[\[rule\]\]"),
        (instead('name = "busy"', 'names = "busy"'), "rule", 'names = "busy"', "did you mean name"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    text: str, table: str, line: int | str | None, says: str
) -> None:
    with pytest.raises(BadShaping, match=says) as wrong:
        Shaping.parse(text)
    assert wrong.value.table == table
    if line is not None:
        number = line if isinstance(line, int) else place(text, line)
        assert wrong.value.line == number
        assert f"[{table}], line {number}" in str(wrong.value)


def test_the_same_mistakes_that_others_shipped_are_refused() -> None:
    dead = """
        [provider.apple]
        mx = ["icloud.com"]
        [[provider.apple.rule]]
        name = "hcm1"
        text = '\\\\[HCM1\\\\] Your mail from \\S{1,45} was deferred'
        action = "suspend"
        for = "15m"
        sample = "421 [HCM1] Your mail from 192.0.2.1 was deferred."
        source = "there"
    """
    with pytest.raises(BadShaping, match="doubled backslash"):
        Shaping.parse(DEFAULT + dead)
    assert Shaping.parse(DEFAULT + dead.replace("\\\\", "\\")).reactions(
        "apple", Reply(421, None, "[HCM1] Your mail from 192.0.2.1 was deferred.")
    )


def over(text: str) -> Shaping:
    return Shaping.parse(text, over=BASE)


def test_an_empty_file_changes_nothing() -> None:
    assert over("") == BASE


def test_keys_replace_keys_and_defaults_reach_down() -> None:
    one = over(
        '[default]\nper_connection = 7\nrate = "9/s"\n[provider.google]\nconnections = 2\nrate = "none"'
    )
    assert (one.default.per_connection, one.default.connections, one.default.rate) == (7, 10, Rate(9, 1.0))
    google, kpn = one.limits_of("google"), one.limits_of("kpn")
    assert (google.connections, google.per_connection, google.rate) == (2, 7, None)
    assert (kpn.per_connection, kpn.rate) == (7, Rate(9, 1.0))
    assert one.provider_of("x.example", ["mx.google.com"]) == "google"
    assert one.providers["google"].rules == BASE.providers["google"].rules


def test_new_providers_come_first_and_may_be_narrower_only() -> None:
    one = over('[provider.bank]\nmx = ["bank.google.com"]\nconnections = 1')
    assert one.provider_of("bank.example", ["mx.bank.google.com"]) == "bank"
    assert one.provider_of("other.example", ["mx.google.com"]) == "google"
    assert one.provider_of("other.example", ["mx.google.com", "mx.bank.google.com"]) == "google"
    with pytest.raises(BadShaping, match=r"kpnmail\.nl always goes to dutch"):
        over('[provider.dutch]\nmx = ["kpnmail.nl"]')


def test_a_provider_is_taken_out_by_giving_it_nothing() -> None:
    one = over('[provider.kpn]\nmx = []\ndomains = []\n[provider.dutch]\nmx = ["kpnmail.nl"]')
    assert list(one.providers) == ["dutch", "google"]
    with pytest.raises(BadShaping, match="no mail is ever its own"):
        Shaping.parse(GOOD.replace('mx = ["google.com"]', "mx = []"))
    with pytest.raises(BadShaping, match="no mail is ever its own"):
        over("[provider.dutch]\nmx = []")


RULE = """
name = "{}"
code = 421
action = "page"
for = "1h"
sample = "421 4.7.28 whatever"
source = "our own log"
"""


def test_own_rules_come_first_and_a_known_name_takes_its_place() -> None:
    reply = Reply(421, "4.7.28", "x")
    first = over("[[provider.google.rule]]" + RULE.format("mine"))
    assert [one.rule for one in first.reactions("google", reply)] == ["google/mine"]
    assert [rule.name for rule in first.providers["google"].rules] == ["mine", "unusual", "reputation"]
    assert first.reactions("kpn", reply) == ()
    again = over("[[provider.google.rule]]" + RULE.format("unusual"))
    assert [rule.name for rule in again.providers["google"].rules] == ["unusual", "reputation"]
    assert [one.action for one in again.reactions("google", reply)] == ["page"]
    everywhere = over("[[rule]]" + RULE.format("mine"))
    assert [one.rule for one in everywhere.reactions("kpn", reply)] == ["mine"]
    assert [one.rule for one in everywhere.reactions("google", reply)] == ["google/unusual"]
    with pytest.raises(BadShaping, match="no mail is ever its own; known are: google, kpn"):
        over("[[provider.gmail.rule]]" + RULE.format("mine"))


def test_a_file_is_laid_over_the_one_we_ship(tmp_path: Path) -> None:
    assert load(None) is shipped()
    file = tmp_path / "shaping.toml"
    file.write_text('[provider.google]\nconnections = 3\n[provider.intranet]\nmx = ["corp.example"]\n')
    one = load(file)
    assert one.limits_of("google").connections == 3
    assert one.limits_of("google").tls == "required"
    assert one.provider_of("corp.example", ["mx.corp.example"]) == "intranet"
    assert one.rules == shipped().rules


def test_a_file_that_cannot_be_read_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BadShaping, match="cannot be read"):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(BadShaping, match="cannot be read"):
        load(tmp_path)
    file = tmp_path / "shaping.toml"
    file.write_bytes(b"# \xff")
    with pytest.raises(BadShaping, match="is not UTF-8"):
        load(file)
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(BadShaping, match="more than"):
        load(file)
    file.write_bytes(b"#" * MOST_BYTES)
    assert load(file) == shipped()


BITS = st.sampled_from(
    [
        "0",
        "-1",
        "true",
        "1e999",
        "nan",
        "[]",
        "{}",
        "[[]]",
        '""',
        "''",
        "1979-05-27",
        '"none"',
        '"9/h"',
        "'('",
        "\\",
    ]
    + [
        "[",
        "]",
        "[[rule]]",
        "[provider.x]",
        "=",
        "\n",
        ".",
        "#",
        "'",
        '"',
        "'''",
        "0x" + "f" * 5000,
        "\x00",
        "é",
    ]
    + [line for line in GOOD.split("\n") if line]
)


def read_or_refused(text: str, under: Shaping | None = None) -> Shaping | BadShaping:
    try:
        return Shaping.parse(text, over=under)
    except BadShaping as wrong:
        return wrong


@settings(max_examples=200)
@given(st.data())
def test_any_file_is_read_or_refused(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.sampled_from([0, 0, 1, 3, 12, 40]))
        if data.draw(st.booleans()):
            # A whole value, so that more than the TOML parser is tried.
            start = text.find("= ", start) + 2
            end = max(start, text.find("\n", start))
        text = text[:start] + data.draw(st.one_of(BITS, st.text(max_size=20))) + text[end:]
    for under in (None, BASE):
        one = read_or_refused(text, under)
        if isinstance(one, Shaping):
            assert one.limits_of("google").connections >= 1
        else:
            assert one.line is None or 1 <= one.line <= text.count("\n") + 1


@settings(max_examples=20)
@given(st.integers(0, 10**9), st.text(max_size=3))
def test_what_we_ship_is_read_or_refused_when_it_is_hurt(at: int, put: str) -> None:
    text = SHIPPED_TEXT
    at %= len(text)
    one = read_or_refused(text[:at] + put + text[at + 1 :])
    assert isinstance(one, Shaping) or str(one).startswith("shaping.toml: ")
