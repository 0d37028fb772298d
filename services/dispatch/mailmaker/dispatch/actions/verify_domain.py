"""dispatch.actions: asks the DNS whether a domain's records are published, and notes what it said."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.dispatch.actions.new_keys import new_ed25519
from mailmaker.dispatch.actions.views import DomainView, domain_view
from mailmaker.dispatch.domain.dns import judge, key_name, records_of, verified
from mailmaker.dispatch.domain.sending import Domain
from mailmaker.dispatch.errors import UnknownDomain
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
    record is found, and no longer if it is not. A domain from before there were such keys gets one here."""
    async with db.account(call.account_id) as tx:
        domain = await domains.one(tx, call.account_id, domain_id)
    if domain is None:
        raise UnknownDomain("there is no such domain")
    second = None if domain.has_second else new_ed25519(domain.selector, "waiting", now)
    if second is not None:
        domain = replace(domain, others=(*domain.others, second.shown))
    records = records_of(domain, mail_domain)
    answers = {record.name: await resolver.txt(record.name) for record in records}
    findings = judge(records, answers)
    async with db.write(call, "domain.checked") as tx:
        if (first := tx.replayed(DomainView)) is not None:
            return first
        tx.subject(domain_id)
        if second is not None:
            sealed = seal.close(second.private, call.account_id, domain_id)
            await domain_keys.add(tx, call.account_id, domain_id, second.shown, sealed)
        shown = {finding.name for finding in findings if finding.ok}
        signing = [key.selector for key in domain.others if key_name(domain.name, key.selector) in shown]
        await domain_keys.found(tx, call.account_id, domain_id, signing, now)
        state = "verified" if verified(findings) else "pending"
        checked = await domains.checked(tx, domain, [asdict(finding) for finding in findings], state, now)
        return await tx.keep(domain_view(checked, mail_domain))


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
