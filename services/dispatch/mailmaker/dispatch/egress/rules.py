"""dispatch.egress: what the proxy is willing to do: from which addresses, whereto, for whom, how much and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from ipaddress import IPv6Address

from mailmaker.dispatch.domain.mx import is_public
from mailmaker.dispatch.egress.frames import Address


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds. Without a user name nobody need sign in."""

    addresses: frozenset[Address]
    ports: frozenset[int] = frozenset({25})
    private: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 1000
    handshake: float = 10.0
    connect: float = 30.0
    idle: float = 600.0

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("a user name and a password come together")
        if not all(
            0 < len(told.encode()) < 256 for told in (self.username, self.password) if told is not None
        ):
            raise ValueError("a user name and a password have 1 to 255 bytes each")

    def admits(self, username: bytes, password: bytes) -> bool:
        """Whether these are ours. Takes as long for a wrong first byte as for a wrong last one."""
        right = compare_digest(username, (self.username or "").encode())
        return compare_digest(password, (self.password or "").encode()) & right & (self.username is not None)

    def reaches(self, to: Address, port: int) -> bool:
        """Whether a connection may go there."""
        if port not in self.ports or to.is_multicast or to.is_unspecified:
            return False
        if isinstance(to, IPv6Address) and to.ipv4_mapped is not None:
            return False
        return self.private or is_public(str(to))
