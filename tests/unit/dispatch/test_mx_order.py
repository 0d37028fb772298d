"""Where mail goes, on paper: order of hosts, the null MX, how long an answer is kept, which addresses are public."""

from __future__ import annotations

import random
from collections import Counter
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.mx import (
    MOST,
    MxHost,
    in_order,
    is_public,
    kept_for,
    mail_hosts,
    shuffled,
)

HOSTS = st.lists(st.builds(MxHost, st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 3)), max_size=12)
PRIVATE = [IPv4Network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")]


@given(HOSTS, st.randoms(use_true_random=False))
def test_every_host_once_and_the_lower_preference_first(hosts: list[MxHost], chance: random.Random) -> None:
    ordered = in_order(hosts, chance.random)
    assert Counter(ordered) == Counter(hosts)
    assert [host.preference for host in ordered] == sorted(host.preference for host in hosts)


def test_hosts_of_one_preference_share_the_first_place() -> None:
    hosts = [MxHost("a", 5), MxHost("b", 5), MxHost("c", 5), MxHost("backup", 10)]
    chance = random.Random(7).random
    orders = Counter(tuple(host.name for host in in_order(hosts, chance)) for _ in range(6000))
    assert len(orders) == 6
    assert all(order[-1] == "backup" for order in orders)
    # Each of the six orders about 1000 times: six standard deviations are 173.
    assert all(827 < times < 1173 for times in orders.values())


@given(st.lists(st.text(max_size=3), max_size=12), st.randoms(use_true_random=False))
def test_a_shuffle_loses_nothing(things: list[str], chance: random.Random) -> None:
    assert Counter(shuffled(things, chance.random)) == Counter(things)


@pytest.mark.parametrize(
    ("records", "hosts"),
    [
        ([], ()),
        ([(0, ".")], ()),
        ([(10, ".")], ()),
        ([(0, "."), (10, ".")], ()),
        ([(0, "."), (20, "mx.example.")], (MxHost("mx.example", 20),)),
        ([(10, "MX.Example."), (5, "mx.example.")], (MxHost("mx.example", 5),)),
        ([(10, "b."), (10, "a."), (5, "z.")], (MxHost("z", 5), MxHost("a", 10), MxHost("b", 10))),
    ],
)
def test_the_hosts_that_mx_records_name(records: list[tuple[int, str]], hosts: tuple[MxHost, ...]) -> None:
    assert mail_hosts(records) == hosts


@given(st.lists(st.tuples(st.integers(0, 65535), st.sampled_from(["a.", "A.", "b.", "c.d.", "."]))))
def test_hosts_do_not_depend_on_the_order_of_the_records(records: list[tuple[int, str]]) -> None:
    hosts = mail_hosts(records)
    assert hosts == mail_hosts(reversed(records))
    assert {host.name for host in hosts} == {name.lower()[:-1] for _, name in records} - {""}


def test_who_names_thousands_of_hosts_is_asked_for_the_first() -> None:
    hosts = mail_hosts((preference, f"mx{preference}.example.") for preference in range(3000, 0, -1))
    assert [host.preference for host in hosts] == list(range(1, MOST + 1))


@pytest.mark.parametrize(
    ("ttl", "found", "seconds"),
    [
        (0, True, 60),
        (61, True, 61),
        (604_800, True, 86_400),
        (0, False, 60),
        (120, False, 120),
        (3600, False, 300),
    ],
)
def test_an_answer_is_kept_within_bounds(ttl: int, found: bool, seconds: float) -> None:
    assert kept_for(ttl, found=found) == seconds


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "2a00:1450::1%eth0",
        "fec0::1",
        "ff02::1",
        "",
        "localhost",
        "010.8.8.8",
        "8.8.8",
        "0x7f000001",
    ],
)
def test_no_mail_server_of_the_internet_has_this_address(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860::1",
        "2003::1",
        "2a00:1450::1",
        "2A00:1450:0:0:0:0:0:1",
        "3ffe::1",
    ],
)
def test_a_mail_server_of_the_internet_can_have_this_address(ip: str) -> None:
    assert is_public(ip)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_is_public_is_global_unicast(address: IPv4Address | IPv6Address) -> None:
    # The standard library calls a few more global (NAT64, anycast) but none of ours may be missing from it.
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.sampled_from(PRIVATE), st.integers(0), st.sampled_from(["{}", "::ffff:{}", "::{}", "64:ff9b::{}"]))
def test_no_spelling_makes_a_private_address_public(network: IPv4Network, n: int, spelling: str) -> None:
    address = network[n % network.num_addresses]
    spelt = spelling.format(address)
    assert int(ip_address(spelt)) & 0xFFFFFFFF == int(address)
    assert not is_public(spelt)
