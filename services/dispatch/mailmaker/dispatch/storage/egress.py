"""dispatch.storage: pools, sources and routes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.egress import Egress, Pool, Route, Source

_POOL = "account_id, id, name, is_default"
_SOURCE = (
    "account_id, id, pool_id, name, driver, host(address) AS address, ehlo, server, username, secret, tls, state,"
    " warming"
)
_ROUTE = "id, position, name, pool_id, sender_id, sender_domain, list_id, tag, class, provider"
# One writer at a time for an account's ways out: a rule must not be added to a pool that is being removed.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('egress ' || $1::text, 7))"
_ADD_POOL = "INSERT INTO pools (account_id, id, name, is_default, created_at) VALUES ($1, $2, $3, $4, $5)"
_NO_DEFAULT = "UPDATE pools SET is_default = false WHERE account_id = $1 AND is_default AND id <> $2"
_CHANGE_POOL = "UPDATE pools SET name = $3, is_default = $4 WHERE account_id = $1 AND id = $2"
_DROP_POOL = """
DELETE FROM pools p WHERE account_id = $1 AND id = $2
   AND NOT EXISTS (SELECT FROM sources s WHERE s.account_id = p.account_id AND s.pool_id = p.id)
   AND NOT EXISTS (SELECT FROM routes r WHERE r.account_id = p.account_id AND r.pool_id = p.id)
"""
_ADD_SOURCE = """
INSERT INTO sources (account_id, id, pool_id, name, driver, address, ehlo, server, username, secret, tls, state, warming,
                     created_at)
