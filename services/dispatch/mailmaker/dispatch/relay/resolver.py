"""dispatch.relay: the DNS as the machine's resolver answers it, with a time limit and no guesses."""

from __future__ import annotations

import dns.asyncresolver
import dns.exception
import dns.resolver
from mailmaker.common.web.problem import Unavailable

LIFETIME = 5.0


class DnsUnavailable(Unavailable):
    """The DNS did not answer: which is not the same as "there is no such record"."""

    code = "dns_unavailable"


class SystemResolver:
    """Asks the resolvers of /etc/resolv.conf. Reads that file when first used: nothing connects at import."""

    def __init__(self) -> None:
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def txt(self, name: str) -> list[str]:
        """The TXT records of a name, each joined from its character-strings (RFC 7208 section 3.3)."""
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver()
            answer = await self._resolver.resolve(name, "TXT", lifetime=LIFETIME)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as wrong:
            raise DnsUnavailable("the DNS does not answer; try again") from wrong
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
