"""The claim on real PostgreSQL: caps under concurrent mailings, reservations given back, decisions that say who won."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.testing.clock import FakeClock
from mailmaker.dispatch.actions.begin_and_settle import BeginAndSettle, unclaim
from mailmaker.dispatch.actions.claim_batch import claim_batch
from mailmaker.dispatch.actions.hold_lease import leave, renew_lease, take_lease
from mailmaker.dispatch.actions.sweep_leases import LeaseSweeper
from mailmaker.dispatch.actions.watch import glance
from mailmaker.dispatch.domain.running import Order, RunningMailing
from mailmaker.dispatch.storage.outcomes import Ended, Unbegun
from relay_stage import Stage, contacts

CLOCK = SystemClock()


async def mailing_of(stage: Stage, mailing: UUID) -> RunningMailing:
    seen = await glance(stage.db, 0, 0)
    return next(one for one in seen.running if one.id == mailing)


async def claimed(stage: Stage, mailing: UUID, fence: int = 1, limit: int = 500) -> list[Any]:
    return await claim_batch(stage.db, CLOCK, Order(await mailing_of(stage, mailing)), fence, limit)


def ended(stage: Stage, row: Any, state: str, **about: Any) -> Ended:
    plain: dict[str, Any] = {
        "reason": None,
        "due_at": None,
        "counted": True,
        "reply_code": 250,
        "reply_text": "ok",
        "feed_stamp": 1,
        "ended_at": datetime.now(UTC),
        "source": "test",
    }
    return Ended(
        account_id=stage.account, id=row["id"], attempt_id=row["attempt_id"], state=state, **(plain | about)
    )


def beginning(stage: Stage, row: Any) -> tuple[UUID, UUID, UUID]:
    return stage.account, row["id"], row["attempt_id"]


async def test_cap_is_never_exceeded_by_simultaneous_mailings_and_decisions_name_the_winner(
    stage: Stage,
) -> None:
    in_list = await stage.open_list({"day": 1, "week": 5})
    people = contacts(400)
    mailings = [await stage.mailing(in_list) for _ in range(3)]
    for mailing in mailings:
        await stage.messages(mailing, in_list, people)

    async def claim_all(mailing: UUID, fence: int) -> int:
        total = 0
        while rows := await claimed(stage, mailing, fence, 37):
            total += len(rows)
        return total

    async def drained(mailing: UUID, fence: int) -> int:
        total = await claim_all(mailing, fence)
        while (await stage.states(mailing)).get("queued"):
            total += await claim_all(mailing, fence)
        return total

    totals = await asyncio.gather(*(drained(mailing, n) for mailing in mailings for n in (1, 2)))
    assert sum(totals) == 400
    assert await stage.states() == {"claimed": 400, "capped": 800}
    rows = await stage.rows(
        "SELECT m.contact_id, m.state, m.detail, r.number FROM messages m JOIN mailings r ON r.id = m.mailing_id"
    )
    winner = {row["contact_id"]: row["number"] for row in rows if row["state"] == "claimed"}
    assert len(winner) == 400
    for row in rows:
        if row["state"] == "capped":
            assert row["detail"] == {"window": "day", "limit": 1, "holders": [winner[row["contact_id"]]]}
    assert {len(row["instants"]) for row in await stage.rows("SELECT instants FROM caps")} == {1}


async def test_zero_lets_nothing_through_and_null_everything(stage: Stage) -> None:
    closed, free = await stage.open_list({"month": 0}), await stage.open_list({"day": None})
    for in_list in (closed, free):
        mailing = await stage.mailing(in_list)
        await stage.messages(mailing, in_list, contacts(3))
        await claimed(stage, mailing)
    assert await stage.states() == {"capped": 3, "claimed": 3}
    (row, *_) = await stage.rows("SELECT detail FROM messages WHERE state = 'capped'")
    assert row["detail"] == {"window": "month", "limit": 0, "holders": []}
    assert await stage.rows("SELECT FROM caps") == []


async def test_transactional_mail_is_exempt(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 0})
    mailing = await stage.mailing(in_list, mail_class="transactional")
    await stage.messages(mailing, in_list, contacts(2), mail_class="transactional")
    assert len(await claimed(stage, mailing)) == 2


async def test_a_held_message_waits_for_its_window(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 1, "on_cap": "hold"})
    people = contacts(2)
    first, second = await stage.mailing(in_list), await stage.mailing(in_list)
    await stage.messages(first, in_list, people)
    await stage.messages(second, in_list, people)
    await claimed(stage, first)
    assert await claimed(stage, second) == []
    assert await stage.states(second) == {"held": 2}
    rows = await stage.rows("SELECT due_at > now() AS later FROM messages WHERE state = 'held'")
    assert all(row["later"] for row in rows)


async def test_a_reservation_comes_back_when_the_message_does_not_go(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 1})
    people = contacts(4)
    first, second = await stage.mailing(in_list), await stage.mailing(in_list)
    await stage.messages(first, in_list, people)
    lease = await take_lease(stage.db, CLOCK)
    rows = await claimed(stage, first, lease.fence)
    door = BeginAndSettle(stage.db)
    begun = await door.group([], [beginning(stage, row) for row in rows[:3]], lease.fence)
    assert begun == {row["id"] for row in rows[:3]}
    due = datetime.now(UTC) + timedelta(hours=1)
    await door.group(
        [
            ended(stage, rows[0], "delivered"),
            ended(stage, rows[1], "deferred", due_at=due, reply_code=451),
            ended(stage, rows[2], "uncertain"),
        ],
        [],
        lease.fence,
    )
    await unclaim(stage.db, [Unbegun(beginning(stage, rows[3]))], lease.fence)
    assert await stage.states() == {"delivered": 1, "deferred": 1, "uncertain": 1, "queued": 1}
    counts = sorted(len(row["instants"]) for row in await stage.rows("SELECT instants FROM caps"))
    assert counts == [0, 0, 1, 1]
    await stage.messages(second, in_list, people)
    assert len(await claimed(stage, second)) == 2
    await door.close()


async def test_only_what_is_claimed_under_the_fence_and_still_good_begins(stage: Stage) -> None:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    people = contacts(6)
    await stage.messages(mailing, in_list, people, fkey=True)
    rows = await claimed(stage, mailing, fence=5)
    by_contact = {row["contact_id"]: row for row in rows}
    a, b, c, d, e, f = (by_contact[person] for person in people)
    door = BeginAndSettle(stage.db)
    await stage.run("UPDATE messages SET fence = 6 WHERE id = $1", b["id"])
    await stage.run("UPDATE messages SET claimed_until = now() - interval '1 second' WHERE id = $1", c["id"])
    await stage.suppress(bytes(d["address_subject"]), number=1)
    await stage.suppress(bytes(e["fkey_subject"]), number=2, list_id=in_list)
    stale = (stage.account, f["id"], a["attempt_id"])
    begins = [beginning(stage, row) for row in (a, b, c, d, e)]
    assert await door.group([], [*begins, stale], 5) == {a["id"]}
    await stage.run("UPDATE mailings SET state = 'paused'")
    assert await door.group([], [beginning(stage, f)], 5) == set()
    assert (await stage.states())["sending"] == 1
    await door.close()


async def test_a_late_outcome_of_the_same_attempt_settles_what_was_uncertain(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 3})
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(5))
    lease = await take_lease(stage.db, CLOCK)
    rows = await claimed(stage, mailing, lease.fence)
    door = BeginAndSettle(stage.db)
    await door.group([], [beginning(stage, row) for row in rows[:4]], lease.fence)
    await stage.run("UPDATE relays SET lease_until = now() - interval '1 second'")
    sweeper = LeaseSweeper(stage.db, Metrics())
    assert await sweeper.sweep() == 5
    assert await stage.states() == {"uncertain": 4, "queued": 1}
    assert await stage.rows("SELECT FROM relays") == []
    assert not await renew_lease(stage.db, CLOCK, lease)
    # The attempt's own word counts; another attempt's or a repeated one does not.
    forged = replace(ended(stage, rows[0], "delivered"), id=rows[3]["id"])
    await door.group(
        [
            ended(stage, rows[0], "delivered"),
            ended(stage, rows[1], "bounced"),
            ended(stage, rows[2], "queued", counted=False),
            forged,
        ],
        [],
        lease.fence,
    )
    await door.group([ended(stage, rows[0], "bounced")], [], lease.fence)
    assert await stage.states() == {"delivered": 1, "bounced": 1, "queued": 2, "uncertain": 1}
    (again,) = await stage.rows("SELECT attempts, cap_instant FROM messages WHERE id = $1", rows[2]["id"])
    assert (again["attempts"], again["cap_instant"]) == (0, None)
    assert sum(len(row["instants"]) for row in await stage.rows("SELECT instants FROM caps")) == 3
    await door.close()


async def test_a_claim_that_was_not_begun_goes_back_in_line(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 1})
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(2))
    lease = await take_lease(stage.db, CLOCK)
    rows = await claimed(stage, mailing, lease.fence)
    await stage.run(
        "UPDATE messages SET claimed_until = now() - interval '3 seconds' WHERE id = $1", rows[0]["id"]
    )
    assert await LeaseSweeper(stage.db, Metrics()).sweep() == 1
    assert await stage.states() == {"queued": 1, "claimed": 1}
    assert await leave(stage.db, lease) == 1
    assert await stage.states() == {"queued": 2}
    assert len(await claimed(stage, mailing)) == 2


async def test_a_process_with_a_wrong_clock_claims_nothing_under_a_calendar_cap(stage: Stage) -> None:
    in_list = await stage.open_list({"day": 1})
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(2))
    running = await mailing_of(stage, mailing)
    for wrong in (timedelta(days=1, hours=1), -timedelta(days=1, hours=1)):
        assert await claim_batch(stage.db, FakeClock(datetime.now(UTC) + wrong), Order(running), 1, 10) == []
    assert await stage.states() == {"queued": 2}


async def test_old_instants_leave_the_row(stage: Stage) -> None:
    in_list = await stage.open_list({"month": 2})
    mailing = await stage.mailing(in_list)
    (person,) = contacts(1)
    await stage.messages(mailing, in_list, [person])
    await stage.run(
        "INSERT INTO caps SELECT account_id, list_id, channel, address_key, ARRAY[now() - interval '40 days',"
        " now() - interval '33 days'], ARRAY[8, 9] FROM messages"
    )
    assert len(await claimed(stage, mailing)) == 1
    (row,) = await stage.rows("SELECT instants, holders FROM caps")
    assert (len(row["instants"]), row["holders"]) == (1, [1])


async def test_claims_of_all_relays_together_keep_a_mailings_rate(stage: Stage) -> None:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(300))
    await stage.run("UPDATE mailings SET rate = 600")
    running = await mailing_of(stage, mailing)
    assert running.rate == 600
    began, now, taken = datetime.now(UTC), datetime.now(UTC), 0
    while now < began + timedelta(seconds=10):
        # Four relays at once, each with all the room there is.
        found = await asyncio.gather(
            *(claim_batch(stage.db, FakeClock(now), Order(running), fence, 500) for fence in range(1, 5))
        )
        rows = [row for batch in found for row in batch]
        taken += len(rows)
        assert all(row["claimed_until"] <= now + timedelta(seconds=5) for row in rows)
        now += timedelta(milliseconds=700)
    assert 80 <= taken <= 600 * (10 + 1) / 66 + 1


async def test_a_lost_relays_paths_are_free_in_the_end_whoever_buried_it(stage: Stage) -> None:
    lease = await take_lease(stage.db, CLOCK)
    await stage.run("INSERT INTO paths VALUES ($1, $1, '#01', $2, 5, NULL)", stage.account, lease.fence)
    # A process of another release buries it, and knows of no paths.
    await stage.run("DELETE FROM relays")
    await LeaseSweeper(stage.db, Metrics()).sweep()
    rows = await stage.rows("SELECT ends_at > now() AS counts FROM paths")
    assert [row["counts"] for row in rows] == [True]
    again = await take_lease(stage.db, CLOCK, [lease.fence])
    assert await stage.rows("SELECT 1 FROM paths") == [], "its own process says that all is closed"
    await leave(stage.db, again)
