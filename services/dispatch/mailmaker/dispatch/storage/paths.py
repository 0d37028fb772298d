"""dispatch.storage: who holds an egress path (a source and a lane), and how many connections it may open there.

A path has one holder. When a holder is lost and not known dead, its connections may still be open: for a while they count
against who comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.leading import PathKey

GHOST_SECONDS = 300.0
"""How long the connections of a lost holder count: servers keep idle ones for five minutes (RFC 5321 section 4.5.3.2)."""

# Whatever another fence was granted counts, held or not: this statement may have begun before that holder was buried.
_GRANTED = """
WITH granted AS (
    SELECT w.*, greatest(0, w.most - coalesce((
            SELECT sum(p.connections) FROM paths p
             WHERE p.account_id = w.account_id AND p.source_id = w.source_id AND p.lane = w.lane AND p.fence <> $5
               AND (p.ends_at IS NULL OR p.ends_at > clock_timestamp())), 0))::integer AS connections
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[]) AS w(account_id, source_id, lane, most)
     WHERE EXISTS (SELECT FROM relays r WHERE r.fence = $5 AND r.lease_until > clock_timestamp())
)
"""
_TAKE = f"""{_GRANTED}
INSERT INTO paths (account_id, source_id, lane, fence, connections)
SELECT account_id, source_id, lane, $5, connections FROM granted WHERE connections > 0
 ORDER BY account_id, source_id, lane
ON CONFLICT (account_id, source_id, lane) WHERE ends_at IS NULL DO NOTHING
RETURNING account_id, source_id, lane, connections
"""
_GRANT = f"""{_GRANTED}
UPDATE paths p SET connections = g.connections FROM granted g
 WHERE p.account_id = g.account_id AND p.source_id = g.source_id AND p.lane = g.lane AND p.fence = $5 AND p.ends_at IS NULL
RETURNING p.account_id, p.source_id, p.lane, p.connections
"""
_RELEASE = """
DELETE FROM paths p USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS w(account_id, source_id, lane)
 WHERE p.account_id = w.account_id AND p.source_id = w.source_id AND p.lane = w.lane AND p.fence = $4
"""
_FORGET = "DELETE FROM paths WHERE fence = ANY($1::bigint[])"
# Whoever buried them: a process of another release may not know of paths.
_HAUNT = """
UPDATE paths p SET ends_at = clock_timestamp() + $1 * interval '1 second'
 WHERE p.ends_at IS NULL AND NOT EXISTS (SELECT FROM relays r WHERE r.fence = p.fence)
"""
_SWEEP = "DELETE FROM paths WHERE ends_at < clock_timestamp()"
_HELD = "SELECT account_id, source_id, lane FROM paths WHERE ends_at IS NULL"
_RELAYS = "SELECT count(*) FROM relays WHERE lease_until > clock_timestamp()"


async def take(tx: Transaction, wanted: Mapping[PathKey, int], fence: int) -> dict[PathKey, int]:
    """Takes the paths that nobody holds. `wanted`: the most connections that may be open on each, by anybody. Returns
    the paths taken with the connections that this fence may open."""
    return await _granted(tx, _TAKE, wanted, fence)


async def grant(tx: Transaction, held: Mapping[PathKey, int], fence: int) -> dict[PathKey, int]:
    """The connections that this fence may open now on the paths it holds; those it lost are not among them."""
    return await _granted(tx, _GRANT, held, fence)


async def release(tx: Transaction, keys: Sequence[PathKey], fence: int) -> None:
    """Gives paths up whose connections are closed."""
    accounts, sources, lanes = [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys]
    await tx.driver.execute(_RELEASE, accounts, sources, lanes, fence)


async def forget(tx: Transaction, fences: Sequence[int]) -> None:
    """Gives up all that these fences held: they have closed every connection, or are dead."""
    await tx.driver.execute(_FORGET, list(fences))


async def haunt(tx: Transaction) -> None:
    """Holders that are lost and may not be dead: anybody may take their paths, with what is left of the connections."""
    await tx.driver.execute(_HAUNT, GHOST_SECONDS)


async def sweep(tx: Transaction) -> None:
    """Forgets connections that have been counted for long enough."""
    await tx.driver.execute(_SWEEP)


async def held(tx: Transaction) -> tuple[set[PathKey], int]:
    """The paths that somebody holds, and how many relays are alive."""
    rows = await tx.driver.fetch(_HELD)
    return {(row["account_id"], row["source_id"], row["lane"]) for row in rows}, int(
        await tx.driver.fetchval(_RELAYS)
    )


async def _granted(
    tx: Transaction, statement: str, wanted: Mapping[PathKey, int], fence: int
) -> dict[PathKey, int]:
    keys = sorted(wanted)
    rows = await tx.driver.fetch(
        statement,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [wanted[key] for key in keys],
        fence,
    )
    return {(row["account_id"], row["source_id"], row["lane"]): row["connections"] for row in rows}
