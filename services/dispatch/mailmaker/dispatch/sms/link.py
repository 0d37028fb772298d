"""dispatch.sms: one bound session at a time, bound anew when it has ended: with back-off and jitter (SMS-1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.sms.connect import NotBound
from mailmaker.dispatch.sms.session import Session

FIRST, LONGEST = 0.5, 30.0


class Link:
    """Shared by all who submit through one bind. Nothing is sent again by it: each submit's end is its caller's."""

    def __init__(
        self, connect: Callable[[], Awaitable[Session]], *, first: float = FIRST, longest: float = LONGEST
    ) -> None:
        self._connect = connect
        self._backoff = Backoff(first, longest)
        self._binding = asyncio.Lock()
        self._closing = asyncio.Event()
        self._session: Session | None = None
        self.binds = 0

    async def session(self) -> Session | None:
        """A usable session, however long it takes to bind one; None once the link is closed."""
        # Not through the lock: those who once stood in line for it would go on doing so, one a step.
        if self._session is not None and self._session.usable and not self._closing.is_set():
            return self._session
        async with self._binding:
            while not self._closing.is_set():
                if self._session is not None and self._session.usable:
                    return self._session
                if self._session is not None:
                    self._leave(self._session)
                    await self._pause()
                elif not await self._bind():
                    await self._pause()
        return None

    async def close(self, patience: float) -> None:
        """No more sessions; the one that is open is closed, in about `patience` seconds. A bind under way is waited for."""
        self._closing.set()
        async with self._binding:
            session, self._session = self._session, None
        if session is not None:
            await session.close(patience)

    async def _bind(self) -> bool:
        try:
            self._session = await self._connect()
        except NotBound as wrong:
            logger("dispatch.sms").warning("SMSC not bound", reason=str(wrong))
            return False
        self.binds += 1
        return True

    def _leave(self, session: Session) -> None:
        logger("dispatch.sms").info("session ended", reason=session.why, accepted=session.accepted)
        self._session = None
        if session.accepted:
            # A bind alone is no success: an SMSC that lets us in and hangs up would be called without rest.
            self._backoff.reset()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next()):
                await self._closing.wait()
