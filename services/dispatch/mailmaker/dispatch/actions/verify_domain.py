"""dispatch.actions: asks the DNS whether a domain's records are published, and notes what it said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.call import Call
from mailmaker.dispatch.actions.new_keys import new_ed25519
from mailmaker.dispatch.actions.views import DomainView, domain_view
from mailmaker.dispatch.domain.dns import RETIRED_FOR, judge, records_of, shown_keys, takes_over, verified
from mailmaker.dispatch.domain.sending import Domain
from mailmaker.dispatch.errors import KeysChanged, UnknownDomain
from mailmaker.dispatch.storage import domain_keys, domains
from mailmaker.dispatch.storage.seal import Seal


class Resolver(Protocol):
    """The DNS, as far as this house asks it."""

    async def txt(self, name: str) -> list[str]:
        """The TXT records of a name, each joined from its character-strings; none when there are none.

        Raises Unavailable when the DNS does not answer: no answer is not "not published".
        """
        ...


async def verify_domain(
    db: Database, seal: Seal, resolver: Resolver, call: Call, domain_id: UUID, now: datetime, mail_domain: str
) -> DomainView:
    """Checks every record. A domain once verified whose key has gone is verified no more; its Ed25519 key signs if its
    record is found, and no longer if it is not. Its next keys take over if theirs is found. A domain from before there
    were Ed25519 keys gets one here. Raises UnknownDomain, and KeysChanged when they were rotated meanwhile."""
    async with db.account(call.account_id) as tx:
        domain = await domains.one(tx, call.account_id, domain_id)
    if domain is None:
        raise UnknownDomain("there is no such domain")
    second = None if domain.has_second else new_ed25519(domain.selector, "waiting", now)
    if second is not None:
        domain = replace(domain, others=(*domain.others, second.shown))
    asked = [record.name for record in records_of(domain, mail_domain)]
    answers = {name: await resolver.txt(name) for name in asked}
    async with db.write(call, "domain.checked") as tx:
        if (first := tx.replayed(DomainView)) is not None:
            return first
        tx.subject(domain_id)
        if await domains.held(tx, call.account_id, domain_id) is None:
            raise UnknownDomain("there is no such domain")
        if second is not None:
            sealed = seal.close(second.private, call.account_id, domain_id)
            await domain_keys.add(tx, call.account_id, domain_id, second.shown, sealed)
        checked = await _note(tx, call.account_id, domain_id, answers, now, mail_domain)
        return await tx.keep(domain_view(checked, mail_domain))


async def _note(
    tx: Transaction,
    account_id: UUID,
    domain_id: UUID,
    answers: Mapping[str, Sequence[str]],
    now: datetime,
    mail_domain: str,
) -> Domain:
    """Writes what the DNS said of the keys that the domain has now, and what follows for them. Needs its row held."""
    await domain_keys.forget(tx, account_id, domain_id, now - RETIRED_FOR)
    domain = await _asked(tx, account_id, domain_id, answers, mail_domain)
    findings = judge(records_of(domain, mail_domain), answers)
    if takes_over(domain, shown_keys(domain, findings)):
        await domain_keys.take_over(tx, account_id, domain_id, now)
        domain = await _asked(tx, account_id, domain_id, answers, mail_domain)
        findings = judge(records_of(domain, mail_domain), answers)
    await domain_keys.found(tx, account_id, domain_id, shown_keys(domain, findings), now)
    state = "verified" if verified(findings) else "pending"
    return await domains.checked(tx, domain, [asdict(finding) for finding in findings], state, now)


async def _asked(
    tx: Transaction, account_id: UUID, domain_id: UUID, answers: Mapping[str, object], mail_domain: str
) -> Domain:
    """The domain as it is now. Of a record that nobody asked for the DNS has not said that it is missing."""
    domain = await domains.one(tx, account_id, domain_id)
    if domain is None:
        raise UnknownDomain("there is no such domain")
    if not {record.name for record in records_of(domain, mail_domain)} <= answers.keys():
        raise KeysChanged("the domain got other keys while the DNS was asked: verify again")
    return domain


class OwnZone:
    """A resolver that answers one zone from the platform's own published records, and asks another for the rest.

    For the demo domain of one machine: the same checks as in production, without a name server.
    """

    def __init__(self, zone: str, db: Database, mail_domain: str, beyond: Resolver) -> None:
        self._zone = zone.lower().rstrip(".")
        self._db = db
        self._mail_domain = mail_domain
        self._beyond = beyond

    async def txt(self, name: str) -> list[str]:
        if not self._zone or not (name == self._zone or name.endswith("." + self._zone)):
            return await self._beyond.txt(name)
        async with self._db.platform() as tx:
            published = await domains.in_zone(tx, self._zone)
        return [value for domain in published for value in self._records(domain, name)]

    def _records(self, domain: Domain, name: str) -> list[str]:
        return [record.value for record in records_of(domain, self._mail_domain) if record.name == name]
