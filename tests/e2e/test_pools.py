"""A client's mail leaves from its own addresses, by its own rules, also when the process that sends it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from e2e_rig import CONNECTIONS, Rig, eventually
from mailmaker.common.demo.client import Client
from mailmaker.common.testing.ledger import Ledger
from mailmaker.common.testing.sink import Sink

PEOPLE = 3_000
SITES = {"127.0.1.1": "mx.one.test", "127.0.1.2": "mx.two.test"}
DOMAINS = {"one.test": "mx.one.test", "also.one.test": "mx.one.test", "two.test": "mx.two.test"}
NEWS, OFFERS = "127.0.3.1", "127.0.3.2"


@contextlib.asynccontextmanager
async def recipients_servers(rig: Rig) -> AsyncIterator[list[Ledger]]:
    """Two sites that write down what they take, and the DNS that leads to them."""
    assert rig.world is not None
    zone = {(host, "A"): [ip] for ip, host in SITES.items()}
    zone |= {(domain, "MX"): [f"10 {host}."] for domain, host in DOMAINS.items()}
    rig.world.dns.load(zone)
    sinks = []
    for ip, host in SITES.items():
        directory = rig.directory / host
        await asyncio.to_thread(directory.mkdir)
        sinks.append(Sink(directory))
        await sinks[-1].listen(rig.world.port, ip)
    yield [Ledger(rig.directory / host) for host in SITES.values()]
    for sink in sinks:
        await sink.close()


async def a_client(rig: Rig) -> tuple[str, Client]:
    """Another account, its key known everywhere."""
    made = await rig.operator.send("POST", "/v1/accounts", {"name": "Somebody with addresses"})
    client = Client(rig.stage.dev["base_url"], made["key"])
    await client.__aenter__()

    async def known() -> bool:
        return (await client.raw("GET", "/v1/domains")).status_code == 200

    await eventually("the new key is known everywhere", known)
    domain = await client.send("POST", "/v1/domains", {"name": f"n{made['number']}.demo.mailmaker.test"})
    verified = await client.send("POST", f"/v1/domains/{domain['id']}:verify")
    assert verified["state"] == "verified"
    await client.send("POST", "/v1/senders", {"name": "Shop", "email": f"news@{domain['name']}"})
    return made["id"], client


async def ways_out(rig: Rig, account: str, client: Client) -> None:
    pools = {}
    for name, address in (("news", NEWS), ("offers", OFFERS)):
        pool = await rig.operator.send("POST", "/v1/pools", {"account": account, "name": name})
        pools[name] = pool["id"]
        source = {"name": name, "driver": "direct", "address": address, "ehlo": f"{name}.out.test"}
        await rig.operator.send("POST", "/v1/sources", {"account": account, "pool": pool["id"], **source})
    rule = {"name": "offers", "pool": pools["offers"], "when": {"tag": "offers"}}
    await client.send("POST", "/v1/routes", rule)


def people(directory: Path) -> Path:
    file = directory / "pools.csv"
    names = list(DOMAINS)
    rows = "".join(f"p{n}@{names[n % len(names)]},N{n}\n" for n in range(PEOPLE))
    file.write_text(f"email,name\n{rows}", encoding="utf-8")
    return file


async def a_mailing(client: Client, list_id: str, tag: str) -> str:
    wish = {
        "name": tag,
        "template": await client.open_template(),
        "sender": await client.sender(),
        "lists": [list_id],
        "tag": tag,
    }
    return str((await client.send("POST", "/v1/mailings", wish))["id"])


@pytest.mark.timeout(900)
async def test_mail_leaves_from_the_accounts_own_addresses(rig: Rig) -> None:
    async with recipients_servers(rig) as ledgers:
        account, client = await a_client(rig)
        await ways_out(rig, account, client)
        list_id = await client.open_list("people with two addresses to hear from")
        await client.import_file(list_id, await asyncio.to_thread(people, rig.directory))
        mailings = {tag: await a_mailing(client, list_id, tag) for tag in ("news", "offers")}
        for mailing in mailings.values():
            await client.send("POST", f"/v1/mailings/{mailing}:start")

        async def under_way() -> bool:
            return sum(ledger.count() for ledger in ledgers) > PEOPLE // 2

        await eventually("half of a mailing at the sites", under_way, 120)
        await rig.kill("dispatch")
        ends = {
            tag: await client.wait(f"/v1/mailings/{one}", ("finished",), seconds=300)
            for tag, one in mailings.items()
        }
        decisions = {tag: await every(client, "/v1/decisions", mailing=one) for tag, one in mailings.items()}
        await client.__aexit__(None, None, None)
    uncertain = sum(end["counts"]["uncertain"] for end in ends.values())
    assert uncertain <= 4 * CONNECTIONS
    for end in ends.values():
        assert end["counts"]["planned"] == PEOPLE, end
        assert end["counts"]["delivered"] + end["counts"]["uncertain"] == PEOPLE, end
    judge(ledgers, decisions, uncertain)


def judge(ledgers: list[Ledger], decisions: dict[str, list[dict[str, Any]]], uncertain: int) -> None:
    """Each mail once, at the site of its domain, from the address of its pool; and the decisions say the same."""
    addresses = {"news": NEWS, "offers": OFFERS}
    got: Counter[tuple[str, str]] = Counter()
    for ledger, host in zip(ledgers, SITES.values(), strict=True):
        for seen in ledger:
            if not seen.accepted:
                continue
            (recipient,) = seen.recipients
            assert DOMAINS[recipient.rpartition("@")[2]] == host
            got[recipient, seen.peer] += 1
    assert set(got.values()) == {1}, "somebody got a mailing twice"
    assert {peer for _, peer in got} == {NEWS, OFFERS}
    assert 2 * PEOPLE - uncertain <= sum(got.values()) <= 2 * PEOPLE
    for tag, found in decisions.items():
        assert len(found) == PEOPLE
        for one in found:
            if one["verdict"] == "sent":
                rule = "offers" if tag == "offers" else "default pool"
                assert (one["route"], one["source"]) == (rule, f"{tag} ({addresses[tag]})"), json.dumps(one)


async def every(client: Client, path: str, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = await client.send("GET", path, params={**query, "limit": "1000"})
        items += page["items"]
        if page["next"] is None:
            return items
        query = {**query, "cursor": page["next"]}
