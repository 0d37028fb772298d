"""fbl.domain.mailbox: the mailboxes this house has, and which of them an RCPT TO names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.mail.verp import parse_local_part


class Box(StrEnum):
    """Where a mail came in."""

    UNSUBSCRIBE = "unsubscribe"
    BOUNCE = "bounce"
    FBL = "fbl"
    ABUSE = "abuse"
    POSTMASTER = "postmaster"


_ROLES = {"fbl": Box.FBL, "abuse": Box.ABUSE, "postmaster": Box.POSTMASTER}
_TOKENS = {Purpose.MAIL_UNSUBSCRIBE: Box.UNSUBSCRIBE, Purpose.BOUNCE: Box.BOUNCE}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A recipient we accept. `address` is in lower case: tokens and roles are read in any case (TOK-2)."""

    box: Box
    address: str
    token: Token | None = None
    token_text: str | None = None


def mailbox_of(address: str, domains: Collection[str], keys: TokenKeys) -> Mailbox | None:
    """The mailbox an RCPT names, or None: a foreign domain (no relay), an unknown name, or a token we did not sign."""
    local, at, domain = address.rpartition("@")
    if not at:
        # RFC 5321 section 4.5.1: `RCPT TO:<Postmaster>` needs no domain.
        return Mailbox(Box.POSTMASTER, "postmaster") if domain.lower() == "postmaster" else None
    domain = domain.lower().rstrip(".")
    if domain not in domains:
        return None
    role = _ROLES.get(local.lower())
    if role is not None:
        return Mailbox(role, f"{local.lower()}@{domain}")
    tagged = parse_local_part(local)
    if tagged is None:
        return None
    purpose, text = tagged
    token = keys.read(purpose, text)
    return None if token is None else Mailbox(_TOKENS[purpose], f"{local.lower()}@{domain}", token, text)
