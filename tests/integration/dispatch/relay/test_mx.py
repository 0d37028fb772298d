"""Where mail goes, asked of a real name server on the loopback: answers, refusals, silence, and what is remembered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial

import dns.resolver
import pytest
from mailmaker.common.testing.clock import FakeClock
from mailmaker.common.testing.nameserver import Nameserver
from mailmaker.dispatch.domain.mx import (
    Addresses,
    Destination,
    DnsSilent,
    MxHost,
    NoAddress,
    NoSuchDomain,
    NullMx,
    OnlyPrivate,
    OtherFamily,
    in_order,
)
from mailmaker.dispatch.relay.mx import RECHECK, STALE, MxResolver, resolver_for

ZONE = """
.                  3600 IN SOA  . . 1 1 1 1 120
two.example.        300 IN MX   20 backup.two.example.
two.example.        300 IN MX   10 MX2.two.example.
two.example.        300 IN MX   10 mx1.two.example.
mx1.two.example.    600 IN A    1.2.3.4
mx1.two.example.    120 IN AAAA 2a00:1450::1
null.example.       300 IN MX   0 .
null.example.       300 IN A    1.2.3.4
mistaken.example.   300 IN MX   0 .
mistaken.example.   300 IN MX   10 mx1.two.example.
web.example.        600 IN A    1.2.3.5
web6.example.       600 IN AAAA 2a00:1450::2
text.example.       300 IN TXT  "no mail here"
alias.example.      100 IN CNAME two.example.
dangling.example.   300 IN CNAME gone.example.
home.example.       300 IN A    127.0.0.1
home.example.       300 IN A    10.0.0.1
home.example.       300 IN AAAA ::ffff:8.8.8.8
mixed.example.      300 IN A    192.168.0.1
mixed.example.      300 IN A    1.2.3.6
only6.example.      300 IN AAAA 2a00:1450::3
home4.example.      300 IN A    127.0.0.1
home4.example.      300 IN AAAA 2a00:1450::4
many.example.       300 IN MX   10 mx1.two.example.
short.example.        0 IN MX   10 mx1.two.example.
long.example.    604800 IN MX   10 mx1.two.example.
local.example.      300 IN MX   10 127.0.0.1.
"""


async def until(holds: Callable[[], bool]) -> None:
    """Waits for a condition, not for time."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture
async def ns() -> AsyncIterator[Nameserver]:
    async with Nameserver(ZONE) as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def mx(ns: Nameserver, clock: FakeClock) -> AsyncIterator[MxResolver]:
    made = MxResolver(clock, ns.address, chance=random.Random(1).random)
    yield made
    await made.close()


async def test_hosts_come_by_preference_and_whom_to_ask_first_is_chance(
    mx: MxResolver, clock: FakeClock
) -> None:
    found = await mx.hosts_of("two.example")
    hosts = (MxHost("mx1.two.example", 10), MxHost("mx2.two.example", 10), MxHost("backup.two.example", 20))
    assert found == Destination(hosts, implicit=False, expires=clock.boot() + 300)
    chance = random.Random(3).random
    firsts = {tuple(host.name[:3] for host in in_order(found.hosts, chance)) for _ in range(50)}
    assert firsts == {("mx1", "mx2", "bac"), ("mx2", "mx1", "bac")}


async def test_a_null_mx_is_a_permanent_no(mx: MxResolver, ns: Nameserver) -> None:
    assert await mx.hosts_of("null.example") == NullMx()
    assert NullMx.enhanced == "5.1.10"
    assert set(ns.asked) == {("null.example", "MX")}, "its A is nobody's business"


async def test_a_null_mx_beside_another_is_a_mistake(mx: MxResolver) -> None:
    found = await mx.hosts_of("mistaken.example")
    assert isinstance(found, Destination)
    assert found.hosts == (MxHost("mx1.two.example", 10),)


@pytest.mark.parametrize("domain", ["web.example", "web6.example"])
async def test_without_mx_the_domain_is_its_own_host(mx: MxResolver, clock: FakeClock, domain: str) -> None:
    # Until the "no MX" must be asked again: the SOA says 120.
    assert await mx.hosts_of(domain) == Destination((MxHost(domain, 0),), True, clock.boot() + 120)


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("gone.example", "does not exist"),
        ("dangling.example", "does not exist"),
        ("a..example", "does not exist"),
        (f"{'a' * 64}.example", "does not exist"),
        ("text.example", "no MX, A or AAAA"),
        ("example", "no MX, A or AAAA"),
    ],
)
async def test_where_no_mail_can_go(mx: MxResolver, domain: str, why: str) -> None:
    found = await mx.hosts_of(domain)
    assert isinstance(found, NoSuchDomain)
    assert why in found.why
    assert found.enhanced == "5.1.2"


