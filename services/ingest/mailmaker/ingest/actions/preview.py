"""ingest.actions.preview: how a file would be read, for somebody to look at before it is imported."""

from __future__ import annotations

from uuid import UUID

from mailmaker.ingest.domain.profiles import Profile
from mailmaker.ingest.readers.job import Opened
from mailmaker.ingest.readers.kinds import Kind
from pydantic import BaseModel, Field

ROWS = 20


class ColumnView(BaseModel):
    """A column and the field it would fill; `name+surname` where it would be cut in two."""

    column: str
    field: str | None


class RowView(BaseModel):
    """A row as it stands in the file; long cells are cut."""

    line: int
    cells: list[str]


class ProblemView(BaseModel):
    """A cell of the sample that would reject its row."""

    line: int | None
    field: str | None
    code: str
    detail: str


class FaultView(BaseModel):
    """Why an import would refuse the whole file as it is asked now."""

    pointer: str
    code: str
    detail: str


class PreviewView(BaseModel):
    """How a file would be read."""

    kind: str
    packed: str | None
    encoding: str | None = Field(description="Null for a workbook.")
    delimiter: str | None = Field(description="Null for what is no CSV.")
    sheets: list[str] = Field(description="A workbook's sheets; `sheet` is the one that is shown.")
    sheet: str | None
    lines: int = Field(description="Lines or rows of the file, header included; an estimate for CSV.")
    columns: list[ColumnView]
    mapping: dict[str, str] = Field(description="Column -> field, ready for the option `mapping`.")
    ignored: list[str] = Field(description="Columns that nothing names; they would be passed over.")
    rows: list[RowView]
    problems: list[ProblemView]
    faults: list[FaultView]
    profile: UUID | None = Field(
        description="A saved profile whose pattern the file's name matches: a drop would use it, and so does an import"
        " with `profile: by_name`."
    )


def preview_of(opened: Opened, profile: Profile | None) -> PreviewView:
    """What the client sees."""
    table = opened.kind != Kind.CSV
    return PreviewView(
        kind=opened.kind,
        packed=opened.packed,
        encoding=None if table else opened.encoding,
        delimiter=None if table else opened.delimiter,
        sheets=list(opened.sheets),
        sheet=opened.sheet,
        lines=opened.line_ends,
        columns=[ColumnView(column=column, field=field) for column, field in opened.columns],
        mapping={column: field for column, field in opened.columns if field is not None and "+" not in field},
        ignored=[column for column, field in opened.columns if field is None and column],
        rows=[RowView(line=line, cells=list(cells)) for line, cells in opened.sample],
        problems=[
            ProblemView(line=one.line, field=one.field, code=one.code, detail=one.detail)
            for one in opened.problems
        ],
        faults=[FaultView(pointer=one.pointer, code=one.code, detail=one.detail) for one in opened.faults],
        profile=None if profile is None else profile.id,
    )
