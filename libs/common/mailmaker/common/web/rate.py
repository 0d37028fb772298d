"""common.web.rate: how many requests a key may make, told in the RateLimit fields of every answer.

A token bucket a key and process: as many requests at once as the window allows, and that many again over each window.
Source: draft-ietf-httpapi-ratelimit-headers-10, `RateLimit-Policy: "key";q=3000;w=60` and `RateLimit: "key";r=2999;t=1`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from fastapi import Request
from mailmaker.common.ops.settings import Shared
from mailmaker.common.web.problem import Problem

MOST_KEYS = 20_000
"""Buckets kept by one process. The one used longest ago goes first; by then it is full again or nobody is there."""
Headers = list[tuple[bytes, bytes]]


class RateLimited(Problem):
    """The key has made as many requests as it may for the moment."""

    code = "rate.limited"
    status = 429
    title = "Too many requests"
    temporary = True


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left to a key: requests now, seconds until there are more, and whether this one was one too many."""

    left: int
    reset: int
    refused: bool = False


class RateLimits:
    """The buckets of one process. `most` requests a `window` of seconds; 0 is no limit."""

    def __init__(self, most: int, window: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._window = window
        self._rate = most / window
        self._clock = clock
        self._buckets: dict[UUID, tuple[float, float]] = {}
        self._policy = f'"key";q={most};w={window}'.encode()

    def take(self, key: UUID) -> Standing:
        """One request of a key."""
        now = self._clock()
        # Taken out and put back: the dictionary is in the order of use.
        tokens = self._tokens(self._buckets.pop(key, None), now)
        refused = tokens < 1.0
        if not refused:
            tokens -= 1.0
        self._buckets[key] = (tokens, now)
        if len(self._buckets) > MOST_KEYS:
            del self._buckets[next(iter(self._buckets))]
        return self._standing(tokens, refused)

    def look(self, key: UUID) -> Standing:
        """What is left to a key, for a request that is not counted."""
        return self._standing(self._tokens(self._buckets.get(key), self._clock()), False)

    def headers(self, standing: Standing) -> Headers:
        told = f'"key";r={standing.left};t={standing.reset}'.encode()
        return [(b"ratelimit-policy", self._policy), (b"ratelimit", told)]

    def _tokens(self, bucket: tuple[float, float] | None, now: float) -> float:
        if bucket is None:
            return float(self.most)
        return min(float(self.most), bucket[0] + (now - bucket[1]) * self._rate)

    def _standing(self, tokens: float, refused: bool) -> Standing:
        # Nothing left: until there is one again. Else until all are.
        missing = 1.0 - tokens if tokens < 1.0 else self.most - tokens
        return Standing(int(tokens), max(1, math.ceil(missing / self._rate)) if missing > 0 else 0, refused)


def limit(request: Request, key: UUID, *, counted: bool = True) -> None:
    """Counts a request of a key and leaves what is left for the answer's headers. Raises RateLimited.

    `counted=False` for what is never refused: that a "no" is recorded."""
    limits: RateLimits = request.app.state.limits
    if not limits.most:
        return
    free = not counted or _is_free(request)
    standing = limits.look(key) if free else limits.take(key)
    request.state.rate = limits.headers(standing)
    if standing.refused:
        raise RateLimited(
            f"this key may make no more requests for {standing.reset} s; the RateLimit fields say how many it may",
            headers={"Retry-After": str(standing.reset)},
        )


def _is_free(request: Request) -> bool:
    """Whether the client is on this machine and such are let through: on one machine the front door is our only peer, and
    it says in X-Forwarded-For, replacing what it was told, who its own was."""
    shared: Shared = request.app.state.shared
    if not shared.rate_loopback_free or request.client is None:
        return False
    forwarded = request.headers.get("x-forwarded-for", "")
    return all(map(_is_loopback, (request.client.host, *filter(None, forwarded.split(",")))))


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.strip())
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