async def test_an_alias_is_followed_and_kept_no_longer_than_it_may(mx: MxResolver, clock: FakeClock) -> None:
    found = await mx.hosts_of("alias.example")
    assert isinstance(found, Destination)
    assert len(found.hosts) == 3
    assert found.expires == clock.boot() + 100


async def test_a_failing_server_is_no_answer(ns: Nameserver, mx: MxResolver) -> None:
    ns.manners["two.example"] = "servfail"
    assert await mx.hosts_of("two.example") == DnsSilent("SERVFAIL")
    assert set(ns.asked) == {("two.example", "MX")}, "no answer is not the same as no MX"


async def test_no_mx_and_then_silence_is_no_answer(ns: Nameserver, mx: MxResolver) -> None:
    first = ns.delays["web.example"] = asyncio.Event()
    asking = asyncio.create_task(mx.hosts_of("web.example"))
    await until(lambda: ns.asked["web.example", "MX"] == 1)
    second = ns.delays["web.example"] = asyncio.Event()
    first.set()
    await until(lambda: ns.asked["web.example", "A"] == ns.asked["web.example", "AAAA"] == 1)
    ns.manners["web.example"] = "servfail"
    second.set()
    assert await asking == DnsSilent("SERVFAIL")


async def test_a_server_that_says_nothing_is_waited_for_so_long(ns: Nameserver, clock: FakeClock) -> None:
    mx = MxResolver(clock, ns.address, patience=0.2)
    ns.manners["two.example"] = "drop"
    assert await mx.hosts_of("two.example") == DnsSilent("timeout")
    assert DnsSilent.enhanced == "4.4.3"


async def test_a_machine_without_name_servers_is_silence(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: object, file: str) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", none)
    assert await MxResolver(clock).hosts_of("two.example") == DnsSilent("NoResolverConfiguration")


async def test_silence_is_not_asked_again_by_each_message(
    ns: Nameserver, mx: MxResolver, clock: FakeClock
) -> None:
    ns.manners["two.example"] = "servfail"
    for _ in range(3):
        assert isinstance(await mx.hosts_of("two.example"), DnsSilent)
    assert ns.asked["two.example", "MX"] == 1
    del ns.manners["two.example"]
    clock.pass_time(RECHECK)
    assert isinstance(await mx.hosts_of("two.example"), Destination)


async def test_the_last_answer_serves_while_the_dns_is_silent(
    ns: Nameserver, mx: MxResolver, clock: FakeClock
) -> None:
    fresh = await mx.hosts_of("two.example")
    assert isinstance(fresh, Destination)
    ns.manners["two.example"] = "servfail"
    clock.pass_time(300)
    stale = Destination(fresh.hosts, False, clock.boot() + RECHECK)
    assert await mx.hosts_of("two.example") == stale
    assert await mx.hosts_of("two.example") == stale
    assert ns.asked["two.example", "MX"] == 2
    # Silence does not prolong itself: the hour counts from the end of the last answer that was given.
    clock.pass_time(STALE - 1)
    last = await mx.hosts_of("two.example")
    assert last == Destination(fresh.hosts, False, clock.boot() + 1)
    clock.pass_time(1)
    assert await mx.hosts_of("two.example") == DnsSilent("SERVFAIL")
    del ns.manners["two.example"]
    clock.pass_time(RECHECK)
    assert await mx.hosts_of("two.example") == Destination(fresh.hosts, False, clock.boot() + 300)


async def test_a_stale_answer_bounces_nothing(ns: Nameserver, mx: MxResolver, clock: FakeClock) -> None:
    assert await mx.hosts_of("null.example") == NullMx()
    assert isinstance(await mx.hosts_of("gone.example"), NoSuchDomain)
    assert isinstance(await mx.addresses_of("home.example", ["ipv4"]), OnlyPrivate)
    for name in ("null.example", "gone.example", "home.example"):
        ns.manners[name] = "servfail"
    clock.pass_time(301)
    assert await mx.hosts_of("null.example") == DnsSilent("SERVFAIL")
    assert await mx.hosts_of("gone.example") == DnsSilent("SERVFAIL")
    assert await mx.addresses_of("home.example", ["ipv4"]) == DnsSilent("SERVFAIL")


