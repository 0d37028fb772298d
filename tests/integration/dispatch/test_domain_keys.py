"""integration: a domain's two DKIM keys: made, sealed, shown, and used when their records are found."""

from __future__ import annotations

import asyncio
import base64
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dispatch_street import CLOCK, MAIL_DOMAIN, Street
from dkim_zone import Zone
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.add_domain import add_domain
from mailmaker.dispatch.actions.read import one_domain
from mailmaker.dispatch.actions.read_copy import read_copy
from mailmaker.dispatch.actions.verify_domain import verify_domain
from mailmaker.dispatch.actions.views import DomainView
from mailmaker.dispatch.storage.seal import Seal, Unsealable

SEAL = Seal("a secret of sixteen")


@pytest.fixture
async def domain(street: Street) -> DomainView:
    return await add_domain(street.db, SEAL, street.call, "shop.test", CLOCK.now(), MAIL_DOMAIN)


@pytest.fixture
def zone() -> Zone:
    return Zone()


async def verify(street: Street, zone: Zone, domain: DomainView) -> DomainView:
    return await verify_domain(street.db, SEAL, zone, street.call, domain.id, CLOCK.now(), MAIL_DOMAIN)


async def signing(street: Street, domain: DomainView) -> tuple[str, str | None]:
    """The selectors that a relay would sign by now."""
    made = await street.mailing(street.contacts.open_list([]), expand=False)
    async with street.db.platform() as tx:
        await tx.driver.execute("UPDATE mailings SET domain_id = $1 WHERE id = $2", domain.id, made.id)
    row = await read_copy(street.db, street.account_id, made.id)
    assert row is not None
    assert (row["second_selector"] is None) == (row["second_key"] is None)
    return row["selector"], row["second_selector"]


async def sealed(street: Street, domain_id: UUID) -> dict[str, bytes]:
    async with street.db.platform() as tx:
        rows = await tx.driver.fetch(
            "SELECT selector, private_key FROM domains WHERE id = $1"
            " UNION ALL SELECT selector, private_key FROM domain_keys WHERE domain_id = $1",
            domain_id,
        )
    return {row["selector"]: bytes(row["private_key"]) for row in rows}


def states(domain: DomainView) -> dict[str, str]:
    return {key.selector: key.state for key in domain.keys}


async def test_both_keys_are_sealed_for_their_domain_alone(street: Street, domain: DomainView) -> None:
    rsa, ed25519 = domain.keys
    assert (rsa.algorithm, ed25519.algorithm) == ("rsa", "ed25519")
    assert rsa.selector == domain.selector
    found = await sealed(street, domain.id)
    assert set(found) == {rsa.selector, ed25519.selector}
    for text in found.values():
        assert b"PRIVATE KEY" not in text
        assert b"PRIVATE KEY" in SEAL.open(text, street.account_id, domain.id)
        with pytest.raises(Unsealable):
            SEAL.open(text, street.account_id, new_id())
    key = load_pem_private_key(SEAL.open(found[ed25519.selector], street.account_id, domain.id), None)
    assert isinstance(key, Ed25519PrivateKey)
    shown = next(record for record in domain.records if record.name.startswith(ed25519.selector))
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    assert shown.value == f"v=DKIM1; k=ed25519; p={public}"
    assert await one_domain(street.db, street.account_id, domain.id, MAIL_DOMAIN) == domain


async def test_ed25519_signs_while_its_record_is_found(
    street: Street, domain: DomainView, zone: Zone
) -> None:
    rsa, ed25519 = (key.selector for key in domain.keys)
    zone.publish(domain, [ed25519])
    only = await verify(street, zone, domain)
    assert (only.state, states(only)) == ("pending", {rsa: "waiting", ed25519: "signing"})

    zone.remove(domain, ed25519)
    zone.publish(domain, [rsa])
    first = await verify(street, zone, domain)
    assert (first.state, states(first)) == ("verified", {rsa: "signing", ed25519: "waiting"})
    assert await signing(street, domain) == (rsa, None)

    zone.publish(domain)
    both = await verify(street, zone, domain)
    assert (both.state, states(both)) == ("verified", {rsa: "signing", ed25519: "signing"})
    assert await signing(street, domain) == (rsa, ed25519)
    assert await one_domain(street.db, street.account_id, domain.id, MAIL_DOMAIN) == both

    zone.shows[f"{ed25519}._domainkey.shop.test"] = ["v=DKIM1; k=ed25519; p=" + "A" * 43 + "="]
    other = await verify(street, zone, domain)
    assert (other.state, states(other)) == ("verified", {rsa: "signing", ed25519: "waiting"})
    assert other.found is not None
    assert [finding.detail for finding in other.found if not finding.ok] == [
        "published, but it is not our key"
    ]
    assert await signing(street, domain) == (rsa, None)


async def test_a_domain_of_before_signs_by_rsa_and_gets_its_ed25519_key_when_verified(
    street: Street, domain: DomainView, zone: Zone
) -> None:
    async with street.db.platform() as tx:
        await tx.driver.execute("DELETE FROM domain_keys WHERE domain_id = $1", domain.id)
    zone.publish(domain, [domain.selector])
    before = await one_domain(street.db, street.account_id, domain.id, MAIL_DOMAIN)
    assert states(before) == {domain.selector: "waiting"}
    assert await signing(street, domain) == (domain.selector, None)

    # Two at once: one key is made.
    await asyncio.gather(verify(street, zone, domain), verify(street, zone, domain))
    after = await one_domain(street.db, street.account_id, domain.id, MAIL_DOMAIN)
    assert after.state == "verified"
    rsa, ed25519 = after.keys
    assert (rsa.state, ed25519.algorithm, ed25519.state) == ("signing", "ed25519", "waiting")
    assert after.records[0] == domain.records[0], "its RSA key is the one it had"
    assert await signing(street, domain) == (domain.selector, None)

    kept = await sealed(street, domain.id)
    zone.publish(after)
    assert states(await verify(street, zone, domain))[ed25519.selector] == "signing"
    assert await signing(street, domain) == (domain.selector, ed25519.selector)
    assert await sealed(street, domain.id) == kept, "it is made once"


async def test_a_domain_that_goes_takes_its_keys_along(street: Street, domain: DomainView) -> None:
    # As the release before this one does, which knows nothing of the second table.
    async with street.db.account(street.account_id) as tx:
        await tx.driver.execute("DELETE FROM domains WHERE id = $1", domain.id)
    assert await sealed(street, domain.id) == {}
