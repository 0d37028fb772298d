"""dispatch.actions: takes a template, if it can be compiled and may be sent; shows it filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault
from mailmaker.dispatch.actions.views import PreviewView, TemplateView, template_view
from mailmaker.dispatch.domain.audience import UNSUBSCRIBE, merge_fields, parts_without_unsubscribe
from mailmaker.dispatch.domain.sending import Template
from mailmaker.dispatch.errors import NotAvailable, Unbuildable, UnknownTemplate
from mailmaker.dispatch.render.text import Kind, TemplateFault, Text
from mailmaker.dispatch.storage import templates

_KINDS: dict[str, Kind] = {"subject": "header", "html": "html", "text": "text"}
SAMPLE_LINK = "https://unsubscribe.example/u/sample"


@dataclass(frozen=True, slots=True)
class TemplateWish:
    """A template as a client asks for it."""

    name: str
    channel: str
    subject: str
    html: str
    text: str
    mail_class: str

    @property
    def sources(self) -> dict[str, str]:
        return {"subject": self.subject, "html": self.html, "text": self.text}


async def add_template(db: Database, call: Call, wish: TemplateWish, now: datetime) -> TemplateView:
    """Adds a template. Raises Unbuildable naming /subject, /html or /text, NotAvailable for SMS."""
    if wish.channel != "email":
        raise NotAvailable(
            "SMS templates are not available yet", faults=[Fault("/channel", "not_available", "use email")]
        )
    uses = _uses(wish.sources)
    if wish.mail_class == "marketing":
        refuse_without_unsubscribe(uses, wish.html, wish.text)
    template = Template(
        account_id=call.account_id,
        id=new_id(),
        name=wish.name,
        channel=wish.channel,
        subject=wish.subject,
        html=wish.html,
        body=wish.text,
        fields=merge_fields(name for part in uses.values() for name in part),
        created_at=now,
    )
    async with db.write(call, "template.added") as tx:
        if (first := tx.replayed(TemplateView)) is not None:
            return first
        tx.subject(template.id)
        await templates.add(tx, template)
        return await tx.keep(template_view(template))


async def preview_template(
    db: Database, account_id: UUID, template_id: UUID, values: Mapping[str, Any]
) -> PreviewView:
    """The template filled in with given values; the unsubscribe link is a sample."""
    async with db.account(account_id) as tx:
        template = await templates.one(tx, account_id, template_id)
    if template is None:
        raise UnknownTemplate("there is no such template")
    known = {**values, UNSUBSCRIBE: SAMPLE_LINK}
    sources = {"subject": template.subject, "html": template.html, "text": template.body}
    shown, faults = {}, []
    for part, source in sources.items():
        try:
            shown[part] = Text(source, _KINDS[part]).render(known)
        except TemplateFault as wrong:
            faults.append(Fault(f"/{part}", "template.values", wrong.detail))
    if faults:
        raise Unbuildable("the template cannot be filled in with these values", faults=faults)
    return PreviewView(subject=shown["subject"], html=shown["html"], text=shown["text"])


def refuse_without_unsubscribe(uses: Mapping[str, frozenset[str]], html: str, text: str) -> None:
    """Raises Unbuildable for a marketing text whose reader would find no link to leave."""
    lacking = parts_without_unsubscribe(uses, {"html": html, "text": text})
    if lacking:
        raise Unbuildable(
            "marketing mail needs an unsubscribe link",
            faults=[
                Fault(
                    f"/{part}",
                    "template.no_unsubscribe",
                    "put {{ unsubscribe_url }} where the reader sees it",
                )
                for part in lacking
            ],
        )


def uses_of(template: Template) -> dict[str, frozenset[str]]:
    """The names that each part of a stored template uses."""
    return _uses({"subject": template.subject, "html": template.html, "text": template.body})


def _uses(sources: Mapping[str, str]) -> dict[str, frozenset[str]]:
    uses: dict[str, frozenset[str]] = {}
    faults = []
    for part, source in sources.items():
        try:
            uses[part] = Text(source, _KINDS[part]).fields
        except TemplateFault as wrong:
            where = "" if wrong.line is None else f"line {wrong.line}: "
            faults.append(Fault(f"/{part}", "template.syntax", f"{where}{wrong.detail}"))
    if not faults and not sources["html"].strip() and not sources["text"].strip():
        faults = [Fault("/html", "template.empty", "write html, text or both")]
    if faults:
        raise Unbuildable("the template cannot be compiled", faults=faults)
    return uses