@pytest.mark.parametrize(
    ("domain", "seconds"),
    [
        ("two.example", 300),
        ("short.example", 60),
        ("long.example", 86_400),
        ("gone.example", 120),
        ("text.example", 120),
    ],
)
async def test_an_answer_is_asked_again_when_its_time_is_over(
    ns: Nameserver, mx: MxResolver, clock: FakeClock, domain: str, seconds: float
) -> None:
    before = await mx.hosts_of(domain)
    ns.load({(domain, "MX"): ["5 other.example."]})
    clock.pass_time(seconds - 0.5)
    assert await mx.hosts_of(domain) == before
    assert ns.asked[domain, "MX"] == 1
    clock.pass_time(0.5)
    after = await mx.hosts_of(domain)
    assert isinstance(after, Destination)
    assert after.hosts == (MxHost("other.example", 5),)


async def test_a_no_without_soa_holds_for_five_minutes(
    ns: Nameserver, mx: MxResolver, clock: FakeClock
) -> None:
    ns.load({("other.example", "A"): ["1.2.3.4"]})
    assert isinstance(await mx.hosts_of("gone.example"), NoSuchDomain)
    clock.pass_time(299.5)
    await mx.hosts_of("gone.example")
    assert ns.asked["gone.example", "MX"] == 1
    clock.pass_time(0.5)
    await mx.hosts_of("gone.example")
    assert ns.asked["gone.example", "MX"] == 2


async def test_a_hundred_who_ask_at_once_ask_one_question(ns: Nameserver, mx: MxResolver) -> None:
    gate = ns.delays["two.example"] = asyncio.Event()
    asking = [asyncio.create_task(mx.hosts_of("two.example")) for _ in range(100)]
    await until(lambda: ns.asked["two.example", "MX"] == 1)
    # Who asked first, and others, give up: the rest still hears.
    for gone in asking[:10]:
        gone.cancel()
    gate.set()
    heard = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in heard[:10])
    assert len(set(map(str, heard[10:]))) == 1
    assert isinstance(heard[10], Destination)
    assert ns.asked == {("two.example", "MX"): 1}


async def test_so_many_questions_are_open_at_once(ns: Nameserver, clock: FakeClock) -> None:
    mx = MxResolver(clock, ns.address, at_once=2)
    names = [f"n{n}.example" for n in range(6)]
    gates = {name: asyncio.Event() for name in names}
    ns.delays.update(gates)

    def asked(so_many: int) -> bool:
        return ns.asked.total() == so_many

    asking = [asyncio.create_task(mx.hosts_of(name)) for name in names]
    for turn in range(5):
        await until(partial(asked, turn + 2))
        # Another's question goes to the server and back: a third one of ours would have been there before it.
        await resolver_for(ns.address).resolve("web.example", "A")
        del ns.asked["web.example", "A"]
        assert asked(turn + 2)
        gates[names[turn]].set()
        await asking[turn]
    gates[names[5]].set()
    await asking[5]
    assert ns.asked == {(name, "MX"): 1 for name in names}


async def test_who_does_not_get_a_turn_hears_that_it_is_us(ns: Nameserver, clock: FakeClock) -> None:
    mx = MxResolver(clock, ns.address, at_once=0, patience=0.05)
    assert await mx.hosts_of("two.example") == DnsSilent("too many questions at once")
    assert ns.asked.total() == 0


async def test_the_cache_is_bounded_and_forgets_the_least_used(ns: Nameserver, clock: FakeClock) -> None:
    mx = MxResolver(clock, ns.address, entries=3)
    for domain in ("two.example", "null.example", "many.example", "two.example", "long.example"):
        await mx.hosts_of(domain)
    assert ns.asked.total() == 4
    for domain in ("two.example", "many.example", "long.example"):
        await mx.hosts_of(domain)
    assert ns.asked.total() == 4
    await mx.hosts_of("null.example")
    assert ns.asked["null.example", "MX"] == 2


async def test_an_answer_cut_short_is_asked_for_by_tcp(ns: Nameserver, mx: MxResolver) -> None:
    ns.manners["many.example"] = "truncate"
    assert isinstance(await mx.hosts_of("many.example"), Destination)
    assert ns.asked["many.example", "MX"] == 2
    assert ns.asked_by_tcp["many.example", "MX"] == 1


async def test_an_answer_too_long_for_udp_comes_by_tcp(ns: Nameserver, mx: MxResolver) -> None:
    names = [f"{n:02}{'x' * 50}.example" for n in range(30)]
    ns.load({("many.example", "MX"): [f"10 {name}." for name in names]})
    found = await mx.hosts_of("many.example")
    assert isinstance(found, Destination)
    assert [host.name for host in found.hosts] == names
    assert ns.asked_by_tcp["many.example", "MX"] == 1


