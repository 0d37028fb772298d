"""common.mail.verp: addresses that carry a token (VERP; design section 4)."""

from __future__ import annotations

from mailmaker.common.mail.tokens import LENGTH, Purpose

_PREFIX = {"b": Purpose.BOUNCE, "u": Purpose.MAIL_UNSUBSCRIBE}


def bounce_address(token: str, domain: str) -> str:
    """The Return-Path of one message."""
    return f"b+{token}@{domain}"


def unsubscribe_address(token: str, domain: str) -> str:
    """The mailto of List-Unsubscribe of one message."""
    return f"u+{token}@{domain}"


def parse_local_part(local: str) -> tuple[Purpose, str] | None:
    """The purpose and token text of `b+…` or `u+…`, in any case; None for every other local part."""
    prefix, plus, token = local.partition("+")
    purpose = _PREFIX.get(prefix.lower())
    if purpose is None or not plus or len(token) != LENGTH:
        return None
    return purpose, token.lower()
