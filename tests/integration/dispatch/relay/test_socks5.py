"""Mail through a SOCKS5 proxy leaves from the address that was asked for, or not at all: our client, our proxy, both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiosmtplib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.dispatch.domain.mx import is_public
from mailmaker.dispatch.egress import frames
from mailmaker.dispatch.egress.__main__ import told
from mailmaker.dispatch.egress.carry import carry
from mailmaker.dispatch.egress.proxy import Egress
from mailmaker.dispatch.egress.rules import Rules
from mailmaker.dispatch.relay.socks5 import NotBound, Proxy, ProxyRefused, open_through
from scripted_server import ScriptedServer, serving

BANNER = b"220 target\r\n"
LENT = "127.0.0.11"
HELLO, WELCOME = b"\5\1\0", b"\5\0"
BIND = b"\5\2\0\1\x7f\0\0\x0b\0\0"
BOUND = b"\5\0\0\1\x7f\0\0\x0b\x30\x39"


@dataclass
class Target:
    """Says its banner, sends back what it reads, ends when its client has ended; remembers who came."""

    host: str = "127.0.0.1"
    port: int = 0
    peers: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.peers.append(writer.get_extra_info("peername")[0])
        try:
            writer.write(BANNER)
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def target(host: str = "127.0.0.1") -> AsyncIterator[Target]:
    it = Target(host)
    server = await asyncio.start_server(it.serve, host, 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        for task in it.tasks:
            task.cancel()
        await asyncio.gather(*it.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def lending(
    *ports: int, addresses: tuple[str, ...] = (LENT,), host: str = "127.0.0.1", **rules: Any
) -> AsyncIterator[tuple[Egress, Proxy]]:
    """Our proxy, and how to reach it."""
    lent = frozenset(map(ip_address, addresses))
    egress = Egress(Rules(lent, frozenset(ports or (25,)), **{"private": True, **rules}))
    port = await egress.listen(host, 0)
    try:
        yield egress, Proxy(host, port, rules.get("username"), rules.get("password"))
    finally:
        await egress.close()


@dataclass
class Script:
    """A proxy by hand: reads so many bytes, answers this, and again; then waits until its client hangs up."""

    steps: list[tuple[int, bytes | None]]
    heard: bytes = b""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for size, answer in self.steps:
                self.heard += await reader.readexactly(size)
                if answer is None:
                    break
                writer.write(answer)
            else:
                self.heard += await reader.read(-1)
        writer.close()
        self.gone.set()


@contextlib.asynccontextmanager
async def scripted(*steps: tuple[int, bytes | None]) -> AsyncIterator[tuple[Script, Proxy]]:
    script = Script(list(steps))
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    try:
        yield script, Proxy("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.wait_for(script.gone.wait(), 10)
    finally:
        server.close()


async def through(proxy: Proxy, to: Target, source: str = LENT, timeout: float = 10.0) -> socket.socket:
    return await open_through(proxy, source, to.host, to.port, timeout)


async def receive(sock: socket.socket, size: int) -> bytes:
    """That many bytes, or all until the end."""
    got = bytearray()
    async with asyncio.timeout(20):
        while len(got) < size and (more := await asyncio.get_running_loop().sock_recv(sock, size - len(got))):
            got += more
    return bytes(got)


async def ask(proxy: Proxy, sent: bytes) -> bytes:
    """What our proxy answers to these bytes until it closes; the client's half is closed behind them."""
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                writer.write(sent)
                writer.write_eof()
                return await reader.read(-1)
            return b""
    finally:
        writer.close()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if reached():
                return
            await asyncio.sleep(0.01)


async def none_runs(egress: Egress) -> None:
    await until(lambda: egress.running == 0)


async def works(proxy: Proxy, to: Target, source: str = LENT) -> None:
    with await through(proxy, to, source) as sock:
        assert await receive(sock, len(BANNER)) == BANNER


# Together


@pytest.mark.parametrize("source", ["127.0.0.11", "127.0.0.12"])
async def test_the_target_sees_the_source_that_was_asked_for(source: str) -> None:
    async with target() as to, lending(to.port, addresses=("127.0.0.11", "127.0.0.12")) as (_, proxy):
        await works(proxy, to, source)
        assert to.peers == [source]


async def test_the_target_sees_an_ipv6_source() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    async with target("::1") as to, lending(to.port, addresses=("::1",), host="::1") as (_, proxy):
        await works(proxy, to, "::1")
        assert to.peers == ["::1"]


