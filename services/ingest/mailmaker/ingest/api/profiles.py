"""ingest.api.profiles: the clients' doors for saved options of imports."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from mailmaker.common.storage.keyset import LIMIT, Page
from mailmaker.common.web.auth import may
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions.profiles import (
    ProfileView,
    add_profile,
    change_profile,
    list_profiles,
    remove_profile,
    show_profile,
)
from mailmaker.ingest.api.option_parts import Short
from mailmaker.ingest.api.options import ProfileOptions, said
from mailmaker.ingest.api.state import house_of
from mailmaker.ingest.errors import BadOptions
from pydantic import BaseModel, ConfigDict, Field

router = APIRouter(tags=["import profiles"])


class ProfileBody(BaseModel):
    """A profile to be saved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Short
    list: UUID | None = Field(None, description="The list it serves; every list when missing.")
    file_pattern: Short | None = Field(
        None, description="Names of files that it is for, as `crm_*.csv`; compared without case."
    )
    options: ProfileOptions = Field(description="As the options of an import.")


class ProfileChange(BaseModel):
    """What is to change; what is not named stays. `options` are replaced whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Short = ""
    list: UUID | None = None
    file_pattern: Short | None = None
    options: ProfileOptions = ProfileOptions()


@router.post("/v1/import-profiles", status_code=201)
async def save_profile(
    request: Request, response: Response, body: ProfileBody, call: Annotated[Call, may("imports:write")]
) -> ProfileView:
    """Saves a mapping and options under a name. An import uses them by the option `profile`."""
    house = house_of(request)
    made = await add_profile(
        house.db, house.clock, call, body.name, body.list, body.file_pattern, said(body.options)
    )
    return _tagged(response, made)


@router.get("/v1/import-profiles")
async def see_profiles(
    request: Request,
    call: Annotated[Call, may("imports:read")],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
    list_id: Annotated[UUID | None, Query(alias="list")] = None,
) -> Page[ProfileView]:
    """The account's profiles, oldest first; with `list`, those of one list."""
    return await list_profiles(house_of(request).db, call, list_id=list_id, cursor=cursor, limit=limit)


@router.get("/v1/import-profiles/{profile_id}")
async def see_profile(
    request: Request, response: Response, profile_id: UUID, call: Annotated[Call, may("imports:read")]
) -> ProfileView:
    """A profile, with its version as ETag."""
    return _tagged(response, await show_profile(house_of(request).db, call, profile_id))


@router.patch("/v1/import-profiles/{profile_id}")
async def alter_profile(
    request: Request,
    response: Response,
    profile_id: UUID,
    body: ProfileChange,
    call: Annotated[Call, may("imports:write")],
    if_match: Annotated[str | None, Header()] = None,
) -> ProfileView:
    """Changes what is named; with `If-Match`, only the version that was read."""
    house = house_of(request)
    names = {"name": body.name, "list_id": body.list, "file_pattern": body.file_pattern}
    named: dict[str, Any] = {
        name: value for name, value in names.items() if name.removesuffix("_id") in body.model_fields_set
    }
    if "options" in body.model_fields_set:
        named["options"] = said(body.options)
    version = _version(if_match)
    return _tagged(response, await change_profile(house.db, house.clock, call, profile_id, named, version))


@router.delete("/v1/import-profiles/{profile_id}", status_code=204)
async def forget_profile(
    request: Request, profile_id: UUID, call: Annotated[Call, may("imports:write")]
) -> None:
    """Forgets a profile. Imports keep the options that they were sent with."""
    await remove_profile(house_of(request).db, call, profile_id)


def _tagged(response: Response, view: ProfileView) -> ProfileView:
    response.headers["ETag"] = f'"{view.version}"'
    return view


def _version(if_match: str | None) -> int | None:
    """The version that `If-Match` names; None where it names none."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadOptions(
            "not an ETag of ours", faults=[Fault("/If-Match", "etag.unknown", "not an ETag of ours")]
        )
    return int(text)
