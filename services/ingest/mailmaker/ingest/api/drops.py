"""ingest.api.drops: the clients' doors to their inboxes: open one, see it, change it, give it another password, close it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.keyset import LIMIT, Page
from mailmaker.common.web.auth import may
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions import drops
from mailmaker.ingest.actions.drop_shapes import (
    DropChange,
    DropOpened,
    DropView,
    DropWish,
    PgpKeyView,
    TakenView,
    Wish,
)
from mailmaker.ingest.api.drop_rules import merged, public_keys, rules_of
from mailmaker.ingest.api.state import House, house_of
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.errors import BadDrop

router = APIRouter(tags=["drops"])
Read = Annotated[Call, may("imports:read")]
Write = Annotated[Call, may("imports:write")]
Limit = Annotated[int, Query(ge=1, le=LIMIT)]


class PgpWish(Wish):
    """`renew`: a new key pair, also where there is one; files encrypted to the ones before are still opened."""

    renew: bool = False


@router.post("/v1/drops", status_code=201)
async def open_drop(request: Request, call: Write, wish: DropWish) -> DropOpened:
    """Opens an inbox. Its user name is ours, its password is in this answer and nowhere else.

    Errors: 404 an unknown list (`/list`); 422 options, patterns or keys that cannot be used.
    """
    house = house_of(request)
    made = _drop(house, wish)
    return await drops.open_drop(house.db, house.contacts, house.clock, call, made, password=wish.password)


@router.get("/v1/drops")
async def see_drops(
    request: Request, call: Read, cursor: str | None = None, limit: Limit = 100
) -> Page[DropView]:
    """The account's inboxes, newest first."""
    return await drops.see_drops(house_of(request).db, call, cursor=cursor, limit=limit)


@router.get("/v1/drops/{drop_id}")
async def see_drop(request: Request, drop_id: UUID, call: Read) -> DropView:
    """One inbox."""
    return DropView.of(await drops.see_drop(house_of(request).db, call, drop_id))


@router.patch("/v1/drops/{drop_id}")
async def change_drop(request: Request, drop_id: UUID, call: Write, change: DropChange) -> DropView:
    """Changes what is named. Sessions end within seconds when what opens the inbox changed."""
    house = house_of(request)

    def changed(before: Drop) -> Drop:
        after = _drop(house, merged(before, change))
        return replace(
            before,
            name=after.name,
            protocols=after.protocols,
            rules=after.rules,
            public_keys=after.public_keys,
            quota_bytes=after.quota_bytes,
            quota_files=after.quota_files,
            password_hash=None if change.password is False else before.password_hash,
            active=before.active if change.active is None else change.active,
        )

    return await drops.change_drop(house.db, house.contacts, call, drop_id, changed)


@router.delete("/v1/drops/{drop_id}", status_code=204)
async def close_drop(request: Request, drop_id: UUID, call: Write) -> None:
    """Closes an inbox and removes what lies in it; imports that were made of its files go on."""
    await drops.close_drop(house_of(request).db, call, drop_id)


@router.post("/v1/drops/{drop_id}:rotate")
async def rotate(request: Request, drop_id: UUID, call: Write) -> DropOpened:
    """Another password, shown in this answer only; the one before opens nothing any more."""
    return await drops.rotate(house_of(request).db, call, drop_id)


@router.post("/v1/drops/{drop_id}:pgp-key")
async def pgp_key(request: Request, drop_id: UUID, call: Write, wish: PgpWish | None = None) -> PgpKeyView:
    """The account's public key for encrypted files, made when there is none. 409 where the platform keeps no keys."""
    renew = wish is not None and wish.renew
    return await house_of(request).pgp_keys.key_for(call, drop_id, renew=renew)


@router.get("/v1/drops/{drop_id}/files")
async def see_files(
    request: Request, drop_id: UUID, call: Read, cursor: str | None = None, limit: Limit = 100
) -> Page[TakenView]:
    """The files that were taken from an inbox, newest first."""
    return await drops.see_files(house_of(request).db, call, drop_id, cursor=cursor, limit=limit)


def _drop(house: House, wish: DropWish) -> Drop:
    """The drop that is asked for, without what the action makes."""
    if "ftp" in wish.protocols and not house.ftp_plain:
        fault = Fault("/protocols", "ftp.off", "this platform takes files by sftp and ftps")
        raise BadDrop("plain FTP is not offered here", faults=[fault])
    now = house.clock.now()
    return Drop(
        account_id=NOBODY,
        id=NOBODY,
        user_name="",
        name=wish.name,
        protocols=tuple(sorted(set(wish.protocols))),
        rules=rules_of(wish),
        created_at=now,
        updated_at=now,
        public_keys=public_keys(wish.public_keys),
        quota_bytes=wish.quota_bytes,
        quota_files=wish.quota_files,
    )
