"""dispatch.egress: the frames of SOCKS5 (RFC 1928) and of its sign-in (RFC 1929), as a server reads and writes them.

A reader is a generator that yields how many bytes it wants, is sent exactly those, and returns the frame: it does no
I/O, and it cannot take a byte of what follows the frame.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

T = TypeVar("T")
Address = IPv4Address | IPv6Address
Reader = Generator[int, bytes, T]

VERSION = 5
SIGN_IN_VERSION = 1
NO_AUTH, USER_PASSWORD, NO_METHOD = 0, 2, 255
CONNECT, BIND = 1, 2
_IPV4, _DOMAIN, _IPV6 = 1, 3, 4


class Rep(IntEnum):
    """What a reply says (RFC 1928 section 6)."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND = 7
    ADDRESS_TYPE = 8


class Malformed(ValueError):
    """These bytes are no SOCKS5: there is nothing to answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command and its address; None for a host name or a kind of address that RFC 1928 does not know."""

    command: int
    address: Address | None
    port: int


def greeting() -> Reader[frozenset[int]]:
    """The methods a client offers (section 3)."""
    version, count = yield 2
    if version != VERSION:
        raise Malformed("no SOCKS5 greeting")
    return frozenset((yield count))


def credentials() -> Reader[tuple[bytes, bytes]]:
    """A user name and a password (RFC 1929 section 2)."""
    version, size = yield 2
    if version != SIGN_IN_VERSION:
        raise Malformed("no user name and password")
    username = yield size
    (size,) = yield 1
    return username, (yield size)


def request() -> Reader[Request]:
    """A request (section 4)."""
    version, command, _, kind = yield 4
    if version != VERSION:
        raise Malformed("no SOCKS5 request")
    address: Address | None = None
    if kind == _IPV4:
        address = IPv4Address((yield 4))
    elif kind == _IPV6:
        address = IPv6Address((yield 16))
    elif kind == _DOMAIN:
        (size,) = yield 1
        yield size
    else:
        # Nobody knows how long it is: what is read ends here, and so does the connection.
        return Request(command, None, 0)
    return Request(command, address, int.from_bytes((yield 2), "big"))


def method(chosen: int) -> bytes:
    """The answer to a greeting."""
    return bytes((VERSION, chosen))


def signed_in(good: bool) -> bytes:
    """The answer to a user name and a password; after a no the connection ends."""
    return bytes((SIGN_IN_VERSION, 0 if good else 1))


def reply(rep: Rep, address: Address | None = None, port: int = 0) -> bytes:
    """The answer to a request; a no carries 0.0.0.0 and port 0."""
    told = address or IPv4Address(0)
    kind = _IPV4 if told.version == 4 else _IPV6
    return bytes((VERSION, rep, 0, kind)) + told.packed + port.to_bytes(2, "big")
