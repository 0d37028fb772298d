"""contacts.actions.field_shapes: what is asked of a list's fields, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal

from mailmaker.contacts.actions.shapes import Asked
from mailmaker.contacts.domain.fields import FieldWish
from mailmaker.contacts.domain.lists import MOST_FIELDS, STANDARD_FIELDS, ContactList, FieldType
from mailmaker.contacts.domain.lists import Field as ListField
from pydantic import BaseModel, Field, StringConstraints

FieldName = Annotated[str, Field(min_length=1, max_length=63)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Type = Literal["text", "number", "date", "boolean", "enum"]


class FieldShape(Asked):
    """A custom field of a list. `values` are an enum's. `id` stays when the name changes; a new field needs none."""

    id: str | None = Field(default=None, max_length=63)
    name: FieldName
    type: Type
    values: list[Value] = Field(default=[], max_length=1000)

    def wish(self) -> FieldWish:
        return FieldWish(self.name, FieldType(self.type), tuple(self.values), self.id)


class FieldsWish(Asked):
    """Every custom field the list shall have in use. A field that is left out is retired: its values stay, unseen."""

    fields: list[FieldShape] = Field(max_length=MOST_FIELDS)


class FieldChange(Asked):
    """What of a field to change; what is not named stays."""

    name: FieldName | None = None
    values: list[Value] | None = Field(default=None, max_length=1000)
    retired: bool | None = None


class FieldView(BaseModel):
    """A custom field of a list."""

    id: str
    name: str
    type: Type
    values: list[str]


class FieldsView(BaseModel):
    """The standard fields' names, the list's custom fields, and the retired ones, which can be brought back."""

    standard: list[str]
    fields: list[FieldView]
    retired: list[FieldView]

    @classmethod
    def of(cls, it: ContactList) -> FieldsView:
        return cls(
            standard=list(STANDARD_FIELDS),
            fields=[_view(f) for f in it.fields],
            retired=[_view(f) for f in it.retired],
        )


def _view(f: ListField) -> FieldView:
    return FieldView(id=f.key, name=f.name, type=f.type.value, values=list(f.values))
