"""ingest.actions.views: an import as clients see it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.ingest.domain.imports import COUNTS, Import
from pydantic import BaseModel, Field


class ErrorView(BaseModel):
    """Why an import ended without being applied, or waits."""

    code: str
    detail: str


class CountsView(BaseModel):
    """rows = created + updated + unchanged + protected + rejected + duplicate; `removed` stands beside the sum."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    protected: int = 0
    rejected: int = 0
    duplicate: int = 0


class ProgressView(BaseModel):
    """Rows of the step that `state` names. `total` is an estimate until the file has been read."""

    done: int
    total: int


class FindingView(BaseModel):
    """Something strange about the file: an import with one waits for somebody's word."""

    code: str
    detail: str
    line: int | None
    count: int | None


class FileView(BaseModel):
    """The file as it came, and how it was read."""

    name: str
    size: int
    sha256: str
    kind: str = Field("csv", description="csv, json_lines, xlsx, xlsb, xls or ods, told by the bytes.")
    packed: str | None = Field(None, description="gzip or zip, where it came so.")
    sheet: str | None = Field(None, description="The sheet of a workbook that was read.")
    encoding: str | None
    delimiter: str | None
    fields: list[str] = Field(description="Fields that a column fills.")
    ignored: list[str] = Field(description="Columns that nothing names; they were passed over.")
    findings: list[FindingView] = Field(
        default=[], description="What is strange about it: it waits for approval."
    )


class ImportView(BaseModel):
    """An import."""

    id: UUID
    list: UUID
    mode: str
    state: str
    error: ErrorView | None
    counts: CountsView
    progress: ProgressView
    plan_url: str | None
    rejects_url: str | None
    file: FileView
    same_as: UUID | None = Field(
        None,
        description="The last import before this one into the same list of the very same bytes, however it ended. The"
        " file is planned all the same: the list may have changed since.",
    )
    options: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def view(of: Import) -> ImportView:
    """What the API shows of an import."""
    error = ErrorView(code=of.error_code, detail=of.error_detail or "") if of.error_code else None
    counts = CountsView(**{name: of.counts.get(name, 0) for name in COUNTS})
    read, source = of.reading, of.upload.source
    return ImportView(
        id=of.id,
        list=of.options.list_id,
        mode=of.options.mode,
        state=of.state,
        error=error,
        counts=counts,
        progress=ProgressView(done=of.done, total=max(of.total, of.done)),
        plan_url=f"/v1/plans/{of.id}" if of.has_rejects else None,
        rejects_url=f"/v1/imports/{of.id}/rejects" if of.has_rejects else None,
        file=FileView(
            name=of.upload.name,
            size=of.upload.size,
            sha256=of.upload.sha256.hex(),
            kind=source.kind,
            packed=source.packed,
            sheet=source.sheet,
            encoding=(read.encoding or None) if source.encoding is None else None,
            delimiter=(read.delimiter or None) if source.delimiter is None else None,
            fields=list(read.fields),
            ignored=list(read.ignored),
            findings=[FindingView(**asdict(one)) for one in read.findings],
        ),
        same_as=of.same_as,
        options=of.options.as_json(),
        created_at=of.created_at,
        updated_at=of.updated_at,
    )
