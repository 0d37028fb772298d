"""dispatch.actions: takes a sending domain into an account, with a DKIM key of its own."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.views import DomainView, domain_view
from mailmaker.dispatch.domain.sending import Domain
from mailmaker.dispatch.errors import Exists
from mailmaker.dispatch.storage import domains
from mailmaker.dispatch.storage.seal import Seal

KEY_BITS = 2048
"""RFC 8301 section 3.2: signers use 2048 bits; longer keys do not fit where some clients keep their DNS."""


async def add_domain(
    db: Database, seal: Seal, call: Call, name: str, now: datetime, mail_domain: str
) -> DomainView:
    """Adds a domain, to be verified once its records are published. Raises Invalid for a name, Exists for a second."""
    canonical = canonical_domain(name)
    domain_id = new_id()
    private, public = await asyncio.to_thread(new_key)
    domain = Domain(
        account_id=call.account_id,
        id=domain_id,
        name=canonical,
        verified=False,
        selector=f"mm{domain_id.hex[-8:]}",
        public_key=public,
        found=None,
        created_at=now,
    )
    async with db.write(call, "domain.added") as tx:
        if (first := tx.replayed(DomainView)) is not None:
            return first
        tx.subject(domain_id)
        if not await domains.add(tx, domain, seal.close(private, call.account_id, domain_id)):
            raise Exists(
                "this account has the domain already",
                faults=[Fault("/name", "exists", "use the one you have; GET /v1/domains lists it")],
            )
        return await tx.keep(domain_view(domain, mail_domain))


def canonical_domain(name: str) -> str:
    """The domain in lower-case A-labels, as it stands after the @ of an address."""
    try:
        return canonical_address("postmaster@" + name.strip().rstrip(".")).rpartition("@")[2]
    except InvalidAddress as wrong:
        raise Invalid(
            "the domain is not valid", faults=[Fault("/name", "domain.invalid", wrong.detail)]
        ) from wrong


def new_key() -> tuple[bytes, str]:
    """A new RSA key: the private half as PEM, the public half as it stands in `p=` (RFC 6376 section 3.6.1)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, base64.b64encode(public).decode()
