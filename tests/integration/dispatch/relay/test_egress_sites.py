"""What a site, its DNS and its replies do to the mail of accounts with sources of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from egress_stage import a_pool, a_route, a_source, a_world, finding, shaped
from mailmaker.common.contracts.deliveries import OutcomesRecorded
from mailmaker.common.contracts.event import decode
from mailmaker.dispatch.domain.egress import ANY_LANE
from mailmaker.dispatch.domain.warmup import HOURS, RAMP
from mailmaker.dispatch.egress.proxy import Egress
from mailmaker.dispatch.egress.rules import Rules
from mailmaker.dispatch.relay import throttle
from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.source import SiteWay
from mailmaker.dispatch.relay.way import Target
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import Stage, contacts, until
from scripted_server import ScriptedServer, serving

Run = Callable[[Relay], asyncio.Event]
ONE = {"mx.one.test": ["one.test"]}
TWO = {**ONE, "mx.two.test": ["two.test"]}
GRANDE = '[provider.grande]\nmx = ["one.test"]\n'


async def mails(stage: Stage, domains: dict[str, int], lane: str | None = "", **about: Any) -> UUID:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list, **about)
    for domain, count in domains.items():
        await stage.messages(mailing, in_list, contacts(count), domain=domain, lane=lane)
    return mailing


async def reached(stage: Stage, states: dict[str, int], seconds: float = 30) -> None:
    found: dict[str, int] = {}

    async def now() -> bool:
        found.clear()
        found.update(await stage.states())
        return found == states

    try:
        await until(now, seconds)
    except TimeoutError:
        raise AssertionError(f"{found} is not {states}") from None


async def test_through_a_proxy_mail_leaves_from_the_address_asked_for(stage: Stage, running: Run) -> None:
    proxy = Egress(
        Rules(frozenset(_ips("127.0.4.1", "127.0.4.2")), ports=frozenset(range(65536)), private=True)
    )
    server = f"127.0.0.1:{await proxy.listen('127.0.0.1', 0)}"
    news, offers = await a_pool(stage, "news", default=True), await a_pool(stage, "offers")
    await a_source(stage, news, "127.0.4.1", driver="socks5", server=server)
    await a_source(stage, offers, "127.0.4.2", driver="socks5", server=server)
    await a_route(stage, 1, offers, tag="offers")
    await mails(stage, {"one.test": 15})
    await mails(stage, {"one.test": 15}, tag="offers")
    async with a_world(ONE) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await reached(stage, {"delivered": 30})
        seen = Counter(one.peer for one in world.sites["mx.one.test"].seen)
    await proxy.close()
    assert seen == {"127.0.4.1": 15, "127.0.4.2": 15}


async def test_a_proxy_without_the_address_sends_nothing(stage: Stage, running: Run) -> None:
    proxy = Egress(Rules(frozenset(_ips("127.0.4.9")), ports=frozenset(range(65536)), private=True))
    server = f"127.0.0.1:{await proxy.listen('127.0.0.1', 0)}"
    await a_source(
        stage, await a_pool(stage, "news", default=True), "127.0.4.1", driver="socks5", server=server
    )
    await mails(stage, {"one.test": 1})
    async with a_world(ONE) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await reached(stage, {"deferred": 1})
        assert world.sites["mx.one.test"].connections == 0
    await proxy.close()


async def test_domains_that_take_no_mail_end_it_and_are_told(stage: Stage, running: Run) -> None:
    await a_source(stage, await a_pool(stage, "all", default=True), "127.0.2.1")
    await mails(stage, {"one.test": 3, "null.test": 2, "nowhere.test": 1})
    async with a_world(ONE, null_test=["0 ."]) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await reached(stage, {"delivered": 3, "bounced": 3})
    reasons = {
        row["reason"] for row in await stage.rows("SELECT reason FROM messages WHERE state = 'bounced'")
    }
    assert reasons == {"null_mx", "no_such_domain"}
    told: Counter[str] = Counter()
    for row in await stage.rows("SELECT value FROM outbox"):
        event = decode("outcomes.recorded", bytes(row["value"]))
        assert isinstance(event, OutcomesRecorded)
        told.update(one.state for one in event.outcomes)
    assert told == {"delivered": 3, "bounced": 3}
    assert await stage.rows("SELECT 1 FROM messages WHERE attempts > 0 AND state = 'bounced'") == []


async def test_a_site_that_is_away_keeps_no_other_waiting(stage: Stage, running: Run) -> None:
    await a_source(stage, await a_pool(stage, "all", default=True), "127.0.2.1")
    await mails(stage, {"one.test": 10, "two.test": 10})
    async with a_world(TWO) as world, finding(world.finder(stage, shaped())):
        world.sites["mx.one.test"].answers["BANNER"] = [b"421 too busy"] * 1000
        running(world.relay(stage))
        await reached(stage, {"deferred": 10, "delivered": 10})
        assert {seen.rcpt.rpartition("@")[2] for seen in world.sites["mx.two.test"].seen} == {"two.test>"}
        # The gate is shut: of ten mails and three connections only those under way at once have knocked.
        assert world.sites["mx.one.test"].connections <= 3
    rows = await stage.rows(
        "SELECT reason, due_at > now() + interval '30 seconds' AS later FROM messages"
        " WHERE state = 'deferred'"
    )
    assert {(row["reason"], row["later"]) for row in rows} == {("connect", True)}


async def test_after_a_pause_one_mail_goes_ahead_and_then_all(
    stage: Stage, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = throttle.BackoffPlan(first=1.0, longest=1.0)
    monkeypatch.setattr("mailmaker.dispatch.relay.source.BackoffPlan", lambda: quick)
    await a_source(stage, await a_pool(stage, "all", default=True), "127.0.2.1")
    await mails(stage, {"one.test": 12})
    shaping = shaped(3, GRANDE)
    async with a_world(ONE) as world, finding(world.finder(stage, shaping)):
        server = world.sites["mx.one.test"]
        server.answers["BANNER"] = [b"421 too busy"] * 3
        server.answers["DOT"] = [b"421 4.3.2 still too busy"]
        running(world.relay(stage, shaping))
        await reached(stage, {"delivered": 12})
        assert server.answers == {"BANNER": [], "DOT": []}


async def test_a_reply_that_a_rule_knows_leaves_the_site_alone(stage: Stage, running: Run) -> None:
    rule = (
        '[[provider.grande.rule]]\nname = "reputation"\ncode = 550\ntext = "reputation"\naction = "suspend"\nfor = "2h"\n'
        'sample = "550 5.7.1 bad reputation"\nsource = "this test"\n'
    )
    shaping = shaped(1, GRANDE + "connections = 1\n" + rule)
    await a_source(stage, await a_pool(stage, "all", default=True), "127.0.2.1")
    await mails(stage, {"one.test": 20, "two.test": 20})
    async with a_world(TWO) as world, finding(world.finder(stage, shaping)):
        one = world.sites["mx.one.test"]
        one.answers["DOT"] = [b"250 ok", b"250 ok", b"550 5.7.1 bad reputation"]
        running(world.relay(stage, shaping))
        await until(lambda: _is(stage, "delivered", 22))
        await until(lambda: _is(stage, "bounced", 1))
        assert len(one.seen) == 2
        assert (await stage.states())["delivered"] == 22
    assert sum(n for state, n in (await stage.states()).items() if state in ("queued", "claimed")) == 17


async def test_a_paused_source_sends_no_more_and_the_other_goes_on(stage: Stage, running: Run) -> None:
    pool = await a_pool(stage, "all", default=True)
    first = await a_source(stage, pool, "127.0.2.1")
    await a_source(stage, pool, "127.0.2.2", state="paused")
    await mails(stage, {"one.test": 400})
    async with a_world(ONE) as world, finding(world.finder(stage)):
        server = world.sites["mx.one.test"]
        server.delay = 0.05
        running(world.relay(stage))
        await until(lambda: _true(len(server.seen) > 5))
        await stage.run("UPDATE sources SET state = CASE WHEN id = $1 THEN 'paused' ELSE 'active' END", first)
        await reached(stage, {"delivered": 400}, 60)
        peers = [seen.peer for seen in server.seen]
    last = max(place for place, peer in enumerate(peers) if peer == "127.0.2.1")
    assert set(peers) == {"127.0.2.1", "127.0.2.2"}
    assert last < 300, "the first source went on"


async def test_from_its_first_pool_on_an_account_leaves_by_no_other_way(stage: Stage, running: Run) -> None:
    mailing = await mails(stage, {"one.test": 300}, lane=None)
    async with a_world(ONE) as world, serving(ScriptedServer(delay=0.02)) as own:
        running(stage.relay(own.port))
        await until(lambda: _true(len(own.seen) > 5))
        pool = await a_pool(stage, "servers", default=True)
        seen_when = len(own.seen)
        other = ScriptedServer()
        async with serving(other):
            await a_source(stage, pool, None, driver="smarthost", server=f"127.0.0.1:{other.port}")
            await reached(stage, {"delivered": 300}, 60)
        assert world.sites["mx.one.test"].connections == 0
    assert len(own.seen) + len(other.seen) == 300
    assert len(own.seen) < seen_when + 60, "the platform's own server was used on"
    lanes = await stage.rows("SELECT DISTINCT lane FROM paths")
    assert {row["lane"] for row in lanes} <= {ANY_LANE}
    assert mailing


async def test_a_source_that_warms_up_keeps_its_budget_and_the_warm_one_takes_the_rest(
    stage: Stage, running: Run
) -> None:
    pool = await a_pool(stage, "all", default=True)
    await a_source(stage, pool, "127.0.2.1", warming=True)
    warm = await a_source(stage, pool, "127.0.2.2", state="paused")
    await mails(stage, {"one.test": 60})
    an_hour = -(-RAMP[0] // HOURS)
    async with a_world(ONE) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await until(lambda: _is(stage, "delivered", an_hour))
        await stage.run("UPDATE sources SET state = 'active' WHERE id = $1", warm)
        await reached(stage, {"delivered": 60})
        peers = Counter(seen.peer for seen in world.sites["mx.one.test"].seen)
    hours = await stage.rows(
        "SELECT count(*) AS n FROM messages WHERE source LIKE '%127.0.2.1%' GROUP BY date_trunc('hour', begun_at)"
    )
    assert max(row["n"] for row in hours) <= an_hour
    assert peers["127.0.2.1"] == sum(row["n"] for row in hours)
    assert peers["127.0.2.2"] == 60 - peers["127.0.2.1"]


async def test_a_path_is_given_up_when_its_mail_has_gone(
    stage: Stage, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailmaker.dispatch.relay.roads.IDLE_FOR", 1.0)
    await a_source(stage, await a_pool(stage, "all", default=True), "127.0.2.1")
    await mails(stage, {"one.test": 30})
    async with a_world(ONE) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await reached(stage, {"delivered": 30})

        async def nobodys() -> bool:
            return not await stage.rows("SELECT 1 FROM paths")

        await until(nobodys)
        assert world.sites["mx.one.test"].open_now == 0


async def test_a_source_that_cannot_be_used_stops_no_other(
    stage: Stage, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await a_pool(stage, "all", default=True)
    sealed_by_another = await a_source(stage, pool, None, driver="smarthost", server="127.0.0.1:9")
    await stage.run("UPDATE sources SET secret = 'x', username = 'u' WHERE id = $1", sealed_by_another)
    broken = await a_source(stage, pool, "127.0.2.1")
    await a_source(stage, pool, "127.0.2.2")
    opened = SiteWay.open

    async def fails(way: SiteWay, target: Target) -> Session:
        if way.name.endswith("(127.0.2.1)"):
            raise RuntimeError("what nobody thought of")
        return await opened(way, target)

    monkeypatch.setattr(SiteWay, "open", fails)
    await mails(stage, {"one.test": 40})
    async with a_world(ONE) as world, finding(world.finder(stage)):
        running(world.relay(stage))
        await reached(stage, {"delivered": 40}, 60)
        assert {seen.peer for seen in world.sites["mx.one.test"].seen} == {"127.0.2.2"}
    assert await stage.rows("SELECT 1 FROM paths WHERE source_id = $1", broken) == []


async def _is(stage: Stage, state: str, count: int) -> bool:
    return (await stage.states()).get(state, 0) >= count


async def _true(value: bool) -> bool:
    return value


def _ips(*addresses: str) -> list[Any]:
    from ipaddress import ip_address

    return [ip_address(address) for address in addresses]
