"""dispatch.egress: carries bytes between two connected sockets, both ways, until both have ended or nothing moves."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Literal

CHUNK = 65_536
"""Bytes held at most for one direction. They are handed on before more is read: so back-pressure is carried over too."""


@dataclass(slots=True)
class Carried:
    """Bytes to the destination (`up`) and back (`down`), when the last moved, and how it ended."""

    at: float
    up: int = 0
    down: int = 0
    end: Literal["closed", "idle", "reset"] = "closed"


async def carry(client: socket.socket, remote: socket.socket, idle: float) -> Carried:
    """Carries until both sides have ended, one resets, or for `idle` seconds nothing moved. Closes neither socket."""
    loop = asyncio.get_running_loop()
    told = Carried(at=loop.time())
    pumps = [
        asyncio.create_task(_pump(client, remote, told, up=True)),
        asyncio.create_task(_pump(remote, client, told, up=False)),
    ]
    going = set(pumps)
    try:
        while going:
            left = told.at + idle - loop.time()
            if left <= 0:
                told.end = "idle"
                break
            ended, going = await asyncio.wait(going, timeout=left, return_when=asyncio.FIRST_EXCEPTION)
            for pump in ended:
                pump.result()
    except OSError:
        told.end = "reset"
        for sock in (client, remote):
            # A reset goes on as a reset: an orderly end would say that all was sent.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    return told


async def _pump(source: socket.socket, sink: socket.socket, told: Carried, *, up: bool) -> None:
    """One direction; its end is handed on as a half-close (RFC 9293 section 3.6)."""
    loop = asyncio.get_running_loop()
    while chunk := await loop.sock_recv(source, CHUNK):
        told.at = loop.time()
        await loop.sock_sendall(sink, chunk)
        told.at = loop.time()
        if up:
            told.up += len(chunk)
        else:
            told.down += len(chunk)
        # Neither call waits while both sockets are ready: without this, one fast transfer stops all others.
        await asyncio.sleep(0)
    sink.shutdown(socket.SHUT_WR)
    told.at = loop.time()
