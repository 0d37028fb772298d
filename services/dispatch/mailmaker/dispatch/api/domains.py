"""dispatch.api: doors of sending domains and senders."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from mailmaker.common.storage.keyset import Page
from mailmaker.dispatch.actions import add_domain, add_sender, read, rotate_keys, verify_domain
from mailmaker.dispatch.actions.views import DomainView, SenderView
from mailmaker.dispatch.api.desk import Cursor, Here, Limit, MayReadDomains, MayWriteDomains
from mailmaker.dispatch.api.schemas import DomainIn, SenderIn

router = APIRouter(tags=["domains"])


@router.post("/v1/domains", status_code=201)
async def post_domain(desk: Here, call: MayWriteDomains, body: DomainIn) -> DomainView:
    """Adds a sending domain; the answer lists the DNS records to publish."""
    return await add_domain.add_domain(desk.db, desk.seal, call, body.name, desk.now(), desk.mail_domain)


@router.get("/v1/domains")
async def get_domains(
    desk: Here, call: MayReadDomains, limit: Limit = 100, cursor: Cursor = None
) -> Page[DomainView]:
    """The account's domains."""
    return await read.domain_page(desk.db, call.account_id, limit, cursor, desk.mail_domain)


@router.get("/v1/domains/{domain_id}")
async def get_domain(desk: Here, call: MayReadDomains, domain_id: UUID) -> DomainView:
    """A domain, its records, and what the DNS said last."""
    return await read.one_domain(desk.db, call.account_id, domain_id, desk.mail_domain)


@router.post("/v1/domains/{domain_id}:verify")
async def verify(desk: Here, call: MayWriteDomains, domain_id: UUID) -> DomainView:
    """Looks the records up in the DNS now. Keys whose records are found sign; next keys take over."""
    return await verify_domain.verify_domain(
        desk.db, desk.seal, desk.resolver, call, domain_id, desk.now(), desk.mail_domain
    )


@router.post("/v1/domains/{domain_id}:rotate")
async def rotate(desk: Here, call: MayWriteDomains, domain_id: UUID) -> DomainView:
    """Makes the domain's next DKIM keys. The answer lists their records; once they are published, `:verify` lets them
    take over, and until then the keys before go on signing."""
    return await rotate_keys.rotate_keys(desk.db, desk.seal, call, domain_id, desk.now(), desk.mail_domain)


@router.post("/v1/senders", status_code=201)
async def post_sender(desk: Here, call: MayWriteDomains, body: SenderIn) -> SenderView:
    """Makes a From identity on a verified domain of the account."""
    return await add_sender.add_sender(desk.db, call, body.name, body.email, body.reply_to, desk.now())


@router.get("/v1/senders")
async def get_senders(
    desk: Here, call: MayReadDomains, limit: Limit = 100, cursor: Cursor = None
) -> Page[SenderView]:
    """The account's senders."""
    return await read.sender_page(desk.db, call.account_id, limit, cursor)
