"""ingest.readers.pgp_pair: makes the key pair to which an account's files are encrypted."""

from __future__ import annotations

from dataclasses import dataclass

from pysequoia import Profile, Tsk


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair: the public part in ASCII armour, the private part as bytes."""

    fingerprint: str
    public_key: str
    private_key: bytes


def new_pair(holder: str) -> Pair:
    """Curve25519, version 4: every GnuPG of the last years encrypts to it. It does not expire; a new one replaces it."""
    made = Tsk.generate(user_id=holder, profile=Profile.RFC4880)
    public = made.extract_certificate()
    return Pair(public.fingerprint, str(public), bytes(made))
