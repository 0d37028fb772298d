"""dispatch.api: the bodies that clients send."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from mailmaker.dispatch.actions.add_template import TemplateWish
from mailmaker.dispatch.actions.open_mailing import MailingWish
from mailmaker.dispatch.domain.mailing import MailClass
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]
LISTS = 500
SOURCE = 2_000_000
"""Characters of one part of a template."""


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class DomainIn(_In):
    """A domain to send from, as it stands after the @."""

    name: str = Field(min_length=3, max_length=253)


class SenderIn(_In):
    """A From identity: display name and address on a verified domain."""

    name: Name
    email: str = Field(min_length=3, max_length=254)
    reply_to: str | None = Field(None, min_length=3, max_length=254)


class TemplateIn(_In):
    """Subject, html and text in Liquid. Marketing mail needs `{{ unsubscribe_url }}` in html and in text."""

    name: str = Field("", max_length=200)
    channel: Literal["email", "sms"] = "email"
    subject: str = Field("", max_length=2_000, pattern=r"^[^\x00-\x1f\x7f]*$")
    html: str = Field("", max_length=SOURCE)
    text: str = Field("", max_length=SOURCE)
    mail_class: MailClass = Field("marketing", alias="class")

    def wish(self) -> TemplateWish:
        return TemplateWish(
            name=self.name,
            channel=self.channel,
            subject=self.subject,
            html=self.html,
            text=self.text,
            mail_class=self.mail_class,
        )


class PreviewIn(_In):
    """The values to fill in, by field."""

    values: dict[str, Any] = Field(default_factory=dict)


class MailingIn(_In):
    """A mailing: which template, from whom, to which lists."""

    name: Name
    channel: Literal["email", "sms"] = "email"
    template: UUID
    sender: UUID
    lists: list[UUID] = Field(min_length=1, max_length=LISTS)
    segment: UUID | None = Field(None, description="Only whom this segment means; `lists` is its list alone.")
    mail_class: MailClass = Field("marketing", alias="class")
    tag: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Your word for this kind of mailing; routes may ask for it.",
    )
    schedule: AwareDatetime | None = None
    rate: int | None = Field(None, ge=1, le=1_000_000, description="Messages a minute at most.")
    valid_until: AwareDatetime | None = None

    def wish(self) -> MailingWish:
        schedule: datetime | None = self.schedule
        return MailingWish(
            name=self.name,
            channel=self.channel,
            template=self.template,
            sender=self.sender,
            lists=tuple(self.lists),
            segment=self.segment,
            mail_class=self.mail_class,
            schedule=schedule,
            rate=self.rate,
            tag=self.tag,
            valid_until=self.valid_until,
        )
