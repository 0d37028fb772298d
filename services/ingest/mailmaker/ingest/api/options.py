"""ingest.api.options: the options of an import: JSON text or a query, checked, with pointers to what is wrong."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from mailmaker.common.web.problem import Fault
from mailmaker.ingest.api.option_parts import GuardsBody, LawfulBasisBody, Short, SplitNameBody
from mailmaker.ingest.domain.dates import WrongFormat, reader
from mailmaker.ingest.domain.fields import shown
from mailmaker.ingest.errors import BadOptions
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

LONGEST = 1 << 18
Word = Literal["keep", "erase"]
_UNTOLD = ("missing", "datetime_type")
_CONSENTED_AT = ("lawful_basis", "consented_at")


class ProfileOptions(BaseModel):
    """How files are to be read and imported: what a profile keeps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["incremental", "add", "update", "full", "opt_out"] | None = Field(
        None,
        description="incremental: the file says what changes. full: the list becomes what the file says."
        " add: only new contacts. update: only known ones. opt_out: everybody the file names says no.",
    )
    mapping: dict[str, str | None] | None = Field(
        None, description="Column of the file -> field of the list; null passes the column over."
    )
    empty_cells: Word | dict[Short, Word] = Field(
        "keep",
        description="What an empty cell does to a field that has a value; or field -> word, others keep.",
    )
    protect_cancellations: bool = Field(
        True,
        description="Who has opted out stays out. False needs `lawful_basis`, and lifts opt-outs of this list only.",
    )
    scope: Literal["list", "account"] = Field(
        "list", description="opt_out: the no's hold in the list, or in every list of the account."
    )
    channel: Literal["email", "sms"] | None = Field(
        None,
        description="opt_out: the one channel that is meant. When missing, an address says no to email, a number to SMS,"
        " and an fkey that stands alone to both.",
    )
    consent: Literal["subscribed", "pending"] = Field("subscribed", description="Consent of new contacts.")
    apply: Literal["auto", "on_approval"] = Field(
        "auto", description="on_approval: the plan waits for `:approve`."
    )
    encoding: str | None = Field(None, description="Character set; told from the bytes when missing.")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        None, description="Told from the head of the file when missing."
    )
    sheet: Short | Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None,
        description="A workbook's sheet by name or number; the first visible one with rows when missing.",
    )
    defaults: dict[Short, Annotated[str, StringConstraints(max_length=4000)]] | None = Field(
        None, description="Field -> value where the file has no column for it, or an empty cell."
    )
    date_formats: list[Annotated[str, StringConstraints(min_length=4, max_length=20)]] | None = Field(
        None, max_length=8, description="As %d/%m/%Y; ISO 8601 and day/month/year when missing."
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="The decimal separator; the other one may group thousands then."
    )
    split_name: SplitNameBody | None = Field(
        None, description="A column to be cut into name and surname. No column is cut unless named here."
    )
    trailer: Annotated[str, StringConstraints(min_length=7, max_length=200)] | None = Field(
        None,
        description="The last line, a control total and no row: {count} stands for the rows' number, * for anything.",
    )
    guards: GuardsBody | None = None

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is None:
            return None
        try:
            found = codecs.lookup(name)
        except (LookupError, ValueError) as wrong:
            raise ValueError("no such character set") from wrong
        if not found._is_text_encoding:
            raise ValueError("no such character set")
        return found.name

    @field_validator("date_formats")
    @classmethod
    def _are_formats(cls, forms: list[str] | None) -> list[str] | None:
        for form in forms or ():
            try:
                reader(form)
            except WrongFormat as wrong:
                raise ValueError(str(wrong)) from wrong
        return forms

    @field_validator("trailer")
    @classmethod
    def _has_count(cls, template: str | None) -> str | None:
        if template is not None and template.count("{count}") != 1:
            raise ValueError("write {count} once, where the number of rows stands")
        return template


class OptionsBody(ProfileOptions):
    """How a file is to be imported. What is not named here is the profile's, and else has its default."""

    list: UUID | None = Field(None, description="The list it goes into; needed unless the profile has one.")
    profile: UUID | Literal["by_name", "none"] | None = Field(
        None,
        description="A saved profile (`/v1/import-profiles`). by_name: the list's whose `file_pattern` matches the file's"
        " name, if there is one. The import's `options` tell which it was.",
    )
    expected_rows: int | None = Field(
        None, ge=0, description="Rows the file must have; with another number the import waits for approval."
    )
    lawful_basis: LawfulBasisBody | None = Field(
        None,
        description="Needed with `protect_cancellations: false`. It is stated for each import: no profile and no drop"
        " keeps it.",
    )

    @field_validator("profile")
    @classmethod
    def _none_is_none(cls, profile: UUID | str | None) -> UUID | str | None:
        return None if profile == "none" else profile


def read_options(text: bytes) -> dict[str, Any]:
    """The options that a request names. Raises BadOptions, naming each field at fault."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise _no_object() from wrong
    if not isinstance(found, dict):
        raise _no_object()
    return _checked(found)


def query_options(query: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The options that a query names, one parameter each; objects and lists are JSON text. Raises like read_options."""
    found: dict[str, Any] = {}
    for name, value in query:
        if value[:1] in ("{", "["):
            try:
                found[name] = json.loads(value)
            except (ValueError, RecursionError) as wrong:
                fault = Fault(f"/options/{name[:80]}", "options.not_json", "JSON text")
                raise BadOptions("an option is not JSON", faults=[fault]) from wrong
        else:
            found[name] = value
    return _checked(found)


def said(options: ProfileOptions) -> dict[str, Any]:
    """What was named, as JSON."""
    return options.model_dump(mode="json", exclude_unset=True)


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    if not _is_text(found):
        fault = Fault("/options", "options.control_character", "no NUL and no half character")
        raise BadOptions("a text of the options cannot be kept", faults=[fault])
    try:
        body = OptionsBody.model_validate(found)
    except ValidationError as wrong:
        faults = [_fault(error["loc"], error["type"], error["msg"]) for error in wrong.errors()]
        raise BadOptions("the options named in `errors` are wrong", faults=faults) from wrong
    return said(body)


def _is_text(found: Any) -> bool:
    """Whether every text of it can be kept: PostgreSQL and JSON have no NUL and no lone surrogate."""
    if isinstance(found, str):
        return shown(found) == found
    if isinstance(found, dict):
        return all(_is_text(name) and _is_text(value) for name, value in found.items())
    return all(map(_is_text, found)) if isinstance(found, list) else True


def _no_object() -> BadOptions:
    fault = Fault("/options", "options.not_json", "a JSON object as text")
    return BadOptions("the options are not a JSON object", faults=[fault])


def _fault(place: tuple[int | str, ...], code: str, detail: str) -> Fault:
    if place == _CONSENTED_AT and code in _UNTOLD:
        detail = "when did these people consent anew? A time, as 2026-10-01T09:00:00+02:00"
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return Fault("/".join(("/options", *parts)), code, detail)