async def test_aiosmtplib_takes_the_socket() -> None:
    async with serving(ScriptedServer()) as server, lending(server.port) as (_, proxy):
        sock = await open_through(proxy, LENT, "127.0.0.1", server.port, 10)
        async with aiosmtplib.SMTP(
            sock=sock, port=None, local_hostname="client.test", start_tls=False
        ) as smtp:
            await smtp.sendmail("a@client.test", ["b@target.test"], b"Subject: 1\r\n\r\nbody\r\n")
        (seen,) = server.seen
        assert seen.data == b"Subject: 1\r\n\r\nbody\r\n"


async def test_a_refused_bind_is_not_bound_and_the_target_hears_nothing() -> None:
    async with target() as to, lending(to.port, addresses=(LENT, "203.0.113.5")) as (egress, proxy):
        # The second is lent by the rules, but this machine does not have it.
        for source, code in (("127.0.0.12", 2), ("203.0.113.5", 1)):
            with pytest.raises(NotBound) as no:
                await through(proxy, to, source)
            assert (no.value.step, no.value.code) == ("bind", code)
        await none_runs(egress)
        await works(proxy, to)
        assert to.peers == [LENT]


async def test_signing_in() -> None:
    sign_in: dict[str, Any] = {"username": "relay", "password": "pass-è"}
    async with target() as to, lending(to.port, **sign_in) as (_, proxy):
        await works(proxy, to)
        for wrong in (("relay", "pass"), ("rela", "pass-è"), ("pass-è", "relay"), (None, None)):
            with pytest.raises(ProxyRefused, match="user name") as no:
                await through(Proxy(proxy.host, proxy.port, *wrong), to)
            assert (no.value.step, no.value.code) == ("greeting", None)
        assert to.peers == [LENT]
    async with target() as to, lending(to.port) as (_, proxy):
        # Who could sign in need not where nobody asks.
        await works(Proxy(proxy.host, proxy.port, "relay", "pass-è"), to)


async def test_a_destination_that_the_rules_do_not_allow() -> None:
    async with target() as to:
        for ports, private in (((25,), True), ((to.port,), False)):
            async with lending(*ports, private=private) as (_, proxy):
                with pytest.raises(ProxyRefused) as no:
                    await through(proxy, to)
                assert (no.value.step, no.value.code) == ("connect", 2)
                assert not isinstance(no.value, NotBound)
        assert to.peers == []


async def test_a_destination_that_refuses_or_keeps_silent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        to = Target(port=taken.getsockname()[1])
        async with lending(to.port) as (_, proxy):
            with pytest.raises(ProxyRefused) as no:
                await through(proxy, to)
            assert (no.value.step, no.value.code) == ("connect", 5)
        taken.listen(0)
        async with lending(to.port, connect=0.2) as (_, proxy):
            with contextlib.ExitStack() as line:
                for _ in range(4):  # the line of those who wait is full: the kernel drops who else comes
                    waiting = line.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(("127.0.0.1", to.port))
                with pytest.raises(ProxyRefused) as no:
                    await through(proxy, to)
            assert (no.value.step, no.value.code) == ("connect", 6)


async def test_five_megabytes_both_ways_arrive_whole_behind_a_half_close() -> None:
    whole = os.urandom(5_000_000)
    async with target() as to, lending(to.port) as (egress, proxy):
        with await through(proxy, to) as sock:
            back = asyncio.create_task(receive(sock, len(whole) * 2))
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, whole), 20)
            sock.shutdown(socket.SHUT_WR)
            assert await back == BANNER + whole
        await none_runs(egress)