async def test_addresses_of_a_source_s_families(mx: MxResolver, clock: FakeClock) -> None:
    four = await mx.addresses_of("mx1.two.example", ["ipv4"])
    assert four == Addresses(("1.2.3.4",), clock.boot() + 600)
    six = await mx.addresses_of("MX1.two.example.", ["ipv6"])
    assert six == Addresses(("2a00:1450::1",), clock.boot() + 120)
    orders = set()
    for _ in range(50):
        both = await mx.addresses_of("mx1.two.example", ["ipv4", "ipv6"])
        assert isinstance(both, Addresses)
        assert both.expires == clock.boot() + 120
        orders.add(both.ips)
    assert orders == {("1.2.3.4", "2a00:1450::1"), ("2a00:1450::1", "1.2.3.4")}


async def test_what_is_private_is_never_a_target(mx: MxResolver) -> None:
    four = await mx.addresses_of("home.example", ["ipv4"])
    assert isinstance(four, OnlyPrivate)
    assert set(four.ips) >= {"10.0.0.1", "127.0.0.1"}
    six = await mx.addresses_of("home.example", ["ipv6"])
    assert isinstance(six, OnlyPrivate)
    assert "::ffff:8.8.8.8" in six.ips
    mixed = await mx.addresses_of("mixed.example", ["ipv4", "ipv6"])
    assert isinstance(mixed, Addresses)
    assert mixed.ips == ("1.2.3.6",)


async def test_an_mx_that_is_an_address_is_a_name_that_does_not_exist(mx: MxResolver, ns: Nameserver) -> None:
    found = await mx.hosts_of("local.example")
    assert isinstance(found, Destination)
    assert found.hosts == (MxHost("127.0.0.1", 10),)
    assert await mx.addresses_of("127.0.0.1", ["ipv4"]) == NoAddress()
    assert ns.asked["127.0.0.1", "AAAA"] == 0


async def test_what_is_private_is_a_target_where_it_is_allowed(ns: Nameserver, clock: FakeClock) -> None:
    mx = MxResolver(clock, ns.address, allow_private=True)
    found = await mx.addresses_of("home.example", ["ipv4"])
    assert isinstance(found, Addresses)
    assert set(found.ips) == {"10.0.0.1", "127.0.0.1"}


@pytest.mark.parametrize("host", ["only6.example", "home4.example"])
async def test_a_host_that_only_another_source_can_reach(mx: MxResolver, host: str) -> None:
    assert await mx.addresses_of(host, ["ipv4"]) == OtherFamily("ipv6")
    assert isinstance(await mx.addresses_of(host, ["ipv4", "ipv6"]), Addresses)


async def test_a_host_without_any_address(mx: MxResolver, ns: Nameserver) -> None:
    assert await mx.addresses_of("text.example", ["ipv4"]) == NoAddress()
    assert await mx.addresses_of("gone.example", ["ipv4"]) == NoAddress()
    ns.manners["only6.example"] = "servfail"
    assert await mx.addresses_of("only6.example", ["ipv4"]) == DnsSilent("SERVFAIL")
    assert ns.asked["only6.example", "AAAA"] == 0, "silence about one family is not a no about it"


async def test_the_questions_of_an_implicit_host_serve_its_addresses_too(
    mx: MxResolver, ns: Nameserver
) -> None:
    await mx.hosts_of("web.example")
    assert isinstance(await mx.addresses_of("web.example", ["ipv4"]), Addresses)
    assert ns.asked == {("web.example", kind): 1 for kind in ("MX", "A", "AAAA")}


async def test_who_is_closed_asks_no_more(ns: Nameserver, mx: MxResolver) -> None:
    ns.delays["two.example"] = asyncio.Event()
    asking = asyncio.create_task(mx.hosts_of("two.example"))
    await until(lambda: ns.asked["two.example", "MX"] == 1)
    await mx.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_one_factory_serves_every_question_of_the_house(ns: Nameserver) -> None:
    resolver = resolver_for(ns.address)
    assert resolver.cache is None
    (text,) = await resolver.resolve("text.example", "TXT")
    assert text.strings == (b"no mail here",)
    (six,) = resolver_for("[::1]:5353").nameservers
    assert str(six) == "Do53:::1@5353"
    (usual,) = resolver_for("127.0.0.1").nameservers
    assert str(usual) == "Do53:127.0.0.1@53"


@pytest.mark.parametrize("setting", ["dns.example:53", "127.0.0.1:no", "127.0.0.1:70000", ":53", "::1:53"])
def test_a_nameserver_that_is_no_address_is_told_at_once(setting: str, clock: FakeClock) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        MxResolver(clock, setting)
