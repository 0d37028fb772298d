"""dispatch.egress: the sockets of the proxy: bound to a source, written to, and read one frame at a time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from ipaddress import ip_address
from typing import TypeVar

from mailmaker.dispatch.egress.frames import Address, Reader

T = TypeVar("T")

_BIND_ADDRESS_NO_PORT = 24
"""IP_BIND_ADDRESS_NO_PORT of ip(7); the socket module of Python 3.11 does not name it."""


def prepare(sock: socket.socket) -> None:
    """Makes it non-blocking and prompt."""
    sock.setblocking(False)
    # SMTP asks and answers: Nagle's algorithm would only add a delay to each.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def bound(source: Address) -> socket.socket:
    """A socket that can connect from this address only. Raises OSError if the machine does not have it."""
    sock = socket.socket(socket.AF_INET if source.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        prepare(sock)
        if sys.platform == "linux":
            # The port is chosen by connect: each destination has all ports of the source, not all of them together.
            # A kernel that cannot do that still binds.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((str(source), 0))
    except OSError:
        sock.close()
        raise
    return sock


def name_of(sock: socket.socket) -> tuple[Address, int]:
    """The address and port it is bound to, as the kernel says; port 0 until it is connected."""
    host, port = sock.getsockname()[:2]
    return ip_address(host), int(port)


async def write(sock: socket.socket, frame: bytes) -> None:
    """All of it. Raises OSError."""
    await asyncio.get_running_loop().sock_sendall(sock, frame)


async def read(sock: socket.socket, reader: Reader[T]) -> T:
    """One frame, and not a byte of what follows. Raises EOFError, Malformed, OSError."""
    loop = asyncio.get_running_loop()
    wanted = next(reader)
    while True:
        given = b""
        while len(given) < wanted:
            more = await loop.sock_recv(sock, wanted - len(given))
            if not more:
                raise EOFError
            given += more
        try:
            wanted = reader.send(given)
        except StopIteration as end:
            frame: T = end.value
            return frame