async def test_the_target_may_close_its_half_first() -> None:
    got = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(BANNER)
        writer.write_eof()
        got.set_result(await reader.read(-1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with lending(port) as (egress, proxy):
        with await open_through(proxy, LENT, "127.0.0.1", port, 10) as sock:
            assert await receive(sock, 100) == BANNER
            await asyncio.get_running_loop().sock_sendall(sock, b"still here")
            sock.shutdown(socket.SHUT_WR)
            assert await asyncio.wait_for(got, 10) == b"still here"
        await none_runs(egress)
    server.close()


async def test_a_reset_goes_on_as_a_reset() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with lending(port) as (_, proxy):
        with await open_through(proxy, LENT, "127.0.0.1", port, 10) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, b"x")
            with pytest.raises(ConnectionResetError):
                await receive(sock, 1)
    server.close()


async def test_one_client_too_many_is_refused_until_another_leaves() -> None:
    async with target() as to, lending(to.port, connections=1) as (egress, proxy):
        with await through(proxy, to):
            with pytest.raises(ProxyRefused) as no:
                await through(proxy, to)
            assert no.value.step == "greeting"
        await none_runs(egress)
        await works(proxy, to)
        assert to.peers == [LENT, LENT]


# The client, against proxies by hand


async def test_the_wire_is_kumomtas_and_no_byte_behind_the_reply_is_taken() -> None:
    async with scripted((3, WELCOME), (10, BOUND), (10, BOUND + BANNER)) as (script, proxy):
        with await open_through(proxy, LENT, "192.0.2.7", 25, 10) as sock:
            assert await receive(sock, len(BANNER)) == BANNER
    assert script.heard == HELLO + BIND + b"\5\1\0\1\xc0\0\2\7\0\x19"


async def test_the_wire_with_a_password_and_ipv6() -> None:
    here = IPv6Address("2001:db8::11")
    bound = b"\5\0\0\4" + here.packed + b"\0\0"
    async with scripted((4, b"\5\2"), (11, b"\1\0"), (22, bound), (22, bound)) as (script, proxy):
        named = Proxy(proxy.host, proxy.port, "user", "word")
        (await open_through(named, "2001:db8::11", "2001:db8::25", 25, 10)).close()
    there = IPv6Address("2001:db8::25").packed
    sent = b"\5\2\0\2" + b"\1\4user\4word" + b"\5\2\0\4" + here.packed + b"\0\0\5\1\0\4" + there + b"\0\x19"
    assert script.heard == sent


@pytest.mark.parametrize(
    "bound",
    [
        b"\5\0\0\1\x7f\0\0\x0c\0\1",
        b"\5\0\0\1\0\0\0\0\0\0",
        b"\5\0\0\3\x0a127.0.0.11\0\1",
        b"\5\0\0\4" + bytes(16) + b"\0\0",
        b"\5\1\0\1\0\0\0\0\0\0",
        b"\5\2\0\1",
        b"\5\xee\0\x77",
    ],
)
async def test_what_was_not_bound_is_not_used(bound: bytes) -> None:
    async with scripted((3, WELCOME), (10, bound)) as (script, proxy):
        with pytest.raises(NotBound) as no:
            await open_through(proxy, LENT, "192.0.2.7", 25, 10)
    assert (no.value.step, no.value.code) == ("bind", bound[1] or None)
    assert script.heard == HELLO + BIND, "the destination was told to a proxy that had not bound the source"


async def test_a_proxy_that_connects_from_another_address_is_left() -> None:
    async with scripted((3, WELCOME), (10, BOUND), (10, b"\5\0\0\1\x7f\0\0\x0c\0\1")) as (_, proxy):
        with pytest.raises(NotBound) as no:
            await open_through(proxy, LENT, "192.0.2.7", 25, 10)
    assert (no.value.step, no.value.code) == ("connect", None)


async def test_a_proxy_that_does_not_say_from_where_it_connects_is_believed_its_bind() -> None:
    async with scripted((3, WELCOME), (10, BOUND), (10, b"\5\0\0\1\0\0\0\0\0\0")) as (_, proxy):
        (await open_through(proxy, LENT, "192.0.2.7", 25, 10)).close()


@pytest.mark.parametrize(
    ("steps", "step"),
    [
        ([], "greeting"),
        ([(3, b"\5")], "greeting"),
        ([(3, WELCOME)], "bind"),
        ([(3, WELCOME), (10, BOUND[:9])], "bind"),
        ([(3, WELCOME), (10, BOUND)], "connect"),
    ],
)
async def test_a_proxy_that_keeps_silent_or_hangs_up(
    steps: list[tuple[int, bytes | None]], step: str
) -> None:
    began = asyncio.get_running_loop().time()
    async with scripted(*steps) as (_, proxy):
        with pytest.raises(ProxyRefused, match=r"within 0\.5 s") as slow:
            await open_through(proxy, LENT, "192.0.2.7", 25, 0.5)
    assert (slow.value.step, slow.value.code) == (step, None)
    assert asyncio.get_running_loop().time() - began < 5
    async with scripted(*steps, (0, None)) as (_, proxy):
        with pytest.raises(ProxyRefused) as gone:
            await open_through(proxy, LENT, "192.0.2.7", 25, 10)
    assert (type(gone.value), gone.value.step) == (ProxyRefused, step)


@pytest.mark.parametrize(
    ("steps", "step"),
    [
        ([(3, b"HTTP/1.1 400\r\n")], "greeting"),
        ([(3, b"\5\xff")], "greeting"),
        ([(3, b"\5\2")], "greeting"),
        ([(3, WELCOME), (10, b"\4\0\0\1\x7f\0\0\x0b\0\0")], "bind"),
        ([(3, WELCOME), (10, b"\5\0\0\2\x7f\0\0\x0b\0\0")], "bind"),
        ([(3, WELCOME), (10, BOUND), (10, b"\5\4\0\1\0\0\0\0\0\0")], "connect"),
    ],
)
async def test_a_proxy_that_talks_nonsense_or_says_no(
    steps: list[tuple[int, bytes | None]], step: str
) -> None:
    async with scripted(*steps) as (_, proxy):
        with pytest.raises(ProxyRefused) as no:
            await open_through(proxy, LENT, "192.0.2.7", 25, 10)
    assert no.value.step == step


async def test_nobody_at_the_proxys_door() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ProxyRefused, match="refused") as no:
            await open_through(Proxy("127.0.0.1", taken.getsockname()[1]), LENT, "192.0.2.7", 25, 10)
    assert no.value.step == "greeting"


