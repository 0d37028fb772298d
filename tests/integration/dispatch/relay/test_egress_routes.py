"""mail_leaves_only_from_the_accounts_ips: random routing tables, judged by what recipients' servers see (SHP-1, SHP-2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import pytest
from egress_stage import World, a_pool, a_route, a_source, a_world, finding, shaped
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import Stage, contacts, until

Run = Callable[[Relay], asyncio.Event]
SEEDS = [11, 22, 33]
SITES = {
    "mx.grande.test": ["grande.test", "hosted-there.test"],
    "mx.one.test": ["one.test", "also-one.test"],
    "mx.two.test": ["two.test"],
}
PROVIDER = {"grande.test": "grande", "hosted-there.test": "grande"}
SHAPING = shaped(2, '[provider.grande]\nmx = ["grande.test"]\nconnections = 1\n')


@dataclass
class Account:
    """An account with a random table, and where each of its mails must come from."""

    stage: Stage
    pools: dict[UUID, list[str]] = field(default_factory=dict)
    default: UUID | None = None
    rules: list[tuple[str, UUID, dict[str, Any]]] = field(default_factory=list)
    expected: dict[str, tuple[list[str], str | None]] = field(default_factory=dict)
    """Recipient -> addresses, rule; no address: it waits."""


async def furnish(stage: Stage, chance: Random, net: int) -> Account:
    account = Account(stage)
    for place in range(chance.randint(1, 3)):
        is_default = place == 0 and chance.random() < 0.7
        pool = await a_pool(stage, f"pool {place}", default=is_default)
        account.default = pool if is_default else account.default
        account.pools[pool] = []
        for n in range(chance.randint(0 if place else 1, 2)):
            address = f"127.0.{net}.{place * 10 + n + 1}"
            state = "active" if chance.random() < 0.8 else "paused"
            await a_source(stage, pool, address, state=state)
            account.pools[pool] += [address] if state == "active" else []
    return account


async def fill(account: Account, chance: Random) -> None:
    stage = account.stage
    lists = [await stage.open_list() for _ in range(2)]
    tags = ["offers", "news", None]
    for position in range(chance.randint(0, 4)):
        when: dict[str, Any] = {}
        if chance.random() < 0.5:
            when["list_id"] = chance.choice(lists)
        if chance.random() < 0.4:
            when["tag"] = chance.choice(tags[:2])
        if chance.random() < 0.4:
            when["provider"] = "grande"
        if chance.random() < 0.2:
            when["sender_domain"] = chance.choice(["demo.test", "other.test"])
        pool = chance.choice(list(account.pools))
        account.rules.append((await a_route(stage, position, pool, **when), pool, when))
    for tag in tags:
        mailing = await stage.mailing(lists[0], lists=lists, tag=tag)
        for list_id in lists:
            for domain in [d for served in SITES.values() for d in served]:
                people = contacts(2)
                await stage.messages(mailing, list_id, people, domain=domain, lane="")
                facts = {
                    "list_id": list_id,
                    "tag": tag,
                    "provider": PROVIDER.get(domain),
                    "sender_domain": "demo.test",
                }
                for person in people:
                    account.expected[f"c{person.hex}@{domain}"] = judged(account, facts)


def judged(account: Account, facts: dict[str, Any]) -> tuple[list[str], str | None]:
    """The oracle: the first rule all of whose wishes are met, in other words than the product's."""
    for name, pool, when in account.rules:
        if all(facts[key] == wanted for key, wanted in when.items()):
            return account.pools[pool], name
    return ([], None) if account.default is None else (account.pools[account.default], "default pool")


def arrived(world: World) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for host, server in world.sites.items():
        for seen in server.seen:
            rcpt = re.findall("<(.*)>", seen.rcpt)[0]
            found.setdefault(rcpt, []).append((seen.peer, host))
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_mail_leaves_only_from_the_accounts_ips(stage: Stage, running: Run, seed: int) -> None:
    chance = Random(seed)
    other = await Stage(stage.db, number=8).set_up()
    accounts = [await furnish(stage, chance, 2), await furnish(other, chance, 3)]
    for account in accounts:
        await fill(account, chance)
    expected = {rcpt: how for account in accounts for rcpt, how in account.expected.items()}
    due = {rcpt for rcpt, (addresses, _) in expected.items() if addresses}
    async with a_world(SITES) as world, finding(world.finder(stage, SHAPING)):
        for _ in range(2):
            running(world.relay(stage, SHAPING))

        async def all_there() -> bool:
            return len(arrived(world)) >= len(due)

        await until(all_there, 60)

        async def all_told() -> bool:
            told = await stage.rows("SELECT count(*) AS n FROM messages WHERE state = 'delivered'")
            return bool(told[0]["n"] >= len(due))

        await until(all_told)
        found = arrived(world)
        rows = await stage.rows("SELECT address, state, source, route FROM messages")
        most = {(host, peer): n for host, one in world.sites.items() for peer, n in one.most_by_peer.items()}
    assert set(found) == due
    for rcpt, seen in found.items():
        assert len(seen) == 1, f"{rcpt} got it twice"
        assert seen[0][0] in expected[rcpt][0], f"{rcpt}: from {seen[0][0]}, not {expected[rcpt]}"
        assert seen[0][1] == world.domains[rcpt.rpartition("@")[2]]
    for row in rows:
        addresses, rule = expected[row["address"]]
        if addresses:
            assert (row["state"], row["route"]) == ("delivered", rule)
            assert any(f"({address})" in row["source"] for address in addresses)
        else:
            assert row["state"] == "queued"
    assert all(n <= (1 if "grande" in host else 2) for (host, _), n in most.items()), most
