"""dispatch.api: doors of templates."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from mailmaker.common.storage.keyset import Page
from mailmaker.dispatch.actions import add_template, read
from mailmaker.dispatch.actions.views import PreviewView, TemplateView
from mailmaker.dispatch.api.desk import Cursor, Here, Limit, MayReadTemplates, MayWriteTemplates
from mailmaker.dispatch.api.schemas import PreviewIn, TemplateIn

router = APIRouter(tags=["templates"])


@router.post("/v1/templates", status_code=201)
async def post_template(desk: Here, call: MayWriteTemplates, body: TemplateIn) -> TemplateView:
    """Adds a template. One that cannot be compiled, or lacks its unsubscribe link, is refused, naming the part."""
    return await add_template.add_template(desk.db, call, body.wish(), desk.now())


@router.get("/v1/templates")
async def get_templates(
    desk: Here, call: MayReadTemplates, limit: Limit = 100, cursor: Cursor = None
) -> Page[TemplateView]:
    """The account's templates."""
    return await read.template_page(desk.db, call.account_id, limit, cursor)


@router.get("/v1/templates/{template_id}")
async def get_template(desk: Here, call: MayReadTemplates, template_id: UUID) -> TemplateView:
    """A template as its author wrote it."""
    return await read.one_template(desk.db, call.account_id, template_id)


@router.post("/v1/templates/{template_id}:preview")
async def preview(desk: Here, call: MayReadTemplates, template_id: UUID, body: PreviewIn) -> PreviewView:
    """The template filled in with given values; changes nothing."""
    return await add_template.preview_template(desk.db, call.account_id, template_id, body.values)
