"""ingest.api.options: the `options` form field: JSON text, checked, with pointers to what is wrong."""

from __future__ import annotations

import codecs
import json
from typing import Any, Literal
from uuid import UUID

from mailmaker.common.web.problem import Fault
from mailmaker.ingest.domain.imports import Options
from mailmaker.ingest.errors import BadOptions, NotAvailable
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

LONGEST = 1 << 18


class OptionsBody(BaseModel):
    """How a file is to be imported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    list: UUID = Field(description="The list it goes into.")
    mode: Literal["incremental", "add", "update", "full", "opt_out"] = Field(
        description="incremental: the file says what changes. full: the list becomes what the file says."
        " add, update and opt_out are not available yet."
    )
    profile: UUID | None = Field(None, description="Not available yet.")
    mapping: dict[str, str | None] | None = Field(
        None, description="Column of the file -> field of the list; null passes the column over."
    )
    empty_cells: Literal["keep", "erase"] = Field(
        "keep", description="What an empty cell does to a field that has a value."
    )
    protect_cancellations: bool = Field(True, description="False is not available yet.")
    consent: Literal["subscribed", "pending"] = Field("subscribed", description="Consent of new contacts.")
    apply: Literal["auto", "on_approval"] = Field(
        "auto", description="on_approval: the plan waits for `:approve`."
    )
    expected_rows: int | None = Field(
        None, ge=0, description="Rows the file must have; another number fails the import."
    )
    encoding: str | None = Field(None, description="Character set; told from the bytes when missing.")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        None, description="Told from the head of the file when missing."
    )

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


def read_options(text: bytes) -> Options:
    """The options of a request. Raises BadOptions or NotAvailable, naming each field at fault."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        fault = Fault("/options", "options.not_json", "a JSON object as text")
        raise BadOptions("the options are not JSON", faults=[fault]) from wrong
    if not isinstance(found, dict):
        fault = Fault("/options", "options.not_json", "a JSON object as text")
        raise BadOptions("the options are not a JSON object", faults=[fault])
    try:
        body = OptionsBody.model_validate_json(text)
    except ValidationError as wrong:
        faults = [_fault(error["loc"], error["type"], error["msg"]) for error in wrong.errors()]
        raise BadOptions("the options named in `errors` are wrong", faults=faults) from wrong
    _check_available(body)
    return Options(
        list_id=body.list,
        mode=body.mode,  # type: ignore[arg-type]  # the other modes were refused above
        mapping=body.mapping or {},
        empty_cells=body.empty_cells,
        protect_cancellations=body.protect_cancellations,
        consent=body.consent,
        apply=body.apply,
        expected_rows=body.expected_rows,
        encoding=body.encoding,
        delimiter=body.delimiter,
    )


def _check_available(body: OptionsBody) -> None:
    """Says plainly what this release does not do: an option that is taken and not honoured would be a lie."""
    missing = []
    if body.mode not in ("incremental", "full"):
        missing.append(Fault("/options/mode", "not_available", "use incremental or full"))
    if body.profile is not None:
        missing.append(Fault("/options/profile", "not_available", "give the mapping with the import"))
    if not body.protect_cancellations:
        missing.append(Fault("/options/protect_cancellations", "not_available", "past cancellations stand"))
    if missing:
        raise NotAvailable("these options are not available yet", faults=missing)


def _fault(place: tuple[int | str, ...], code: str, detail: str) -> Fault:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return Fault("/".join(("/options", *parts)), code, detail)