VALUES ($1, $2, $3, $4, $5, $6::text::inet, $7, $8, $9, $10, $11, $12, $13, $14)
"""
_CHANGE_SOURCE = """
UPDATE sources SET pool_id = $3, name = $4, ehlo = $5, state = $6, warming = $7 WHERE account_id = $1 AND id = $2
"""
_DROP_SOURCE = "DELETE FROM sources WHERE account_id = $1 AND id = $2"
_ADD_ROUTE = """
INSERT INTO routes (account_id, id, position, name, pool_id, sender_id, sender_domain, list_id, tag, class, provider,
                    created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_DROP_ROUTE = "DELETE FROM routes WHERE account_id = $1 AND id = $2"
_LAST_ROUTE = "SELECT coalesce(max(position), 0) FROM routes WHERE account_id = $1"
_POOLS = f"SELECT {_POOL} FROM pools WHERE account_id = ANY($1) ORDER BY account_id, id"
_SOURCES = f"SELECT {_SOURCE} FROM sources WHERE account_id = ANY($1) ORDER BY account_id, id"
_ROUTES = (
    f"SELECT account_id, {_ROUTE} FROM routes WHERE account_id = ANY($1) ORDER BY account_id, position, id"
)


async def lock(tx: Transaction, account_id: UUID) -> None:
    """Holds an account's ways out to the commit."""
    await tx.driver.execute(_LOCK, str(account_id))


async def add_pool(tx: Transaction, pool: Pool, at: datetime) -> bool:
    """Writes a pool; a new default takes the place of the old one. False when the name is taken."""
    return await _written(tx, pool, _ADD_POOL, pool.account_id, pool.id, pool.name, pool.is_default, at)


async def change_pool(tx: Transaction, pool: Pool) -> bool:
    """Writes a pool's name and whether it is the default. False when the name is taken."""
    return await _written(tx, pool, _CHANGE_POOL, pool.account_id, pool.id, pool.name, pool.is_default)


async def _written(tx: Transaction, pool: Pool, statement: str, *values: object) -> bool:
    if pool.is_default:
        await tx.driver.execute(_NO_DEFAULT, pool.account_id, pool.id)
    return await _unique(tx, statement, *values) is None


async def drop_pool(tx: Transaction, account_id: UUID, pool_id: UUID) -> bool:
    """Removes a pool that nothing leaves from and no rule names. False when there is still something."""
    return bool((await tx.driver.execute(_DROP_POOL, account_id, pool_id)).endswith("1"))


async def add_source(tx: Transaction, source: Source, at: datetime) -> str | None:
    """Writes a source. Returns what is taken: "name" in this account, or "address" anywhere."""
    taken = await _unique(
        tx,
        _ADD_SOURCE,
        source.account_id,
        source.id,
        source.pool_id,
        source.name,
        source.driver,
        source.address,
        source.ehlo,
        source.server,
        source.username,
        source.secret,
        source.tls,
        source.state,
        source.warming,
        at,
    )
    return None if taken is None else "address" if taken == "sources_address" else "name"


async def change_source(tx: Transaction, source: Source) -> bool:
    """Writes a source's pool, name, EHLO name and state. False when the name is taken."""
    taken = await _unique(
        tx,
        _CHANGE_SOURCE,
        source.account_id,
        source.id,
        source.pool_id,
        source.name,
        source.ehlo,
        source.state,
        source.warming,
    )
    return taken is None


async def drop_source(tx: Transaction, account_id: UUID, source_id: UUID) -> None:
    """Removes a source: within a second nothing leaves from it any more."""
    await tx.driver.execute(_DROP_SOURCE, account_id, source_id)


async def last_position(tx: Transaction, account_id: UUID) -> int:
    """The place of the last rule."""
    return int(await tx.driver.fetchval(_LAST_ROUTE, account_id))


async def add_route(tx: Transaction, account_id: UUID, route: Route, at: datetime) -> bool:
    """Writes a rule. False when the name is taken."""
    taken = await _unique(
        tx,
        _ADD_ROUTE,
        account_id,
        route.id,
        route.position,
        route.name,
        route.pool_id,
        route.sender_id,
        route.sender_domain,
        route.list_id,
        route.tag,
        route.mail_class,
        route.provider,
        at,
    )
    return taken is None


async def drop_route(tx: Transaction, account_id: UUID, route_id: UUID) -> bool:
    """Removes a rule. False when there is none."""
    return bool((await tx.driver.execute(_DROP_ROUTE, account_id, route_id)).endswith("1"))


async def of_account(tx: Transaction, account_id: UUID) -> Egress:
    """An account's pools, sources and rules."""
    return (await of_accounts(tx, [account_id])).get(account_id, Egress(account_id, {}, (), ()))


async def of_accounts(tx: Transaction, account_ids: Sequence[UUID]) -> dict[UUID, Egress]:
    """The ways out of the accounts that have pools."""
    pools: dict[UUID, dict[UUID, Pool]] = {}
    sources: dict[UUID, list[Source]] = {}
    routes: dict[UUID, list[Route]] = {}
    for row in await tx.driver.fetch(_POOLS, list(account_ids)):
        pools.setdefault(row["account_id"], {})[row["id"]] = Pool(**row)
    for row in await tx.driver.fetch(_SOURCES, list(account_ids)):
        sources.setdefault(row["account_id"], []).append(Source(**row))
    for row in await tx.driver.fetch(_ROUTES, list(account_ids)):
        routes.setdefault(row["account_id"], []).append(_route(row))
    return {
        account_id: Egress(
            account_id, found, tuple(sources.get(account_id, ())), tuple(routes.get(account_id, ()))
        )
        for account_id, found in pools.items()
    }


def _route(row: Record) -> Route:
    return Route(
        id=row["id"],
        position=row["position"],
        name=row["name"],
        pool_id=row["pool_id"],
        sender_id=row["sender_id"],
        sender_domain=row["sender_domain"],
        list_id=row["list_id"],
        tag=row["tag"],
        mail_class=row["class"],
        provider=row["provider"],
    )


async def _unique(tx: Transaction, statement: str, *values: object) -> str | None:
    """Runs a statement in a savepoint. Returns the name of the unique index that refused it."""
    try:
        async with tx.driver.transaction():
            await tx.driver.execute(statement, *values)
    except UniqueViolationError as wrong:
        return str(wrong.constraint_name)
    return None