async def test_who_gives_up_leaves_no_socket_behind() -> None:
    async with scripted((3, WELCOME), (10, BOUND)) as (script, proxy):
        task = asyncio.create_task(open_through(proxy, LENT, "192.0.2.7", 25, 60))
        await until(lambda: len(script.heard) == 13)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(script.gone.wait(), 10)


async def test_what_cannot_be_is_not_tried() -> None:
    for source, host in ((LENT, "::1"), ("localhost", "127.0.0.1"), (LENT, "mx.test")):
        with pytest.raises(ValueError, match="address"):
            await open_through(Proxy("127.0.0.1", 1), source, host, 25, 1)
    for name, password in (("user", None), (None, "word"), ("", "word"), ("user", "è" * 128)):
        with pytest.raises(ValueError, match="a user name and a password"):
            Proxy("127.0.0.1", 1, name, password)
    assert "secret" not in repr(Proxy("127.0.0.1", 1, "user", "secret"))


# The proxy, against clients by hand

OTHER_TYPE, NO_SUCH_COMMAND, NOT_ALLOWED = (
    b"\5" + bytes((code,)) + b"\0\1\0\0\0\0\0\0" for code in (8, 7, 2)
)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\5\1\0\1\x7f\0\0\1\0\x19", NOT_ALLOWED),  # CONNECT without BIND
        (b"\5\3\0\1\x7f\0\0\1\0\0", NO_SUCH_COMMAND),  # UDP ASSOCIATE
        (b"\5\2\0\3\x0a127.0.0.11\0\0", OTHER_TYPE),  # a name, even if it looks like an address
        (b"\5\2\0\x09\0\0\0\0\0\0", OTHER_TYPE),
        (b"\5\2\0\1\x7f\0\0\x0b\x27\x0f", NOT_ALLOWED),  # a port of the client's choice
        (b"\5\2\0\1\0\0\0\0\0\0", NOT_ALLOWED),  # any address
        (b"\5\2\0\4" + IPv6Address("::ffff:127.0.0.11").packed + b"\0\0", NOT_ALLOWED),
    ],
)
async def test_a_bind_that_is_none(sent: bytes, answer: bytes) -> None:
    async with lending() as (egress, proxy):
        assert await ask(proxy, HELLO + sent) == WELCOME + answer
        await none_runs(egress)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (BIND, NOT_ALLOWED),
        (b"\5\1\0\4" + IPv6Address("::1").packed + b"\0\x19", OTHER_TYPE),
        (b"\5\1\0\3\x09localhost\0\x19", OTHER_TYPE),
        (b"\5\1\0\1\x7f\0\0\1\0\x1a", NOT_ALLOWED),
        (b"\5\1\0\1\0\0\0\0\0\x19", NOT_ALLOWED),
        (b"\5\1\0\1\xe0\0\0\1\0\x19", NOT_ALLOWED),
    ],
)
async def test_a_connect_that_is_none(sent: bytes, answer: bytes) -> None:
    async with lending() as (egress, proxy):
        said = await ask(proxy, HELLO + BIND + sent)
        assert said[:10] == WELCOME + b"\5\0\0\1\x7f\0\0\x0b"
        assert said[12:] == answer
        await none_runs(egress)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (HELLO + BIND, b"\5\xff"),
        (b"\5\1\2\1\1u\1x" + BIND, b"\5\2\1\1"),
        (b"\5\1\2\1\1u\1", b"\5\2"),
        (b"\5\1\2\5\1", b"\5\2"),
        (b"\5\0", b"\5\xff"),
        (b"\4\1", b""),
    ],
)
async def test_a_sign_in_that_is_none(sent: bytes, answer: bytes) -> None:
    async with lending(username="u", password="p") as (egress, proxy):
        assert await ask(proxy, sent) == answer
        await none_runs(egress)


