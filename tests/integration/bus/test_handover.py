"""integration: the road of a "no": rows reach another house's door, oldest first, until they are answered."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable

import pytest
from bus_house import working
from bus_road import until
from mailmaker.common.bus.handover import Batch, Handover
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.internal import Refused, Unreachable
from pydantic import BaseModel

Make = Callable[[str], Awaitable[Database]]
NOS = "/internal/nos"


class Item(BaseModel):
    n: int


class OtherHouse:
    """A door that does what the test says before it takes a batch."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.batches: list[int] = []
        self.asked = 0
        self.away = False
        self.refuses: dict[int, int] = {}
        self.woken = asyncio.Event()

    async def post(self, path: str, body: BaseModel, *, timeout: float) -> bytes:
        self.asked += 1
        if self.away:
            raise Unreachable("away")
        assert isinstance(body, Batch)
        numbers = [Item.model_validate(item).n for item in body.items]
        for number in numbers:
            if number in self.refuses:
                raise Refused(self.refuses[number], "no")
        self.batches.append(len(numbers))
        self.taken.extend((path, number) for number in numbers)
        self.woken.set()
        return b"{}"

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.taken]


@pytest.fixture
async def db(database_of: Make) -> Database:
    return await database_of("dispatch")


async def leave(db: Database, *numbers: int, path: str = NOS, target: str = "suppression") -> None:
    async with db.account(new_id()) as tx:
        for number in numbers:
            tx.hand_over(target, path, Item(n=number))


async def rows(db: Database) -> int:
    async with db.platform() as tx:
        return int(await tx.driver.fetchval("SELECT count(*) FROM handovers"))


async def test_rows_arrive_in_order_in_batches_and_leave_when_answered(db: Database) -> None:
    house = OtherHouse()
    await leave(db, *range(1200))
    async with working(Handover(db, {"suppression": house})):

        async def answered() -> bool:
            return await rows(db) == 0

        await until(answered)
    assert house.numbers == list(range(1200))
    assert house.batches == [500, 500, 200]


async def test_each_path_gets_its_own_request(db: Database) -> None:
    house = OtherHouse()
    await leave(db, 1, 2)
    await leave(db, 3, path="/internal/enforced")
    await leave(db, 4)
    async with working(Handover(db, {"suppression": house})):
        await until(lambda: len(house.taken) == 4)
    assert sorted(house.taken) == [("/internal/enforced", 3), (NOS, 1), (NOS, 2), (NOS, 4)]


async def test_it_waits_for_a_house_that_is_away_without_spinning_and_loses_nothing(db: Database) -> None:
    house, other = OtherHouse(), OtherHouse()
    house.away = True
    async with working(Handover(db, {"suppression": house, "ingest": other})):
        await leave(db, *range(10))
        await leave(db, 7, target="ingest")
        began = asyncio.get_running_loop().time()
        await until(lambda: house.asked >= 4)
        assert asyncio.get_running_loop().time() - began > 0.1
        await until(lambda: other.numbers == [7])  # a silent house holds up no other one
        assert house.taken == []
        house.away = False
        await until(lambda: house.numbers == list(range(10)))

        async def answered() -> bool:
            return await rows(db) == 0

        await until(answered)


async def test_an_item_that_is_refused_steps_aside(db: Database) -> None:
    house = OtherHouse()
    house.refuses[13] = 422
    await leave(db, *range(40))
    async with working(Handover(db, {"suppression": house}, poll=0.05)):
        await until(lambda: sorted(house.numbers) == [n for n in range(40) if n != 13])
        assert house.numbers == sorted(house.numbers)
        assert await rows(db) == 1
        house.refuses.clear()
        await until(lambda: 13 in house.numbers)


async def test_a_house_that_does_not_know_our_token_is_as_good_as_away(db: Database) -> None:
    house = OtherHouse()
    house.refuses[0] = 401
    await leave(db, 0, 1)
    async with working(Handover(db, {"suppression": house})):
        await until(lambda: house.asked >= 3)
        house.refuses.clear()
        await until(lambda: house.numbers == [0, 1])
    assert house.batches == [2]


async def test_several_processes_send_each_row_once_and_in_order(db: Database) -> None:
    house = OtherHouse()
    async with working(*(Handover(db, {"suppression": house}, poll=0.02) for _ in range(3))):
        for n in range(60):
            await leave(db, n)
        await until(lambda: len(house.taken) >= 60)

        async def answered() -> bool:
            return await rows(db) == 0

        await until(answered)
    assert house.numbers == list(range(60))


async def test_killed_before_the_rows_are_deleted_it_sends_them_again(db: Database) -> None:
    class Dying(OtherHouse):
        async def post(self, path: str, body: BaseModel, *, timeout: float) -> bytes:
            await super().post(path, body, timeout=timeout)
            raise asyncio.CancelledError

    first, second = Dying(), OtherHouse()
    await leave(db, 1, 2)
    stop = asyncio.Event()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.gather(Handover(db, {"suppression": first}).run(stop), _at_once(first, stop))
    async with working(Handover(db, {"suppression": second})):
        await until(lambda: second.numbers == [1, 2])


async def _at_once(house: OtherHouse, stop: asyncio.Event) -> None:
    await house.woken.wait()
    stop.set()
    raise asyncio.CancelledError


async def test_a_row_leaves_in_milliseconds(db: Database) -> None:
    house = OtherHouse()
    took: list[float] = []
    loop = asyncio.get_running_loop()
    async with working(Handover(db, {"suppression": house})):
        for n in range(40):
            house.woken.clear()
            began = loop.time()
            await leave(db, n)
            await asyncio.wait_for(house.woken.wait(), 30)
            took.append(loop.time() - began)
    print(f"left -> answered p50 {statistics.median(took) * 1000:.1f} ms")
    assert statistics.median(took) < 0.2
