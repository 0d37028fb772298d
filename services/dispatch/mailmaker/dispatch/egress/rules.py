"""dispatch.egress: what the proxy is willing to do: from which addresses, whereto, for whom, how much and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from mailmaker.dispatch.egress.frames import Address

# What `ipaddress` calls global although no mail server is there, or an IPv4 address hides inside (IANA's special-purpose
# registries, RFC 6890): IETF assignments, 6to4 relays; Teredo and its kin, 6to4, documentation.
_NOT_PUBLIC_4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NOT_PUBLIC_6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"), IPv6Network("3fff::/20"))
_UNICAST_6 = IPv6Network("2000::/3")


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
        return self.private or is_public(to)


def is_public(address: Address) -> bool:
    """Whether it is unicast and of the public internet: not private, loopback, link-local, shared (RFC 6598) or reserved,
    nor an IPv6 form of an IPv4 address."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not address.is_reserved and not any(address in net for net in _NOT_PUBLIC_4)
    # NAT64 (64:ff9b::/96), mapped and compatible addresses stand outside of global unicast.
    return address in _UNICAST_6 and not any(address in net for net in _NOT_PUBLIC_6)
