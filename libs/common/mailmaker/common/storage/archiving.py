"""common.storage.archiving: all that a house keeps of an account as one stream: a line a row, CSV in COPY's dialect.

A line is `part,row`: the name of the file that the row belongs to, and the row as JSON. The parts come one after the
other. The last line is `end`: a stream without it is broken, however it ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypedDict
from uuid import UUID

from mailmaker.common.storage.bulk import copy_out
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.internal import Unreachable

END = b"end,\n"
LONGEST = 64 << 20
"""Bytes of one row, far above what any table takes."""


class Row(TypedDict):
    """A row on its way into an archive: its part, and its JSON."""

    name: str
    line: str


# Workers of a parallel plan would mix the parts.
_ONE_AFTER_THE_OTHER = "SELECT set_config('max_parallel_workers_per_gather', '0', true)"


def everything_of(parts: Mapping[str, str]) -> str:
    """One statement, so one snapshot: rows (name, line) of each part's query, which gives one jsonb column for $1, an
    account."""
    return " UNION ALL ".join(
        f"SELECT '{name}' AS name, line::text AS line FROM ({query}) AS t (line)"
        for name, query in parts.items()
    )


async def lines(tx: Transaction, everything: str, account_id: UUID) -> AsyncIterator[bytes]:
    """The stream of an account, in chunks, with back-pressure."""
    await tx.driver.execute(_ONE_AFTER_THE_OTHER)
    async for chunk in copy_out(tx.driver, everything, account_id):
        yield chunk
    yield END


async def rows_of(source: AsyncIterator[bytes]) -> AsyncIterator[Sequence[Row]]:
    """The rows of such a stream, as many at a time as its chunks bring. Raises Unreachable when it has no end."""
    tail, ended = b"", False
    async for chunk in source:
        *whole, tail = (tail + chunk).split(b"\n")
        if len(tail) > LONGEST:
            raise Unreachable("a row of another house's archive has no end")
        ended = ended or b"end," in whole
        rows = [_row(line) for line in whole if line != b"end,"]
        if rows:
            yield rows
    if tail or not ended:
        raise Unreachable("the archive from another house has no end")


def _row(line: bytes) -> Row:
    name, _, text = line.decode().partition(",")
    if text.startswith('"'):
        text = text[1:-1].replace('""', '"')
    return Row(name=name, line=text)
