"""dispatch.actions: makes a domain's next pair of DKIM keys; :verify lets it take over once its record is found."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.dispatch.actions.new_keys import NewKey, new_ed25519, new_rsa
from mailmaker.dispatch.actions.views import DomainView, domain_view
from mailmaker.dispatch.errors import UnknownDomain
from mailmaker.dispatch.storage import domain_keys, domains
from mailmaker.dispatch.storage.seal import Seal


async def rotate_keys(
    db: Database, seal: Seal, call: Call, domain_id: UUID, now: datetime, mail_domain: str
) -> DomainView:
    """Makes a pair under new selectors, to be published; the pair before goes on signing. While one pair waits to take over
    no other is made: asked again, this gives the same. Raises UnknownDomain."""
    async with db.account(call.account_id) as tx:
        domain = await domains.one(tx, call.account_id, domain_id)
    if domain is None:
        raise UnknownDomain("there is no such domain")
    pair = () if domain.has_next else await asyncio.to_thread(_pair, now)
    async with db.write(call, "domain.rotated") as tx:
        if (first := tx.replayed(DomainView)) is not None:
            return first
        tx.subject(domain_id)
        held = await domains.held(tx, call.account_id, domain_id)
        if held is None:
            raise UnknownDomain("there is no such domain")
        for key in () if held.has_next else pair:
            sealed = seal.close(key.private, call.account_id, domain_id)
            await domain_keys.add(tx, call.account_id, domain_id, key.shown, sealed)
        rotated = await domains.one(tx, call.account_id, domain_id) or held
        return await tx.keep(domain_view(rotated, mail_domain))


def _pair(now: datetime) -> tuple[NewKey, NewKey]:
    rsa = new_rsa(f"mm{new_id().hex[-8:]}", "next", now)
    return rsa, new_ed25519(rsa.shown.selector, "next", now)