async def test_who_is_slow_to_say_what_he_wants_is_dropped() -> None:
    async with lending(handshake=0.1) as (egress, proxy):
        for sent in (b"", b"\5", HELLO, HELLO + BIND):
            with socket.create_connection((proxy.host, proxy.port), 10) as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                assert len(await receive(sock, 100)) <= 12
        await none_runs(egress)


async def test_a_relay_in_which_nothing_moves_is_ended() -> None:
    async with target() as to, lending(to.port, idle=0.1) as (egress, proxy):
        with await through(proxy, to) as sock:
            assert await receive(sock, 100) in (BANNER, b"")
            await none_runs(egress)


async def test_what_a_peer_does_not_read_is_not_read_either() -> None:
    client, near = socket.socketpair()
    remote, far = socket.socketpair()
    with client, near, remote, far:
        for sock in (client, near, remote, far):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        flood = asyncio.create_task(asyncio.get_running_loop().sock_sendall(client, bytes(8_000_000)))
        carried = await asyncio.wait_for(carry(near, remote, 0.3), 20)
        assert carried.end == "idle"
        assert carried.up < 200_000
        assert not flood.done()
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


async def test_closing_lets_in_nobody_and_waits_for_what_runs() -> None:
    async with target() as to, lending(to.port) as (egress, proxy):
        with await through(proxy, to) as sock:
            closing = asyncio.create_task(egress.close(30))
            await asyncio.sleep(0)
            with pytest.raises(ProxyRefused, match="refused"):
                await through(proxy, to)
            await asyncio.get_running_loop().sock_sendall(sock, b"on")
            assert await receive(sock, len(BANNER) + 2) == BANNER + b"on"
        assert await asyncio.wait_for(closing, 20) == 0


async def test_closing_cuts_off_what_does_not_end() -> None:
    async with target() as to, lending(to.port) as (egress, proxy):
        with await through(proxy, to) as sock:
            assert await receive(sock, len(BANNER)) == BANNER
            with socket.create_connection((proxy.host, proxy.port), 10) as just_come:
                await until(lambda: egress.running == 2)
                assert await egress.close() == 2
                just_come.setblocking(False)
                assert await receive(just_come, 1) == b""
            assert await receive(sock, 1) == b""


@pytest.mark.parametrize("told", ["8.8.8.8", "193.0.6.139", "2606:4700::1111", "2a00:1450:4001::1a"])
def test_public_addresses(told: str) -> None:
    assert is_public(told)


NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.9 192.0.2.1 192.88.99.1 192.168.0.1
198.18.0.1 203.0.113.5 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:8.8.8.8 ::ffff:10.0.0.1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:a00:1::
3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("told", NOT_PUBLIC.split())
def test_addresses_that_are_not_public(told: str) -> None:
    assert not is_public(told)
    assert not Rules(frozenset()).reaches(ip_address(told), 25)


# Bytes of any kind

READERS = (frames.greeting, frames.credentials, frames.request)
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def read_from(reader: Generator[int, bytes, object], given_bytes: bytes) -> tuple[object, int]:
    """The frame or the error, and how many bytes were taken."""
    taken, wanted = 0, next(reader)
    try:
        while taken + wanted <= len(given_bytes):
            assert 0 <= wanted <= 255
            chunk, taken = given_bytes[taken : taken + wanted], taken + wanted
            wanted = reader.send(chunk)
    except StopIteration as end:
        return end.value, taken
    except frames.Malformed as no:
        return no, taken
    return None, taken


@given(
    st.sampled_from(READERS), st.one_of(st.binary(max_size=600), st.binary(max_size=600).map(b"\5".__add__))
)
def test_a_reader_ends_in_a_frame_or_an_error_and_takes_no_more(make: Any, sent: bytes) -> None:
    frame, taken = read_from(make(), sent)
    assert taken <= min(len(sent), 513)
    if frame is not None:
        assert read_from(make(), sent[:taken] + b"220 what follows") == (frame, taken) or isinstance(
            frame, frames.Malformed
        )


