"""integration: a domain's DKIM keys are rotated: what signs is always what the DNS shows, and what was signed verifies."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import dkim
import pytest
from asyncpg import Record
from dispatch_street import CLOCK, MAIL_DOMAIN, Street
from dkim_zone import Zone
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.add_domain import add_domain
from mailmaker.dispatch.actions.read import one_domain
from mailmaker.dispatch.actions.read_copy import read_copy
from mailmaker.dispatch.actions.rotate_keys import rotate_keys
from mailmaker.dispatch.actions.verify_domain import verify_domain
from mailmaker.dispatch.actions.views import DomainView
from mailmaker.dispatch.errors import KeysChanged, UnknownDomain
from mailmaker.dispatch.relay.keys import Ed25519Key, RsaKey
from mailmaker.dispatch.relay.sign import Signer
from mailmaker.dispatch.storage.seal import Seal

SEAL = Seal("a secret of sixteen")
HEADERS = [(b"From", b"a@shop.test"), (b"Subject", b"Ciao")]


class Walk:
    """A domain `shop.test`, its DNS, and what a relay signs by now."""

    def __init__(self, street: Street, domain: DomainView) -> None:
        self.street = street
        self.id = domain.id
        self.zone = Zone()

    async def verify(self, now: datetime | None = None) -> DomainView:
        at = now or CLOCK.now()
        street = self.street
        return await verify_domain(street.db, SEAL, self.zone, street.call, self.id, at, MAIL_DOMAIN)

    async def rotate(self) -> DomainView:
        street = self.street
        return await rotate_keys(street.db, SEAL, street.call, self.id, CLOCK.now(), MAIL_DOMAIN)

    async def shown(self) -> DomainView:
        return await one_domain(self.street.db, self.street.account_id, self.id, MAIL_DOMAIN)

    async def keys(self) -> Record:
        street = self.street
        made = await street.mailing(street.contacts.open_list([]), expand=False)
        async with street.db.platform() as tx:
            await tx.driver.execute("UPDATE mailings SET domain_id = $1 WHERE id = $2", self.id, made.id)
        row = await read_copy(street.db, street.account_id, made.id)
        assert row is not None
        return row

    async def mail(self) -> bytes:
        """A mail as a relay signs it that reads its keys now."""
        row = await self.keys()
        rsa = RsaKey.from_pem(row["selector"], self._open(row["private_key"]))
        second = None
        if row["second_key"] is not None:
            second = Ed25519Key.from_pem(row["second_selector"], self._open(row["second_key"]))
        signed = Signer("shop.test", rsa, second).sign(HEADERS, b"Ciao\r\n", 1_790_000_000)
        return signed + b"From: a@shop.test\r\nSubject: Ciao\r\n\r\nCiao\r\n"

    def _open(self, sealed: bytes) -> bytes:
        return SEAL.open(bytes(sealed), self.street.account_id, self.id)

    def verdicts(self, mail: bytes) -> dict[str, bool]:
        """What the DNS makes of each signature, by selector."""
        seen, said = dkim.DKIM(mail), {}
        for at in range(mail.count(b"DKIM-Signature:")):
            holds = seen.verify(idx=at, dnsfunc=self._txt)
            said[seen.signature_fields[b"s"].decode()] = holds
        return said

    def _txt(self, name: bytes, timeout: int = 5) -> bytes:
        return "".join(self.zone.shows.get(name.decode().rstrip("."), ())).encode()


def states(domain: DomainView) -> dict[str, str]:
    return {key.selector: key.state for key in domain.keys}


def selectors(domain: DomainView, state: str) -> list[str]:
    return [key.selector for key in domain.keys if key.state == state]


@pytest.fixture
async def walk(street: Street) -> Walk:
    """The domain is verified, and both its keys sign."""
    made = await add_domain(street.db, SEAL, street.call, "shop.test", CLOCK.now(), MAIL_DOMAIN)
    on = Walk(street, made)
    on.zone.publish(made)
    assert set(states(await on.verify()).values()) == {"signing"}
    return on


async def test_the_next_keys_take_over_when_their_records_are_found(walk: Walk) -> None:
    old = selectors(await walk.shown(), "signing")
    early = await walk.mail()
    rotated = await walk.rotate()
    fresh = selectors(rotated, "next")
    assert len(fresh) == 2
    assert not set(fresh) & set(old)
    assert (rotated.state, rotated.selector) == ("verified", old[0])
    assert [record.needed for record in rotated.records] == [True, False, False, False, False]
    assert states(await walk.rotate()) == states(rotated), "one pair waits, no other is made"
    assert (await walk.rotate()).records == rotated.records

    # Published is not found: until somebody looks, and while only the other record is there, the old ones sign.
    assert walk.verdicts(await walk.mail()) == dict.fromkeys(old, True)
    assert selectors(await walk.verify(), "signing") == old
    walk.zone.publish(rotated, fresh[1:])
    assert selectors(await walk.verify(), "next") == fresh
    assert walk.verdicts(await walk.mail()) == dict.fromkeys(old, True)

    walk.zone.publish(rotated)
    now = CLOCK.now()
    switched = await walk.verify(now)
    assert (switched.state, switched.selector) == ("verified", fresh[0])
    assert states(switched) == {**dict.fromkeys(fresh, "signing"), **dict.fromkeys(old, "retired")}
    assert selectors(switched, "signing") == fresh
    late = await walk.mail()
    assert walk.verdicts(late) == dict.fromkeys(fresh, True)
    assert walk.verdicts(early) == dict.fromkeys(old, True), "what lies in a queue verifies"
    why = {record.name.partition(".")[0]: record.why for record in switched.records}
    assert all(str((now + timedelta(days=7)).date()) in why[selector] for selector in old)
    async with walk.street.db.platform() as tx:
        left = await tx.driver.fetch("SELECT selector, private_key FROM domain_keys WHERE state = 'retired'")
    assert {row["selector"]: row["private_key"] for row in left} == dict.fromkeys(old), (
        "what signs no more is gone"
    )

    for selector in old:
        walk.zone.remove(switched, selector)
    assert states(await walk.verify(now + timedelta(days=7, seconds=1))) == dict.fromkeys(fresh, "signing")
    assert (await walk.shown()).state == "verified"


async def test_ed25519_may_come_later_than_rsa(walk: Walk) -> None:
    old = selectors(await walk.shown(), "signing")
    rotated = await walk.rotate()
    fresh = selectors(rotated, "next")
    walk.zone.publish(rotated, [*old, fresh[0]])
    assert selectors(await walk.verify(), "waiting") == fresh[1:]
    assert walk.verdicts(await walk.mail()) == {fresh[0]: True}
    walk.zone.publish(rotated)
    await walk.verify()
    assert walk.verdicts(await walk.mail()) == dict.fromkeys(fresh, True)


async def test_a_client_may_take_the_old_records_away_at_once(walk: Walk) -> None:
    old = selectors(await walk.shown(), "signing")
    rotated = await walk.rotate()
    walk.zone.shows.clear()
    walk.zone.publish(rotated, selectors(rotated, "next"))
    switched = await walk.verify()
    assert (switched.state, selectors(switched, "retired")) == ("verified", old)


async def test_keys_that_never_signed_are_not_kept(street: Street) -> None:
    made = await add_domain(street.db, SEAL, street.call, "shop.test", CLOCK.now(), MAIL_DOMAIN)
    walk = Walk(street, made)
    fresh = selectors(await walk.rotate(), "next")
    walk.zone.publish(await walk.shown(), fresh)
    assert states(await walk.verify()) == dict.fromkeys(fresh, "signing")


async def test_rotated_again_and_again_every_mail_verifies(walk: Walk) -> None:
    mails = []
    for _ in range(3):
        mails.append(await walk.mail())
        walk.zone.publish(await walk.rotate())
        await walk.verify()
    mails.append(await walk.mail())
    said = [walk.verdicts(mail) for mail in mails]
    assert len({selector for verdicts in said for selector in verdicts}) == 8
    assert all(holds for verdicts in said for holds in verdicts.values())
    assert len(selectors(await walk.shown(), "retired")) == 6


async def test_many_at_once_make_one_pair_and_switch_once(walk: Walk) -> None:
    old = selectors(await walk.shown(), "signing")
    await asyncio.gather(*(walk.rotate() for _ in range(4)))
    rotated = await walk.shown()
    fresh = selectors(rotated, "next")
    assert len(fresh) == 2
    walk.zone.publish(rotated)
    await asyncio.gather(*(walk.verify() for _ in range(4)))
    after = await walk.shown()
    assert states(after) == {**dict.fromkeys(fresh, "signing"), **dict.fromkeys(old, "retired")}
    assert walk.verdicts(await walk.mail()) == dict.fromkeys(fresh, True)


async def test_keys_that_nobody_asked_for_are_not_missing(walk: Walk) -> None:
    """Rotated, published and verified while an earlier check still waits for the DNS: that one says nothing."""
    ask = walk.zone.txt
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(name: str) -> list[str]:
        waits.set()
        await goes_on.wait()
        return await ask(name)

    walk.zone.txt = slow  # type: ignore[method-assign]
    check = asyncio.create_task(walk.verify())
    await waits.wait()
    walk.zone.txt = ask  # type: ignore[method-assign]
    rotated = await walk.rotate()
    walk.zone.publish(rotated)
    switched = await walk.verify()
    goes_on.set()
    with pytest.raises(KeysChanged):
        await check
    assert await walk.shown() == switched


async def test_another_accounts_domain_is_not_there(walk: Walk) -> None:
    walk.id = new_id()
    with pytest.raises(UnknownDomain):
        await walk.rotate()
    with pytest.raises(UnknownDomain):
        await walk.verify()
