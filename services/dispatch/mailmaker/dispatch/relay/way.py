"""dispatch.relay: one way out: where a mail goes by it, and how a connection there is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailmaker.dispatch.relay.connect import NotConnected, Smarthost, connect
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.view import RelayView


class Nowhere(Exception):
    """No server takes mail for the domain, and none will: the mail ends with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Elsewhere(Exception):
    """The domain's mail takes another lane by now."""

    def __init__(self, lane: str) -> None:
        super().__init__(lane)
        self.lane = lane


@dataclass(frozen=True, slots=True)
class Target:
    """A site, and its servers in the order in which they are tried; none where the way has a server of its own."""

    site: str
    hosts: tuple[str, ...] = ()


class Way(Protocol):
    """One way out of a relay. `shared`: many sites are reached by it, and one must not wait for another."""

    name: str
    shared: bool

    async def target(self, mail: Mail) -> Target:
        """Where the mail goes. Raises Nowhere, Elsewhere, NotConnected when the DNS does not answer."""

    async def open(self, target: Target) -> Session:
        """A connection, greeted. Raises NotConnected."""

    def takes(self, mail: Mail) -> bool:
        """Whether the mail may still leave this way: asked without await, just before its bytes are written."""


class PlatformWay:
    """The platform's own server takes the mail of every account that has no pools."""

    shared = False

    def __init__(self, server: Smarthost | None, view: RelayView, clock: Callable[[], float]) -> None:
        self.name = "none" if server is None else server.name
        self._server = server
        self._view = view
        self._clock = clock

    async def target(self, mail: Mail) -> Target:
        return Target(self.name)

    async def open(self, target: Target) -> Session:
        if self._server is None:
            raise NotConnected("the platform has no server of its own")
        return await connect(self._server, self._clock)

    def takes(self, mail: Mail) -> bool:
        mailing = self._view.running.get(mail.mailing_id)
        return mailing is not None and not mailing.pooled
