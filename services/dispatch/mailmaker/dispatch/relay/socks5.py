"""dispatch.relay: opens a connection through a SOCKS5 egress proxy, from exactly the source address it was told.

The form is KumoMTA's (`socks5_proxy_server`, `socks5_proxy_source_address`): greeting, BIND with the source address and
port 0, CONNECT with the destination, all on one connection; then the bytes are the destination's (RFC 1928, RFC 1929).
Shares no code with our own proxy, so that a mistake in one is not made good by the other.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

Step = Literal["greeting", "bind", "connect"]
Address = IPv4Address | IPv6Address

_VERSION, _SIGN_IN_VERSION = 5, 1
_NO_AUTH, _USER_PASSWORD, _NO_METHOD = 0, 2, 255
_CONNECT, _BIND = 1, 2
_IPV4, _DOMAIN, _IPV6 = 1, 3, 4
_REPLIES = {
    1: "the proxy failed",
    2: "its rules do not allow it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "no answer in time",
    7: "it does not know this command",
    8: "it does not take this kind of address",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy listens, and how we sign in there, if at all (RFC 1929: 1 to 255 bytes each)."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("a user name and a password come together")
        if not all(
            0 < len(told.encode()) < 256 for told in (self.username, self.password) if told is not None
        ):
            raise ValueError("a user name and a password have 1 to 255 bytes each")


class ProxyRefused(ConnectionError):
    """The proxy cannot be reached, does not answer in time, or says no. `code` is its REP (RFC 1928 section 6)."""

    def __init__(self, step: Step, code: int | None, why: str) -> None:
        super().__init__(why)
        self.step = step
        self.code = code


class NotBound(ProxyRefused):
    """The source address is not to be had at this proxy. No byte went to the destination."""


@dataclass(slots=True)
class _Place:
    """How far the talk has come: whatever goes wrong, goes wrong there."""

    step: Step = "greeting"


async def open_through(proxy: Proxy, source: str, host: str, port: int, timeout: float) -> socket.socket:
    """A connected non-blocking socket whose next byte is the destination's first, sent from `source`.

    `source` and `host` are IP addresses of one family, `timeout` is in seconds and for everything. Raises NotBound if
    the proxy does not have the source or names another one, ProxyRefused for all else that the proxy or the network
    does, ValueError if it is asked for what cannot be. Owns no socket when it raises.
    """
    here, there = ip_address(source), ip_address(host)
    if here.version != there.version:
        raise ValueError("source and destination are of different address families")
    place = _Place()
    try:
        async with asyncio.timeout(timeout):
            return await _opened(proxy, here, there, port, place)
    except ProxyRefused:
        raise
    except TimeoutError as late:
        raise ProxyRefused(place.step, None, f"no answer from the proxy within {timeout:g} s") from late
    except EOFError as end:
        raise ProxyRefused(place.step, None, "the proxy hung up") from end
    except OSError as wrong:
        # A name that the DNS does not know has a number of another kind, and its own words.
        why = os.strerror(wrong.errno) if wrong.errno and wrong.errno > 0 else wrong.strerror or str(wrong)
        raise ProxyRefused(place.step, None, f"the connection to the proxy failed: {why}") from wrong


async def _opened(proxy: Proxy, here: Address, there: Address, port: int, place: _Place) -> socket.socket:
    sock = await _reached(proxy)
    try:
        await _greet(sock, proxy)
        place.step = "bind"
        await _send(sock, _request(_BIND, here, 0))
        bound = await _answer(sock, "bind")
        if bound != here:
            raise NotBound("bind", None, f"asked to bind {here}, the proxy bound {bound or 'who knows what'}")
        # Only now does the proxy learn the destination: mail never leaves from an address we did not choose.
        place.step = "connect"
        await _send(sock, _request(_CONNECT, there, port))
        used = await _answer(sock, "connect")
        # Some proxies leave this address empty; one that names another address tells that BIND was not heeded.
        if used is not None and not used.is_unspecified and used != here:
            raise NotBound("connect", None, f"bound {here}, the proxy connected from {used}")
    except BaseException:
        sock.close()
        raise
    return sock


async def _reached(proxy: Proxy) -> socket.socket:
    """Connected to the first of the proxy's addresses that answers."""
    loop = asyncio.get_running_loop()
    try:
        # An IP address needs no DNS, and so no thread.
        found = socket.getaddrinfo(
            proxy.host, proxy.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{proxy.host} has no address")
    for family, kind, number, _, where in found:
        sock = socket.socket(family, kind, number)
        try:
            sock.setblocking(False)
            # A command waits for its answer: Nagle's algorithm would only add a delay.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, where)
        except OSError as wrong:
            sock.close()
            failure = wrong
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _greet(sock: socket.socket, proxy: Proxy) -> None:
    """Agrees on a method and signs in (RFC 1928 section 3, RFC 1929)."""
    methods = (_NO_AUTH,) if proxy.username is None else (_NO_AUTH, _USER_PASSWORD)
    await _send(sock, bytes((_VERSION, len(methods), *methods)))
    version, method = await _exactly(sock, 2)
    if version != _VERSION:
        raise ProxyRefused("greeting", None, "the proxy does not speak SOCKS5")
    if method == _NO_METHOD:
        wants = "a user name and a password" if proxy.username is None else "another way to sign in"
        raise ProxyRefused("greeting", None, f"the proxy wants {wants}")
    if method not in methods:
        raise ProxyRefused("greeting", None, "the proxy chose a way to sign in that was not offered")
    if method == _USER_PASSWORD:
        username, password = (proxy.username or "").encode(), (proxy.password or "").encode()
        await _send(
            sock,
            b"".join((bytes((_SIGN_IN_VERSION, len(username))), username, bytes((len(password),)), password)),
        )
        _, status = await _exactly(sock, 2)
        if status != 0:
            raise ProxyRefused("greeting", None, "the proxy does not take the user name and password")


def _request(command: int, address: Address, port: int) -> bytes:
    kind = _IPV4 if address.version == 4 else _IPV6
    return bytes((_VERSION, command, 0, kind)) + address.packed + port.to_bytes(2, "big")


async def _answer(sock: socket.socket, step: Step) -> Address | None:
    """The address of a reply that says yes; None if it is no IP address. Not one byte more is read (RFC 1928 section 6)."""
    version, code, _, kind = await _exactly(sock, 4)
    if version != _VERSION:
        raise ProxyRefused(step, None, "the proxy does not speak SOCKS5")
    if code != 0:
        refused = NotBound if step == "bind" else ProxyRefused
        raise refused(step, code, f"{step} refused: {_REPLIES.get(code, f'reply {code}')}")
    if kind == _IPV4:
        return IPv4Address((await _exactly(sock, 6))[:4])
    if kind == _IPV6:
        address = IPv6Address((await _exactly(sock, 18))[:16])
        return address.ipv4_mapped or address
    if kind != _DOMAIN:
        raise ProxyRefused(step, None, "the proxy answered with an unknown kind of address")
    (size,) = await _exactly(sock, 1)
    await _exactly(sock, size + 2)
    return None


async def _send(sock: socket.socket, frame: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, frame)


async def _exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes and no more: the destination's banner may stand right behind them. Raises EOFError."""
    loop = asyncio.get_running_loop()
    read = b""
    while len(read) < size:
        more = await loop.sock_recv(sock, size - len(read))
        if not more:
            raise EOFError
        read += more
    return read
