"""tests: the shaping rules we ship, proved rule by rule: each reachable, each met by its samples, numbers as decided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.mail.reply import Reply, parse_reply
from mailmaker.dispatch.domain.pace import Rate
from mailmaker.dispatch.domain.reactions import pattern_of
from mailmaker.dispatch.domain.shaping import Limits, Reaction, Rule, lane_of, site_of
from mailmaker.dispatch.relay.shaped import shipped

SHIPPED = shipped()
HOUR = 3600.0
MIN_1, MIN_10 = Rate(1, 60.0), Rate(10, 60.0)
RULES: list[tuple[str | None, Rule]] = [
    *((name, rule) for name, provider in SHIPPED.providers.items() for rule in provider.rules),
    *((None, rule) for rule in SHIPPED.rules),
]
GMAIL = [f"{alt}gmail-smtp-in.l.google.com." for alt in ("", "alt1.", "alt2.", "alt3.", "alt4.")]


def reply(text: str) -> Reply:
    return parse_reply(text.encode().splitlines())


def met(provider: str | None, text: str) -> list[Reaction]:
    return list(SHIPPED.reactions(provider, reply(text)))


@pytest.mark.parametrize(("provider", "rule"), RULES, ids=lambda one: getattr(one, "name", one))
def test_each_rule_is_met_by_each_of_its_samples(provider: str | None, rule: Rule) -> None:
    assert rule.samples
    name = rule.name if provider is None else f"{provider}/{rule.name}"
    for sample in rule.samples:
        found = SHIPPED.reactions(provider, sample)
        assert {one.rule for one in found} == {name}
        assert [one.action for one in found] == list(rule.actions)
        assert {(one.provider, one.seconds, one.threshold) for one in found} == {
            (provider, rule.seconds, rule.threshold)
        }


@pytest.mark.parametrize(("provider", "rule"), RULES, ids=lambda one: getattr(one, "name", one))
def test_no_shipped_pattern_searches_without_bound(provider: str | None, rule: Rule) -> None:
    if rule.text is not None:
        assert pattern_of(rule.text.pattern) == rule.text
        assert not {"*", "+"} & set(rule.text.pattern.replace("\\*", "").replace("\\+", ""))


@pytest.mark.parametrize("name", SHIPPED.providers)
def test_each_provider_is_reached_by_its_hosts(name: str) -> None:
    provider = SHIPPED.providers[name]
    assert provider.mx
    for suffix in provider.mx:
        assert SHIPPED.provider_of("customer.example", [suffix]) == name
        assert SHIPPED.provider_of("customer.example", [f"MX1.in.{suffix.upper()}."]) == name
    everything = [f"mx{n}.{suffix}" for n in (1, 2) for suffix in provider.mx]
    assert SHIPPED.provider_of("customer.example", everything) == name
    for domain in provider.domains:
        assert SHIPPED.provider_of(domain.upper() + ".", ["mail.somewhere.example"]) == name


@pytest.mark.parametrize(
    ("domain", "hosts", "provider"),
    [
        ("gmail.com", GMAIL, "google"),
        ("company.example", ["smtp.google.com"], "google"),
        ("company.example", ["aspmx.l.google.com", "aspmx2.googlemail.com"], "google"),
        ("yahoo.com", ["mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net"], "yahoo"),
        ("aol.com", ["mx-aol.mail.gm0.yahoodns.net"], "yahoo"),
        ("yahoo.co.jp", ["mx1.mail.yahoo.co.jp", "mx2.mail.yahoo.co.jp"], "yahoo_jp"),
        ("hotmail.com", ["hotmail-com.olc.protection.outlook.com"], "microsoft"),
        ("company.example", ["company-example.mail.protection.outlook.com"], "microsoft365"),
        ("company.example", ["company-example.o-v1.mx.microsoft"], "microsoft365"),
        ("me.com", ["mx01.mail.icloud.com", "mx02.mail.icloud.com"], "icloud"),
        ("comcast.net", ["mx1a1.comcast.net", "mx2c1.comcast.net"], "comcast"),
        ("wanadoo.fr", ["smtp-in.orange.fr"], "orange"),
        ("gmx.de", ["mx00.emig.gmx.net", "mx01.emig.gmx.net"], "gmx"),
        ("web.de", ["mx-ha02.web.de", "mx-ha03.web.de"], "gmx"),
        ("company.example", ["eu-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-2.mimecast.com"], "mimecast"),
        ("company.example", ["mxa-00123.gslb.pphosted.com", "mxb-00123.gslb.pphosted.com"], "proofpoint"),
        ("company.example", ["d123456.a.ess.barracudanetworks.com"], "barracuda"),
        ("foxmail.com", ["mx1.qq.com", "mx2.qq.com"], "qq"),
        ("163.com", ["163mx01.mxmail.netease.com"], "netease"),
        ("libero.it", ["smtp-in.libero.it"], "libero"),
        ("virgilio.it", ["smtp-in.virgilio.it"], "virgilio"),
        ("alice.it", ["smtp.aliceposta.it"], "tim"),
        ("tim.it", ["mx.tim.it"], "tim"),
        ("azienda.example", ["mail.register.it"], "register"),
        ("tiscali.it", ["etb-1.mail.tiscali.it", "imp-5.mail.tiscali.it"], "tiscali"),
        ("kpnmail.nl", ["mx.kpnmail.nl"], "kpn"),
    ],
)
def test_domains_as_they_are_in_the_dns(domain: str, hosts: list[str], provider: str) -> None:
    assert SHIPPED.provider_of(domain, hosts) == provider


@pytest.mark.parametrize(
    "hosts",
    [
        [*GMAIL, "mx.company.example"],
        ["company-example.mail.protection.outlook.com", "aspmx.l.google.com"],
        ["mx.notgoogle.com"],
        ["google.com.company.example"],
        ["mx.companymimecast.com"],
        ["mx.gmx.net.company.example"],
        ["com"],
        ["."],
        [],
    ],
)
def test_a_mix_or_a_look_alike_is_nobodys(hosts: list[str]) -> None:
    assert SHIPPED.provider_of("company.example", hosts) is None


def test_the_hosts_tell_more_than_the_name() -> None:
    assert SHIPPED.provider_of("tiscali.it", GMAIL) == "google"
    assert SHIPPED.provider_of("tiscali.it", ["mx.company.example"]) == "tiscali"


@pytest.mark.parametrize(
    ("provider", "connections", "per_connection", "tls"),
    [
        (None, 10, 100, "opportunistic"),
        ("google", 5, 50, "required"),
        ("yahoo", 10, 20, "opportunistic"),
        ("microsoft", 5, 50, "opportunistic"),
        ("microsoft365", 5, 50, "opportunistic"),
        ("icloud", 10, 5, "opportunistic"),
        ("comcast", 25, 1000, "required"),
        ("orange", 2, 100, "required"),
        ("gmx", 4, 20, "required"),
        ("mimecast", 10, 100, "opportunistic"),
        ("yahoo_jp", 2, 20, "opportunistic"),
        ("qq", 4, 8, "opportunistic"),
        ("netease", 4, 7, "opportunistic"),
        ("kpn", 10, 10, "required"),
        ("libero", 4, 20, "opportunistic"),
        ("tim", 2, 20, "opportunistic"),
        ("aruba", 4, 20, "opportunistic"),
    ],
)
def test_the_limits_of_providers(
    provider: str | None, connections: int, per_connection: int, tls: str
) -> None:
    limits = SHIPPED.limits_of(provider)
    assert (limits.connections, limits.per_connection, limits.tls) == (connections, per_connection, tls)


def test_the_limits_of_everybody_else() -> None:
    assert SHIPPED.default == Limits(
        connections=10,
        connection_rate=Rate(100, 60.0),
        per_connection=100,
        rate=Rate(100, 1.0),
        per_hour=None,
        per_day=None,
        tls="opportunistic",
        connect_timeout=60.0,
        idle_timeout=60.0,
        data_timeout=30.0,
        dot_timeout=60.0,
    )
    assert SHIPPED.limits_of("never heard of") == SHIPPED.default
    assert {name for name, one in SHIPPED.providers.items() if one.limits.per_site} == {
        "mimecast",
        "proofpoint",
    }
    assert SHIPPED.limits_of("yahoo_jp").rate == Rate(10, 1.0)
    assert SHIPPED.limits_of("comcast").idle_timeout == 30.0


TSS = "421 4.7.0 [{}] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1"
REPUTATION = "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation."
ON_OUR_LIST = (
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet "
    "service provider since part of their network is on our block list (S3150)."
)
UNUSUAL = (
    "421-4.7.28 Gmail has detected an unusual rate of email originating from your IP address\n421 4.7.28 x"
)
BUSY = "451 4.7.500 Server busy. Please try again later from [192.0.2.9]. (AS761)"
THROTTLED = "451 4.2.0 Throttled - https://postmaster.comcast.net/smtp-error-codes.php#RL000010"


@pytest.mark.parametrize(
    ("provider", "text", "actions", "seconds", "rate", "connections"),
    [
        ("yahoo", TSS.format("TS02"), ["slow"], HOUR / 2, MIN_1, None),
        ("yahoo", TSS.format("TS03"), ["slow"], HOUR / 2, MIN_10, None),
        ("yahoo", TSS.format("TS04"), ["suspend"], 2 * HOUR, None, None),
        ("yahoo", TSS.format("TSS04"), ["suspend"], 2 * HOUR, None, None),
        ("yahoo", TSS.format("IPTS04"), ["suspend"], 2 * HOUR, None, None),
        ("yahoo", TSS.format("TSS05"), ["suspend"], 4 * HOUR, None, None),
        ("yahoo", TSS.format("IPTS05"), ["suspend"], 4 * HOUR, None, None),
        ("yahoo", TSS.format("TS01"), ["slow"], 1.5 * HOUR, MIN_1, 1),
        ("microsoft", REPUTATION, ["suspend"], HOUR, None, None),
        ("microsoft", ON_OUR_LIST, ["suspend", "page"], 2 * HOUR, None, None),
        ("google", UNUSUAL, ["slow"], HOUR / 2, MIN_10, None),
        (None, TSS.format("X"), ["slow"], 1.5 * HOUR, MIN_1, 1),
        (None, BUSY, ["slow"], 1.5 * HOUR, MIN_1, 1),
        ("fastweb", BUSY, ["slow"], 1.5 * HOUR, MIN_1, 1),
        ("comcast", THROTTLED, ["suspend_account"], 300.0, None, None),
    ],
)
def test_what_replies_set_off(
    provider: str | None,
    text: str,
    actions: list[str],
    seconds: float,
    rate: Rate | None,
    connections: int | None,
) -> None:
    found = met(provider, text)
    assert [one.action for one in found] == actions
    assert {one.seconds for one in found} == {seconds}
    assert (found[0].rate, found[0].connections) == (rate, connections)


@pytest.mark.parametrize(("provider", "rule"), RULES, ids=lambda one: getattr(one, "name", one))
def test_our_own_replies_set_off_nothing(provider: str | None, rule: Rule) -> None:
    for sample in rule.samples:
        assert SHIPPED.reactions(provider, sample, own=True) == ()
        assert SHIPPED.reactions(provider, Reply(250, "2.0.0", sample.text)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "450 4.7.1 <a@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/",
        "451 4.7.1 Greylisting in action, please come back in 00:05:00",
        "550 5.1.1 The email account that you tried to reach does not exist.",
        "552 5.2.2 The recipient's inbox is out of storage space and inactive.",
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
        "550 5.7.1 Message blocked by recipient",
        "421 4.4.2 mx.example.net Error: timeout exceeded",
        "421 Max message per connection reached, closing transmission channel",
        "554 5.4.14 Hop count exceeded - possible mail loop",
    ],
)
def test_what_is_about_one_person_or_message_shapes_nothing(text: str) -> None:
    for provider in (None, *SHIPPED.providers):
        assert met(provider, text) == []


def test_a_reply_is_looked_at_no_further_than_its_thousandth_character() -> None:
    said = "[TSS04] Messages from 192.0.2.1 temporarily deferred"
    assert SHIPPED.reactions("yahoo", Reply(421, "4.7.0", " " * (1000 - len(said)) + said))
    assert SHIPPED.reactions("yahoo", Reply(421, "4.7.0", " " * 1000 + said)) == ()


def test_a_thousand_domains_on_one_mx_share_one_lane() -> None:
    domains = [f"company{n}.example" for n in range(1000)]
    lanes = {lane_of(SHIPPED.provider_of(domain, GMAIL), site_of(GMAIL)) for domain in domains}
    assert lanes == {"google"}
    hosts = ["mx1.hoster.example.", "MX2.hoster.example"]
    lanes = {lane_of(SHIPPED.provider_of(domain, hosts), site_of(hosts)) for domain in domains}
    assert len(lanes) == 1
    assert lanes.pop().startswith("#")


def test_sites_spread_over_all_lanes_and_stay_there() -> None:
    lanes = [lane_of(None, f"mx.example{n}.net") for n in range(2000)]
    assert set(lanes) == {f"#{n:02d}" for n in range(64)}
    assert max(map(lanes.count, set(lanes))) < 3 * 2000 / 64
    # Frozen: messages are filed under these names.
    assert lane_of(None, "mx.example.net") == "#22"
    assert lane_of(None, site_of(GMAIL)) == "#63"
    assert lane_of(None, "mx.example.net", 1) == "#00"


@pytest.mark.parametrize(
    ("hosts", "site"),
    [
        (["mx.example.net"], "mx.example.net"),
        (["MX.Example.net.", "mx.example.net"], "mx.example.net"),
        (["mx2.example.net", "mx1.example.net"], "(mx1|mx2).example.net"),
        (["a.example.net", "b.example.org"], "(a.example.net|b.example.org)"),
        (["example.net", "mx.example.net"], "(|mx).example.net"),
        (GMAIL, "(alt1|alt2|alt3|alt4|).gmail-smtp-in.l.google.com"),
        ([], "()"),
        ([""], "()"),
    ],
)
def test_a_site_is_named_by_its_hosts(hosts: list[str], site: str) -> None:
    assert site_of(hosts) == site
    assert site_of(hosts[::-1]) == site


HOSTS = st.lists(
    st.one_of(st.text(max_size=300), st.from_regex(r"(mx[0-9]?\.)?(a|b)\.(net|org)\.?", fullmatch=True)),
    max_size=12,
)


def as_set(hosts: list[str]) -> set[str]:
    return {host.strip().rstrip(".").lower() for host in hosts} - {""}


@given(HOSTS, HOSTS)
def test_a_site_is_its_set_of_hosts(one: list[str], other: list[str]) -> None:
    assert len(site_of(one)) <= 200
    assert (site_of(one) == site_of(other)) == (as_set(one) == as_set(other))


@given(st.text(), HOSTS)
def test_any_domain_has_a_provider_or_none(domain: str, hosts: list[str]) -> None:
    provider = SHIPPED.provider_of(domain, hosts)
    assert provider is None or provider in SHIPPED.providers
    assert provider == SHIPPED.provider_of(domain, [host.upper() + "." for host in hosts]) or not all(
        host.isascii() for host in hosts
    )


@given(st.one_of(st.none(), st.sampled_from(sorted(SHIPPED.providers))), st.text(), st.integers(-5, 1000))
def test_a_lane_is_the_provider_or_a_bucket(provider: str | None, site: str, buckets: int) -> None:
    lane = lane_of(provider, site, buckets)
    assert lane == lane_of(provider, site, buckets)
    if provider is not None:
        assert lane == provider
    else:
        assert 0 <= int(lane.removeprefix("#")) < max(1, buckets)


@given(
    st.one_of(st.none(), st.text(), st.sampled_from(sorted(SHIPPED.providers))),
    st.integers(-10, 1000),
    st.one_of(st.none(), st.just("4.7.28"), st.text(max_size=9)),
    st.text(max_size=2000),
)
def test_any_reply_sets_off_something_sensible(
    provider: str | None, code: int, enhanced: str | None, text: str
) -> None:
    for found in SHIPPED.reactions(provider, Reply(code, enhanced, text)):
        assert found.provider == provider
        assert found.seconds > 0
        assert (found.action == "slow") == (found.rate is not None or found.connections is not None)
