"""dispatch.actions: pools and sources of an account: the operator assigns them, so that no account's IP is another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.add_domain import canonical_domain
from mailmaker.dispatch.actions.egress_views import PoolView, SourceView, pool_view, source_view
from mailmaker.dispatch.domain.egress import (
    Driver,
    Egress,
    Pool,
    Source,
    SourceState,
    TlsPolicy,
    host_and_port,
)
from mailmaker.dispatch.errors import Exists, InUse, UnknownPool, UnknownSource
from mailmaker.dispatch.storage import egress
from mailmaker.dispatch.storage.seal import Seal


@dataclass(frozen=True, slots=True)
class SourceWish:
    """A source as the operator asks for it."""

    pool: UUID
    name: str
    driver: Driver
    address: str | None
    ehlo: str
    server: str | None
    username: str | None
    password: str | None
    tls: TlsPolicy
    warm_up: bool


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What is to be another; None: as it is."""

    pool: UUID | None
    name: str | None
    ehlo: str | None
    state: SourceState | None
    warm_up: bool | None


async def add_pool(db: Database, call: Call, name: str, *, default: bool, now: datetime) -> PoolView:
    """Makes a pool; the first one is the default. Raises Exists."""
    async with db.write(call, "pool.added") as tx:
        if (first := tx.replayed(PoolView)) is not None:
            return first
        before = await _held(tx, call)
        pool = Pool(call.account_id, new_id(), name, default or not before.pools)
        tx.subject(pool.id)
        if not await egress.add_pool(tx, pool, now):
            raise _name_taken("pool")
        return await tx.keep(pool_view(pool, ()))


async def change_pool(
    db: Database, call: Call, pool_id: UUID, name: str | None, default: bool | None
) -> PoolView:
    """Renames a pool, makes it the default, or no default: then mail that no rule speaks of waits."""
    async with db.write(call, "pool.changed") as tx:
        ways = await _held(tx, call)
        pool = _pool(ways, pool_id)
        tx.subject(pool.id)
        is_default = pool.is_default if default is None else default
        pool = replace(pool, name=name or pool.name, is_default=is_default)
        if not await egress.change_pool(tx, pool):
            raise _name_taken("pool")
        return pool_view(pool, tuple(ways.sources))


async def drop_pool(db: Database, call: Call, pool_id: UUID) -> None:
    """Removes a pool that has no source and no rule. Raises InUse."""
    async with db.write(call, "pool.removed") as tx:
        ways = await _held(tx, call)
        tx.subject(_pool(ways, pool_id).id)
        if not await egress.drop_pool(tx, call.account_id, pool_id):
            raise InUse("the pool still has sources, or a rule leads to it")


async def add_source(db: Database, seal: Seal, call: Call, wish: SourceWish, now: datetime) -> SourceView:
    """Gives an account a source. Raises Invalid naming the field, Exists for a name or an address that is taken."""
    source = _checked(call, wish)
    if wish.password is not None:
        source = replace(source, secret=seal.close(wish.password.encode(), call.account_id, source.id))
    async with db.write(call, "source.added") as tx:
        if (first := tx.replayed(SourceView)) is not None:
            return first
        ways = await _held(tx, call)
        if wish.pool not in ways.pools:
            raise Invalid(
                "the source names a pool that this account does not have",
                faults=[Fault("/pool", "pool.unknown", "make the pool first, for the same account")],
            )
        tx.subject(source.id)
        taken = await egress.add_source(tx, source, now)
        if taken == "address":
            raise Exists(
                "the address belongs to a source already",
                faults=[
                    Fault("/address", "address.taken", "an address is one account's; remove the other source")
                ],
            )
        if taken is not None:
            raise _name_taken("source")
        return await tx.keep(source_view(source))


