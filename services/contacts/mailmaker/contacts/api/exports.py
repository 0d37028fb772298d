"""contacts.api.exports: a list, or a part of it, as a file."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import exports
from mailmaker.contacts.actions.export_shapes import ExportAsked, ExportView
from mailmaker.contacts.api.doors import House, Limit, file_answer

router = APIRouter(tags=["exports"])
Look = Annotated[Call, may("contacts:read")]
Write = Annotated[Call, may("contacts:write")]


@router.post("/v1/lists/{list_id}/exports", status_code=202)
async def ask(house: House, call: Look, list_id: UUID, asked: ExportAsked) -> ExportView:
    """Writes the list, a segment of it or those with a consent into a CSV or XLSX file, as they are at one instant. An
    import of the file as it is changes nothing. Poll the export until it is `ready`."""
    check_list(call, list_id)
    return await exports.ask_export(house, call, list_id, asked)


@router.get("/v1/lists/{list_id}/exports")
async def see_all(
    house: House, call: Look, list_id: UUID, limit: Limit = 100, cursor: str | None = None
) -> Page[ExportView]:
    """The list's exports, oldest first."""
    check_list(call, list_id)
    return await exports.see_exports(house, call, list_id, limit, cursor)


@router.get("/v1/lists/{list_id}/exports/{export_id}")
async def see(house: House, call: Look, list_id: UUID, export_id: UUID) -> ExportView:
    """How an export goes on, and where its file is."""
    check_list(call, list_id)
    return await exports.see_export(house, call, list_id, export_id)


@router.get("/v1/lists/{list_id}/exports/{export_id}/file", response_class=StreamingResponse)
async def download(house: House, call: Look, list_id: UUID, export_id: UUID) -> StreamingResponse:
    """The file of an export that is ready."""
    check_list(call, list_id)
    it, pieces = await exports.export_file(house, call, list_id, export_id)
    return file_answer(it, pieces, "contacts")


@router.delete("/v1/lists/{list_id}/exports/{export_id}", status_code=204)
async def remove(house: House, call: Write, list_id: UUID, export_id: UUID) -> None:
    """Removes the file of an export, or stops its making."""
    check_list(call, list_id)
    await exports.remove_export(house, call, list_id, export_id)
