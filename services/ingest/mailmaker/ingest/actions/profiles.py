"""ingest.actions.profiles: saved options of imports: kept, changed, forgotten, and chosen for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.auth import check_list
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.domain.options import Mode, Options, Unsaid, completed, contradictions
from mailmaker.ingest.domain.profiles import BY_NAME, Profile, chosen
from mailmaker.ingest.errors import (
    BadOptions,
    ListNeeded,
    ProfileNameTaken,
    StaleProfile,
    TooManyProfiles,
    UnknownProfile,
)
from mailmaker.ingest.storage import profiles as store
from pydantic import BaseModel

MOST_PROFILES = 1_000


class ProfileView(BaseModel):
    """A saved profile. `version` is also its ETag."""

    id: UUID
    name: str
    list: UUID | None
    file_pattern: str | None
    options: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, it: Profile) -> ProfileView:
        return cls(
            id=it.id,
            name=it.name,
            list=it.list_id,
            file_pattern=it.file_pattern,
            options=dict(it.options),
            created_at=it.created_at,
            updated_at=it.updated_at,
            version=it.version,
        )


async def add_profile(
    db: Database, clock: Clock, call: Call, name: str, list_id: UUID | None, file_pattern: str | None,
    options: dict[str, Any],
) -> ProfileView:  # fmt: skip
    """Saves a profile. Raises ProfileNameTaken, TooManyProfiles, Forbidden."""
    _check(call, list_id, options)
    now = clock.now()
    async with db.write(call, "import_profile.added") as tx:
        if (first := tx.replayed(ProfileView)) is not None:
            return first
        if await store.counted(tx, call.account_id) >= MOST_PROFILES:
            raise TooManyProfiles(f"an account has at most {MOST_PROFILES} import profiles")
        it = Profile(call.account_id, new_id(), name, list_id, file_pattern, options, now, now)
        try:
            await store.add(tx, it)
        except store.NameTaken as wrong:
            raise _taken() from wrong
        tx.subject(it.id)
        return await tx.keep(ProfileView.of(it))


async def change_profile(
    db: Database, clock: Clock, call: Call, profile_id: UUID, named: dict[str, Any], version: int | None
) -> ProfileView:
    """Changes what is named; `options` are replaced whole. Raises UnknownProfile, StaleProfile, ProfileNameTaken."""
    async with db.write(call, "import_profile.changed") as tx:
        it = await _held(tx, call, profile_id, version)
        it = replace(it, **named, updated_at=clock.now(), version=it.version + 1)
        _check(call, it.list_id, it.options)
        try:
            await store.change(tx, it)
        except store.NameTaken as wrong:
            raise _taken() from wrong
        return ProfileView.of(it)


async def remove_profile(db: Database, call: Call, profile_id: UUID) -> None:
    """Forgets a profile. Imports keep the options that they were sent with. Raises UnknownProfile."""
    async with db.write(call, "import_profile.removed") as tx:
        await store.remove(tx, await _held(tx, call, profile_id, None))


async def show_profile(db: Database, call: Call, profile_id: UUID) -> ProfileView:
    """One profile. Raises UnknownProfile."""
    async with db.account(call.account_id) as tx:
        return ProfileView.of(_allowed(call, await store.one(tx, call.account_id, profile_id)))


async def list_profiles(
    db: Database, call: Call, *, list_id: UUID | None, cursor: str | None, limit: int
) -> Page[ProfileView]:
    """Profiles, oldest first."""
    after = None if cursor is None else _position(cursor)
    async with db.account(call.account_id) as tx:
        found = await store.page(tx, call.account_id, after, list_id, call.list_ids, limit + 1)
    more = len(found) > limit
    items = [ProfileView.of(it) for it in found[:limit]]
    return Page[ProfileView](items=items, next=encode_cursor(str(items[-1].id)) if more else None)


async def profile_for(db: Database, call: Call, list_id: UUID | None, file_name: str) -> Profile | None:
    """The profile whose pattern a file's name matches best: what a drop uses that names none, and an import that says
    `by_name`. None: no pattern matches."""
    async with db.account(call.account_id) as tx:
        found = await store.patterned(tx, call.account_id, list_id)
    return chosen((it for it in found if _may_see(call, it)), list_id, file_name)


async def options_for(
    db: Database, call: Call, asked: Mapping[str, Any], *, mode: Mode | None = None, file_name: str = ""
) -> Options:
    """What the client asks, completed by the profile it names, or that the file's name chooses. `mode`: where neither
    says one.

    Raises UnknownProfile, BadOptions, Forbidden.
    """
    it = await _profile(db, call, asked, file_name)
    says = {} if it is None else it.says()
    asked = {**asked, "profile": None if it is None else str(it.id)}
    try:
        found = completed(asked, says if mode is None else {"mode": mode, **says})
    except Unsaid as wrong:
        fault = Fault(f"/options/{wrong.name}", "missing", str(wrong))
        raise BadOptions("the options named in `errors` are missing", faults=[fault]) from wrong
    if faults := [Fault(f"/options/{name}", *why) for name, *why in contradictions(found)]:
        raise BadOptions("the options named in `errors` do not go together", faults=faults)
    check_scope(call, found.as_json())
    return found


async def _profile(db: Database, call: Call, asked: Mapping[str, Any], file_name: str) -> Profile | None:
    said = asked.get("profile")
    if said is None:
        return None
    if said == BY_NAME:
        list_id = asked.get("list")
        return await profile_for(db, call, None if list_id is None else UUID(list_id), file_name)
    async with db.account(call.account_id) as tx:
        it = await store.one(tx, call.account_id, UUID(said))
    return _named(call, it, asked)


def _named(call: Call, it: Profile | None, asked: Mapping[str, Any]) -> Profile:
    try:
        it = _allowed(call, it)
    except UnknownProfile as wrong:
        fault = Fault("/options/profile", wrong.code, "this account has no such profile")
        raise UnknownProfile(wrong.detail, faults=[fault]) from wrong
    if it.list_id is not None and asked.get("list") not in (None, str(it.list_id)):
        fault = Fault("/options/profile", "profile.other_list", "this profile is another list's")
        raise BadOptions("the profile is another list's", faults=[fault])
    return it


async def _held(tx: Transaction, call: Call, profile_id: UUID, version: int | None) -> Profile:
    it = _allowed(call, await store.one(tx, call.account_id, profile_id, lock=True))
    _check(call, it.list_id, it.options)
    tx.subject(it.id)
    if version is not None and version != it.version:
        raise StaleProfile("the profile was changed since you read it")
    return it


def _allowed(call: Call, it: Profile | None) -> Profile:
    """A key limited to lists sees their profiles and those of no list."""
    if it is None or not _may_see(call, it):
        raise UnknownProfile("no such import profile")
    return it


def _may_see(call: Call, it: Profile) -> bool:
    return call.list_ids is None or it.list_id in (None, *call.list_ids)


def check_scope(call: Call, options: Mapping[str, Any]) -> None:
    """A key limited to lists may not say "no" for others. Raises ListNeeded."""
    if options.get("scope") == "account" and call.list_ids is not None:
        raise ListNeeded("this key may opt people out of its own lists only: use the scope list")


def _check(call: Call, list_id: UUID | None, options: Mapping[str, Any]) -> None:
    """A key limited to lists may not touch what serves other lists too."""
    check_scope(call, options)
    if list_id is not None:
        check_list(call, list_id)
    elif call.list_ids is not None:
        raise ListNeeded("this key may touch profiles of its own lists only; name one in `list`")


def _taken() -> ProfileNameTaken:
    fault = Fault("/name", "profile.name_taken", "choose another name")
    return ProfileNameTaken("the account has a profile of this name", faults=[fault])


def _position(cursor: str) -> UUID:
    try:
        return UUID(str(decode_cursor(cursor)[0]))
    except (ValueError, IndexError) as wrong:
        fault = Fault("/cursor", "cursor.unknown", "begin without a cursor")
        raise BadOptions("the cursor is not one of ours", faults=[fault]) from wrong