@given(ADDRESSES, st.integers(0, 65535), st.sampled_from([1, 2, 3, 255]), st.binary(max_size=20))
def test_a_request_is_read_as_it_was_written(
    address: IPv4Address | IPv6Address, port: int, command: int, behind: bytes
) -> None:
    # A reply has the form of a request (RFC 1928 sections 4 and 6): the code stands where the command does.
    sent = frames.reply(frames.Rep.SUCCEEDED, address, port)
    sent = sent[:1] + bytes((command,)) + sent[2:]
    assert read_from(frames.request(), sent + behind) == (frames.Request(command, address, port), len(sent))


@pytest.fixture(scope="module")
async def attacked() -> AsyncIterator[tuple[Egress, Proxy, Target]]:
    async with target() as to, lending(to.port) as (egress, proxy):
        yield egress, proxy, to


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"", HELLO, HELLO + BIND, HELLO + BIND + b"\5\1\0", b"\5\2\0\2\1"]),
    st.one_of(st.binary(max_size=80), st.binary(min_size=2000, max_size=4000)),
)
async def test_no_bytes_stop_the_proxy(attacked: Any, start: bytes, garbage: bytes) -> None:
    egress, proxy, to = attacked
    await ask(proxy, start + garbage)
    await none_runs(egress)
    await works(proxy, to)


# As a process


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--listen", "127.0.0.1:0"],
        ["--listen", "localhost:0", "--address", LENT],
        ["--listen", "::1:0", "--address", LENT],
        ["--listen", "127.0.0.1:0", "--address", "0.0.0.0"],
        ["--listen", "127.0.0.1:0", "--address", "::ffff:127.0.0.11"],
        ["--listen", "127.0.0.1:0", "--address", LENT, "--port", "0"],
        ["--listen", "127.0.0.1:0", "--address", LENT, "--connections", "1000000"],
    ],
)
def test_a_command_line_that_makes_no_sense(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        told(wrong, {})
    assert end.value.code == 2
    capsys.readouterr()


def test_the_environment_says_how_to_sign_in(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--listen", "[::1]:1080", "--address", LENT]
    where, rules = told(line, {})
    assert (where, rules) == (("::1", 1080), Rules(frozenset({IPv4Address(LENT)})))
    _, rules = told(line, {"MAILMAKER_EGRESS_USER": "u", "MAILMAKER_EGRESS_PASSWORD": "secret"})
    assert (rules.username, rules.password) == ("u", "secret")
    assert "secret" not in repr(rules)
    for half in ({"USER": "u"}, {"PASSWORD": "secret"}, {"USER": "u", "PASSWORD": ""}, {"PASSWRD": "secret"}):
        with pytest.raises(SystemExit):
            told(line, {f"MAILMAKER_EGRESS_{name}": value for name, value in half.items()})
    assert "secret" not in capsys.readouterr().err


async def test_the_process_lends_its_address_and_ends_when_told() -> None:
    async with target() as to:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailmaker.dispatch.egress", "--listen", "127.0.0.1:0"),
            *("--address", LENT, "--port", str(to.port), "--allow-private"),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "MAILMAKER_EGRESS_USER": "relay", "MAILMAKER_EGRESS_PASSWORD": "s3cret-word"},
        )
        assert process.stderr is not None
        try:
            heard = json.loads(await asyncio.wait_for(process.stderr.readline(), 60))
            assert heard["event"] == "listening"
            proxy = Proxy("127.0.0.1", heard["port"], "relay", "s3cret-word")
            with pytest.raises(NotBound):
                await through(proxy, to, "127.0.0.12")
            with await through(proxy, to) as sock:
                assert await receive(sock, len(BANNER)) == BANNER
                process.send_signal(signal.SIGTERM)
                said = b""
                while b'"stopping"' not in said:
                    said += await asyncio.wait_for(process.stderr.readline(), 30)
                await asyncio.get_running_loop().sock_sendall(sock, b"the last words")
                assert await receive(sock, 14) == b"the last words"
            said += await asyncio.wait_for(process.stderr.read(), 30)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        assert to.peers == [LENT]
        carried = [line for line in map(json.loads, said.splitlines()) if line["event"] == "carried"]
        assert [(line["source"], line["up"], line["end"]) for line in carried] == [(LENT, 14, "closed")]
        assert b"s3cret" not in said
