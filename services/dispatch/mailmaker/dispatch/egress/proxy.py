"""dispatch.egress: the proxy: greets, binds the source, connects from it, and carries bytes (RFC 1928, KumoMTA's form).

BIND here binds the socket of the CONNECT that follows on the same connection; nothing ever listens at that address.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from functools import partial
from ipaddress import ip_address

from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.egress import frames
from mailmaker.dispatch.egress.carry import carry
from mailmaker.dispatch.egress.frames import Address, Rep
from mailmaker.dispatch.egress.rules import Rules
from mailmaker.dispatch.egress.sockets import bound, name_of, prepare, read, write

log = logger("dispatch.egress")

ACCEPT_PAUSE = 0.2
"""Seconds without accepting after the machine had no file or no memory for one more."""
LINGER = 1.0
"""Seconds in which a client may read that it was refused, and hang up."""
_REPS = {
    errno.ENETUNREACH: Rep.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Rep.HOST_UNREACHABLE,
    errno.ECONNREFUSED: Rep.REFUSED,
    errno.ETIMEDOUT: Rep.TTL_EXPIRED,
}


class Refused(Exception):
    """We say no: `answer` is how, on the wire."""

    def __init__(self, why: str, answer: bytes) -> None:
        super().__init__(why)
        self.answer = answer


class Egress:
    """The server. `listen` answers on the port it returns; `close` lets what runs end, then leaves."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._listener: socket.socket | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._full = False

    @property
    def running(self) -> int:
        """Connections of clients that are open now."""
        return len(self._running)

    async def listen(self, host: str, port: int) -> int:
        """Opens the door at an IP address, and tells its port; 0 takes a free one. Raises OSError."""
        family = socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self._listener.setblocking(False)
        self._wait()
        return int(self._listener.getsockname()[1])

    async def close(self, grace: float = 0.0) -> int:
        """Stops accepting, gives what runs `grace` seconds to end, ends the rest. Returns how many it cut off."""
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        if self._running and grace > 0:
            await asyncio.wait(self._running, timeout=grace)
        cut = [*self._running]
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        return len(cut)

    def _wait(self) -> None:
        """Accepts when somebody comes. By a callback: a cancelled `sock_accept` may lose who comes at that moment."""
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as wrong:
            # No file or no memory for one more: who waits keeps the listener readable, so look away for a while.
            log.error("cannot accept", why=wrong.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_PAUSE, self._wait)
            return
        if len(self._running) >= self._rules.connections:
            client.close()
            if not self._full:
                log.warning("full", connections=len(self._running))
            self._full = True
            return
        self._full = False
        task = asyncio.create_task(self._serve(client))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # Here and not in the task: one that is cancelled before its first step never runs.
        task.add_done_callback(partial(_hang_up, client))

    async def _serve(self, client: socket.socket) -> None:
        """One connection, from its greeting to its end. Nothing a client sends makes this raise."""
        with contextlib.ExitStack() as held:
            try:
                await self._talk(client, held)
            except Refused as no:
                log.warning("refused", why=str(no))
                with contextlib.suppress(OSError):
                    await _refuse(client, no.answer)
            except EOFError:
                # A probe of the port, or a client that thought better of it.
                log.debug("hung up")
            except TimeoutError:
                log.info("dropped", why="too slow")
            except (frames.Malformed, OSError) as wrong:
                log.info("dropped", why=str(wrong))
            except Exception:
                log.exception("failed")

    async def _talk(self, client: socket.socket, held: contextlib.ExitStack) -> None:
        async with asyncio.timeout(self._rules.handshake):
            prepare(client)
            await self._admit(client)
            remote, source = await self._bind(client, held)
            to, port = await self._destination(client, source)
        try:
            async with asyncio.timeout(self._rules.connect):
                await asyncio.get_running_loop().sock_connect(remote, (str(to), port))
        except OSError as wrong:
            rep = _REPS.get(wrong.errno or errno.ETIMEDOUT, Rep.FAILURE)
            raise Refused(f"no connection from {source} to {to}: {rep.name}", frames.reply(rep)) from wrong
        async with asyncio.timeout(self._rules.handshake):
            await write(client, frames.reply(Rep.SUCCEEDED, *name_of(remote)))
        began = asyncio.get_running_loop().time()
        carried = await carry(client, remote, self._rules.idle)
        log.info(
            "carried",
            source=str(source),
            to=str(to),
            up=carried.up,
            down=carried.down,
            seconds=round(carried.at - began, 3),
            end=carried.end,
        )

    async def _admit(self, client: socket.socket) -> None:
        """Greeting and sign-in."""
        offered = await read(client, frames.greeting())
        method = frames.NO_AUTH if self._rules.username is None else frames.USER_PASSWORD
        if method not in offered:
            raise Refused("no common way to sign in", frames.method(frames.NO_METHOD))
        await write(client, frames.method(method))
        if method == frames.USER_PASSWORD:
            username, password = await read(client, frames.credentials())
            if not self._rules.admits(username, password):
                raise Refused("wrong user name or password", frames.signed_in(False))
            await write(client, frames.signed_in(True))

    async def _bind(self, client: socket.socket, held: contextlib.ExitStack) -> tuple[socket.socket, Address]:
        """A socket bound to the source that was asked for, and the source."""
        command, source, port = await _request(client)
        if command != frames.BIND:
            raise Refused("CONNECT without BIND", frames.reply(Rep.NOT_ALLOWED))
        # The port is the kernel's to choose: with one of the client's, the next connection would find it taken.
        if source not in self._rules.addresses or port != 0:
            raise Refused(f"{source} port {port} is not lent here", frames.reply(Rep.NOT_ALLOWED))
        try:
            remote = held.enter_context(bound(source))
        except OSError as wrong:
            raise Refused(f"cannot bind {source}: {wrong.strerror}", frames.reply(Rep.FAILURE)) from wrong
        await write(client, frames.reply(Rep.SUCCEEDED, *name_of(remote)))
        return remote, source

    async def _destination(self, client: socket.socket, source: Address) -> tuple[Address, int]:
        command, to, port = await _request(client)
        if command != frames.CONNECT:
            raise Refused("a second BIND", frames.reply(Rep.NOT_ALLOWED))
        if to.version != source.version:
            raise Refused("source and destination differ in family", frames.reply(Rep.ADDRESS_TYPE))
        if not self._rules.reaches(to, port):
            raise Refused(f"{to} port {port} is no destination", frames.reply(Rep.NOT_ALLOWED))
        return to, port


async def _refuse(client: socket.socket, answer: bytes) -> None:
    """The last answer. What the client still sends is read: a close before that would be a reset, and take it back."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LINGER):
        await write(client, answer)
        client.shutdown(socket.SHUT_WR)
        while await loop.sock_recv(client, 4096):  # noqa: ASYNC110 - the condition is what waits
            await asyncio.sleep(0)


def _hang_up(client: socket.socket, _: asyncio.Task[None]) -> None:
    client.close()


async def _request(client: socket.socket) -> tuple[int, Address, int]:
    """A request for one of the two commands, with an IP address."""
    asked = await read(client, frames.request())
    if asked.command not in (frames.BIND, frames.CONNECT):
        raise Refused(f"command {asked.command}", frames.reply(Rep.COMMAND))
    if asked.address is None:
        raise Refused("no IP address", frames.reply(Rep.ADDRESS_TYPE))
    return asked.command, asked.address, asked.port