async def change_source(db: Database, call: Call, source_id: UUID, change: SourceChange) -> SourceView:
    """Moves, renames, pauses or activates a source. Paused: within a second nothing more begins there."""
    async with db.write(call, "source.changed") as tx:
        ways = await _held(tx, call)
        source = _source(ways, source_id)
        tx.subject(source.id)
        if change.pool is not None:
            _pool(ways, change.pool)
        source = replace(
            source,
            pool_id=change.pool or source.pool_id,
            name=change.name or source.name,
            ehlo=source.ehlo if change.ehlo is None else _ehlo(change.ehlo),
            state=change.state or source.state,
            warming=source.warming if change.warm_up is None else change.warm_up,
        )
        if not await egress.change_source(tx, source):
            raise _name_taken("source")
        return source_view(source)


async def drop_source(db: Database, call: Call, source_id: UUID) -> None:
    """Removes a source: its address may be given to another account."""
    async with db.write(call, "source.removed") as tx:
        tx.subject(_source(await _held(tx, call), source_id).id)
        await egress.drop_source(tx, call.account_id, source_id)


async def _held(tx: Transaction, call: Call) -> Egress:
    await egress.lock(tx, call.account_id)
    return await egress.of_account(tx, call.account_id)


def _pool(ways: Egress, pool_id: UUID) -> Pool:
    if pool_id not in ways.pools:
        raise UnknownPool("there is no such pool")
    return ways.pools[pool_id]


def _source(ways: Egress, source_id: UUID) -> Source:
    found = next((source for source in ways.sources if source.id == source_id), None)
    if found is None:
        raise UnknownSource("there is no such source")
    return found


def _name_taken(what: str) -> Exists:
    return Exists(
        f"this account has a {what} of that name", faults=[Fault("/name", "exists", "choose another name")]
    )


def _checked(call: Call, wish: SourceWish) -> Source:
    faults = []
    address = None
    own = wish.driver in ("direct", "socks5")
    if own != (wish.address is not None):
        why = "an IP address is needed" if own else f"a {wish.driver} has none"
        faults.append(Fault("/address", "source.address", why))
    elif wish.address is not None:
        try:
            address = _own_address(wish.address)
        except ValueError:
            faults.append(Fault("/address", "source.address", "not the IPv4 or IPv6 address of one host"))
    if (wish.driver in ("socks5", "smarthost")) != (wish.server is not None):
        faults.append(
            Fault("/server", "source.server", "host:port for socks5 and smarthost, and only for them")
        )
    elif wish.server is not None and not _is_server(wish.server):
        faults.append(Fault("/server", "source.server", "host:port, the port from 1 to 65535"))
    if (wish.username is None) != (wish.password is None):
        faults.append(Fault("/password", "source.password", "a user name and a password come together"))
    if faults:
        raise Invalid("the source is not usable", faults=faults)
    return Source(
        account_id=call.account_id,
        id=new_id(),
        pool_id=wish.pool,
        name=wish.name,
        driver=wish.driver,
        address=address,
        ehlo=_ehlo(wish.ehlo),
        server=wish.server,
        username=wish.username,
        secret=None,
        tls=wish.tls,
        state="active",
        warming=wish.warm_up,
    )


def _own_address(text: str) -> str:
    """One host's address, in its one form. Raises ValueError: bound to "any", mail would leave from the machine's."""
    address = ip_address(text)
    if address.is_unspecified or address.is_multicast or "%" in text or getattr(address, "ipv4_mapped", None):
        raise ValueError("not one host's address")
    return str(address)


def _is_server(text: str) -> bool:
    try:
        host_and_port(text)
    except ValueError:
        return False
    return True


def _ehlo(name: str) -> str:
    """The name in EHLO: a host name that should resolve to the address (RFC 5321 section 4.1.1.1)."""
    try:
        return canonical_domain(name)
    except Invalid as wrong:
        raise Invalid(
            "the EHLO name is no host name",
            faults=[Fault("/ehlo", "source.ehlo", "a host name, as in the DNS")],
        ) from wrong
