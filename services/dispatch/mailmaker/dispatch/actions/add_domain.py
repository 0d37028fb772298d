"""dispatch.actions: takes a sending domain into an account, with DKIM keys of its own."""

from __future__ import annotations

import asyncio
from datetime import datetime

from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.new_keys import new_ed25519, new_rsa
from mailmaker.dispatch.actions.views import DomainView, domain_view
from mailmaker.dispatch.domain.sending import Domain
from mailmaker.dispatch.errors import Exists
from mailmaker.dispatch.storage import domain_keys, domains
from mailmaker.dispatch.storage.seal import Seal


async def add_domain(
    db: Database, seal: Seal, call: Call, name: str, now: datetime, mail_domain: str
) -> DomainView:
    """Adds a domain, to be verified once its records are published. Raises Invalid for a name, Exists for a second."""
    canonical = canonical_domain(name)
    domain_id = new_id()
    rsa = await asyncio.to_thread(new_rsa, f"mm{domain_id.hex[-8:]}", "waiting", now)
    second = new_ed25519(rsa.shown.selector, "waiting", now)
    domain = Domain(
        account_id=call.account_id,
        id=domain_id,
        name=canonical,
        verified=False,
        selector=rsa.shown.selector,
        public_key=rsa.shown.public_key,
        found=None,
        created_at=now,
        others=(second.shown,),
    )
    async with db.write(call, "domain.added") as tx:
        if (first := tx.replayed(DomainView)) is not None:
            return first
        tx.subject(domain_id)
        if not await domains.add(tx, domain, seal.close(rsa.private, call.account_id, domain_id)):
            raise Exists(
                "this account has the domain already",
                faults=[Fault("/name", "exists", "use the one you have; GET /v1/domains lists it")],
            )
        sealed = seal.close(second.private, call.account_id, domain_id)
        await domain_keys.add(tx, call.account_id, domain_id, second.shown, sealed)
        return await tx.keep(domain_view(domain, mail_domain))


def canonical_domain(name: str) -> str:
    """The domain in lower-case A-labels, as it stands after the @ of an address."""
    try:
        return canonical_address("postmaster@" + name.strip().rstrip(".")).rpartition("@")[2]
    except InvalidAddress as wrong:
        raise Invalid(
            "the domain is not valid", faults=[Fault("/name", "domain.invalid", wrong.detail)]
        ) from wrong
