"""contacts.storage.archive: a zip file made while its members come, and all that is kept of an account as JSON lines."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO
from uuid import UUID

from mailmaker.common.storage.archiving import Row, everything_of
from mailmaker.common.storage.engine import Transaction

AT_ONCE = 2_000
PATIENCE = 600.0
# No secret and no keyed hash. A contact's `custom` is by its fields' ids: fields.jsonl has their names.
PARTS: Mapping[str, str] = {
    "account.jsonl": "SELECT to_jsonb(t) FROM accounts t WHERE account_id = $1",
    "api_keys.jsonl": "SELECT to_jsonb(t) - 'secret_hash' FROM api_keys t WHERE account_id = $1",
    "lists.jsonl": "SELECT to_jsonb(t) FROM lists t WHERE account_id = $1",
    "fields.jsonl": (
        "SELECT to_jsonb(t) || jsonb_build_object('id', coalesce(t.id, t.name)) FROM list_fields t WHERE account_id = $1"
    ),
    "segments.jsonl": (
        "SELECT to_jsonb(t) || jsonb_build_object('rule', r.rule) FROM segments t JOIN segment_rules r"
        " ON r.account_id = t.account_id AND r.segment_id = t.id AND r.version = t.version WHERE t.account_id = $1"
    ),
    "imports.jsonl": "SELECT to_jsonb(t) - '{due_at,attempts}'::text[] FROM plans t WHERE account_id = $1",
    "contacts.jsonl": (
        "SELECT to_jsonb(t) - '{email_key,mobile_key,fkey_hash,line_digest,line_version}'::text[]"
        " FROM contacts t WHERE account_id = $1"
    ),
    "history.jsonl": "SELECT to_jsonb(t) FROM contact_history t WHERE account_id = $1",
}
EVERYTHING = everything_of(PARTS)


async def everything(tx: Transaction, account_id: UUID) -> AsyncIterator[Sequence[Row]]:
    """What this house keeps, a batch of rows at a time."""
    cursor = await tx.driver.cursor(EVERYTHING, account_id, timeout=PATIENCE)
    while rows := await cursor.fetch(AT_ONCE, timeout=PATIENCE):
        yield [Row(name=row["name"], line=row["line"]) for row in rows]


class Sink(io.RawIOBase):
    """Holds what a zip file has written since it was last asked."""

    def __init__(self) -> None:
        self._made = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._made += piece
        return len(piece)

    def taken(self) -> bytes:
        made = bytes(self._made)
        self._made.clear()
        return made


class Archive:
    """The zip file of an account, with these members in their order. `add` and `end` give what can be kept of it already."""

    def __init__(self, names: Sequence[str]) -> None:
        self._sink = Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._member: IO[bytes] | None = None
        self._name: str | None = ""
        self._left = list(names)

    def add(self, rows: Sequence[Row]) -> bytes:
        for name in dict.fromkeys(row["name"] for row in rows):
            self._up_to(name)
            assert self._member is not None
            lines = [row["line"] for row in rows if row["name"] == name]
            self._member.write(("\n".join(lines) + "\n").encode())
        return self._sink.taken()

    def end(self) -> bytes:
        self._up_to(None)
        self._zip.close()
        return self._sink.taken()

    def give_up(self) -> None:
        """Closes what is open; what was made is worth nothing."""
        if self._member is not None:
            self._member.close()
        self._zip.close()

    def _up_to(self, name: str | None) -> None:
        """Ends the members before one, and begins it. A part without rows is an empty member."""
        while self._name != name:
            if self._member is not None:
                self._member.close()
                self._member = None
            if not self._left:
                if name is not None:
                    raise RuntimeError("the parts of an account did not come in their order")
                return
            self._name = self._left.pop(0)
            # Of a size not known before: it may pass 4 GiB.
            self._member = self._zip.open(self._name, "w", force_zip64=True)
