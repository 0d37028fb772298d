"""Callers that lose patience must not use up the way to another house."""

from __future__ import annotations

import asyncio
import contextlib

from mailmaker.common.web.internal import InternalClient, Unreachable
from pydantic import BaseModel, SecretStr

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Nothing(BaseModel):
    """An empty answer."""


async def test_cancelled_requests_leave_the_pool_whole() -> None:
    slow = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(slow.wait(), 0.1)
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    house = InternalClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SecretStr("token"))
    await house.open()

    async def ask(patience: float) -> None:
        with contextlib.suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(patience):
                await house.get("/anything", Nothing)

    try:
        for _ in range(5):
            await asyncio.gather(*(ask(0.001 * number) for number in range(100)))
        slow.set()
        # What is still under way ends by itself, and then there is room again.
        async with asyncio.timeout(30):
            while await answered(house) is None:
                pass
    finally:
        await house.close()
        server.close()


async def answered(house: InternalClient) -> Nothing | None:
    with contextlib.suppress(Unreachable):
        return await house.get("/anything", Nothing)
    return None
