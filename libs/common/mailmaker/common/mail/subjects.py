"""common.mail.subjects: suppression keys as bytes: who a "no" is about (design section 4)."""

from __future__ import annotations

import hashlib
from uuid import UUID


def address_subject(address_key: bytes) -> bytes:
    """Everybody behind one address of an account and channel."""
    return b"a" + address_key


def contact_subject(contact_id: UUID) -> bytes:
    """One record of one list."""
    return b"c" + contact_id.bytes


def fkey_subject(list_id: UUID, fkey: str) -> bytes:
    """The client's own key in one list, matched as it is and never resolved."""
    return b"f" + list_id.bytes + hashlib.sha256(fkey.encode()).digest()[:16]
