"""The relay on real PostgreSQL and a scripted server: what each kind of answer does to a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import dkim
import pytest
from mailmaker.common.contracts.deliveries import OutcomesRecorded
from mailmaker.common.contracts.event import decode
from mailmaker.common.mail.subjects import contact_subject
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import PUBLIC, Stage, contacts, renewal, until
from scripted_server import ScriptedServer, serving

Run = Callable[[Relay], asyncio.Event]


async def settled(stage: Stage, states: dict[str, int]) -> None:
    found: dict[str, int] = {}

    async def reached() -> bool:
        found.clear()
        found.update(await stage.states())
        return found == states

    try:
        await until(reached)
    except TimeoutError:
        raise AssertionError(f"{found} is not {states}") from None


async def one_mailing(stage: Stage, people: int, **about: Any) -> list[UUID]:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list, **about)
    return list(await stage.messages(mailing, in_list, contacts(people)))


def verifies(data: bytes) -> bool:
    return bool(dkim.verify(data, dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + PUBLIC))


@pytest.mark.parametrize("pipelining", [True, False])
async def test_every_message_is_sent_once_signed_and_on_few_connections(
    stage: Stage, running: Run, pipelining: bool
) -> None:
    await one_mailing(stage, 60)
    async with serving(ScriptedServer(pipelining=pipelining)) as server:
        running(stage.relay(server.port, connections=3))
        await settled(stage, {"delivered": 60})
        assert len({seen.rcpt for seen in server.seen}) == len(server.seen) == 60
        assert len({seen.mail_from for seen in server.seen}) == 60
        assert server.connections <= 3
        assert server.pipelined is pipelining
        assert all(verifies(seen.data) for seen in server.seen)
        assert "RSET" not in server.commands


async def test_outcomes_are_told_as_the_contract_says(stage: Stage, running: Run) -> None:
    ids = await one_mailing(stage, 5)
    async with serving(ScriptedServer(answers={"RCPT": [b"550 5.1.1 unknown"]})) as server:
        running(stage.relay(server.port))
        await settled(stage, {"delivered": 4, "bounced": 1})
    told = []
    for row in await stage.rows("SELECT * FROM outbox ORDER BY id"):
        assert row["headers"]["ce_type"] == "outcomes.recorded"
        event = decode("outcomes.recorded", bytes(row["value"]))
        assert isinstance(event, OutcomesRecorded)
        assert row["headers"]["ce_id"] == str(event.event_id)
        assert (row["topic"], row["key"]) == (event.topic.name, event.key())
        told += event.outcomes
    assert {outcome.message_id for outcome in told} == set(ids)
    assert sorted(outcome.state for outcome in told) == ["bounced"] + ["delivered"] * 4
    assert {outcome.reply_code for outcome in told} == {250, 550}


@pytest.mark.parametrize("stage_of", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_5xx_is_final_and_a_4xx_comes_back(
    stage: Stage, running: Run, stage_of: str, pipelining: bool
) -> None:
    await one_mailing(stage, 6)
    script = ScriptedServer(
        pipelining=pipelining, answers={stage_of: [b"550 5.7.1 never", b"451-4.7.1 not\r\n451 4.7.1 now"]}
    )
    async with serving(script) as server:
        running(stage.relay(server.port, connections=1))
        await settled(stage, {"delivered": 4, "bounced": 1, "deferred": 1})
        assert server.connections == 1
    (bounced,) = await stage.rows("SELECT * FROM messages WHERE state = 'bounced'")
    assert (bounced["reply_code"], bounced["reply_text"], bounced["attempts"]) == (550, "5.7.1 never", 1)
    (deferred,) = await stage.rows("SELECT *, due_at - now() AS wait FROM messages WHERE state = 'deferred'")
    assert (deferred["reply_code"], deferred["attempts"], deferred["ended_at"]) == (451, 1, None)
    assert timedelta(minutes=15) < deferred["wait"] < timedelta(minutes=25)


async def test_a_refused_recipient_whose_server_still_asks_for_data_gets_an_empty_message(
    stage: Stage, running: Run
) -> None:
    await one_mailing(stage, 3)
    script = ScriptedServer(
        answers={"RCPT": [b"550 5.1.1 no"], "DATA": [b"354 anyway"], "DOT": [b"554 5.5.1 nobody"]}
    )
    async with serving(script) as server:
        running(stage.relay(server.port, connections=1))
        await settled(stage, {"delivered": 2, "bounced": 1})
        assert len(server.seen) == 2
        assert server.connections == 1


async def test_a_deferred_message_is_tried_again_until_it_is_taken(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 1)
    plan = RetryPlan(first=timedelta(milliseconds=100))
    async with serving(ScriptedServer(answers={"RCPT": [b"451 4.7.1 later"] * 3})) as server:
        running(stage.relay(server.port, plan=plan))
        await settled(stage, {"delivered": 1})
        assert len(server.seen) == 1
    (row,) = await stage.rows("SELECT attempts FROM messages")
    assert row["attempts"] == 4


async def test_a_message_whose_validity_ends_before_the_retry_expires(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 1, valid_until=datetime.now(UTC) + timedelta(minutes=5))
    async with serving(ScriptedServer(answers={"DOT": [b"451 4.7.1 later"]})) as server:
        running(stage.relay(server.port))
        await settled(stage, {"expired": 1})


async def test_a_mailing_whose_validity_is_over_expires_unsent(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 5, valid_until=datetime.now(UTC) - timedelta(minutes=1))
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))
        await settled(stage, {"expired": 5})
        assert server.connections == 0


async def test_421_and_silent_close_requeue_and_count_nothing(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 12)
    script = ScriptedServer(
        answers={"MAIL": [b"421 4.3.2 busy"], "DATA": [None], "DOT": [b"250 ok", b"421 4.7.0 closing"]},
        close_after=4,
    )
    async with serving(script) as server:
        running(stage.relay(server.port, connections=2))
        await settled(stage, {"delivered": 12})
        assert len({seen.rcpt for seen in server.seen}) == len(server.seen) == 12
    rows = await stage.rows("SELECT attempts FROM messages")
    assert {row["attempts"] for row in rows} == {1}


async def test_a_connection_that_closes_after_the_dot_makes_it_uncertain(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 5)
    async with serving(ScriptedServer(answers={"DOT": [None]})) as server:
        running(stage.relay(server.port, connections=1))
        await settled(stage, {"delivered": 4, "uncertain": 1})
        await asyncio.sleep(0.3)
        assert len(server.seen) == 4


async def test_a_server_that_does_not_let_us_in_costs_no_attempt(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 2)
    async with serving(ScriptedServer(answers={"BANNER": [b"554 go away", None, b"421 busy"]})) as server:
        running(stage.relay(server.port, connections=1))
        await settled(stage, {"delivered": 2})
    rows = await stage.rows("SELECT attempts FROM messages")
    assert {row["attempts"] for row in rows} == {1}


async def test_begun_messages_never_exceed_open_connections(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 40)
    async with serving(ScriptedServer(silent_dot=True)) as server:
        running(stage.relay(server.port, connections=3))

        async def waiting() -> bool:
            return server.waiting_dots == 3

        await until(waiting)
        found = await stage.states()
        assert found["sending"] == 3


async def test_stopping_gives_everything_back(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 300)
    async with serving(ScriptedServer()) as server:
        stop = running(stage.relay(server.port, connections=2))

        async def some() -> bool:
            return len(server.seen) >= 10

        await until(some)
        stop.set()

        async def gone() -> bool:
            return not await stage.rows("SELECT FROM relays")

        await until(gone)
        found = await stage.states()
        assert found.keys() <= {"delivered", "queued"}
        assert found["delivered"] == len(server.seen)
        assert not await stage.rows(
            "SELECT FROM messages WHERE state = 'queued' AND (fence IS NOT NULL OR attempts > 0)"
        )
        running(stage.relay(server.port, connections=4))
        await settled(stage, {"delivered": 300})
        assert len({seen.rcpt for seen in server.seen}) == 300


async def test_a_message_that_cannot_be_written_is_skipped_and_the_others_go(
    stage: Stage, running: Run
) -> None:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(3))
    await stage.messages(mailing, in_list, contacts(1), merge={"name": "Mario\r\nBcc: all@example.com"})
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))
        await settled(stage, {"delivered": 3, "skipped": 1})
    (row,) = await stage.rows("SELECT reason FROM messages WHERE state = 'skipped'")
    assert row["reason"] == "render"


async def test_two_mailings_are_sent_side_by_side(stage: Stage, running: Run) -> None:
    in_list = await stage.open_list()
    large = await stage.mailing(in_list)
    await stage.messages(large, in_list, contacts(2000))
    small = await stage.mailing(in_list)
    await stage.messages(small, in_list, contacts(20))
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port, connections=4))

        async def small_done() -> bool:
            return bool(await stage.states(small) == {"delivered": 20})

        await until(small_done)
        assert (await stage.states(large)).get("queued", 0) > 500


async def test_a_paused_mailing_or_a_closed_account_sends_nothing(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 20)
    await stage.run("UPDATE mailings SET state = 'paused'")
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))
        await renewal(stage)
        await stage.run("UPDATE known_accounts SET state = 'suspended'")
        await stage.run("UPDATE mailings SET state = 'running'")
        await renewal(stage)
        assert server.connections == 0
        assert await stage.states() == {"queued": 20}
        await stage.run("UPDATE known_accounts SET state = 'open'")
        await settled(stage, {"delivered": 20})


async def test_nothing_is_sent_while_nobody_vouches_for_the_feed(stage: Stage, running: Run) -> None:
    await one_mailing(stage, 5)
    await stage.run("UPDATE feed_position SET confirmed_at = clock_timestamp() - interval '11 seconds'")
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))
        await renewal(stage)
        assert server.connections == 0
        await stage.vouch()
        await settled(stage, {"delivered": 5})


async def test_a_standing_no_is_met_by_the_claim(stage: Stage, running: Run) -> None:
    in_list, other = await stage.open_list(), await stage.open_list()
    mailing = await stage.mailing(in_list)
    people = contacts(4)
    await stage.messages(mailing, in_list, people)
    await stage.suppress(contact_subject(people[0]), number=1)
    await stage.suppress(contact_subject(people[1]), number=2, list_id=other)
    await stage.suppress(contact_subject(people[2]), number=3, released=True)
    await stage.suppress(contact_subject(people[3]), number=1, list_id=in_list, source="contacts")
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))
        await settled(stage, {"delivered": 2, "suppressed": 1, "cancelled": 1})
    (row,) = await stage.rows("SELECT reason, detail FROM messages WHERE state = 'suppressed'")
    assert (row["reason"], row["detail"]) == ("unsubscribe", {"number": 1})
