"""ingest.actions.receive: takes a file: on disk and looked at before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from mailmaker.common.contracts.internal import ListRow
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database, Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.auth import check_list
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions.opening import Opener, refuse
from mailmaker.ingest.actions.preview import ROWS, PreviewView, preview_of
from mailmaker.ingest.actions.profiles import profile_for
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.domain.imports import ListFacts, Source, Upload
from mailmaker.ingest.domain.options import Options, consented_after
from mailmaker.ingest.errors import BadOptions, UnknownList, UploadTooLarge
from mailmaker.ingest.readers.job import Opened
from mailmaker.ingest.readers.kinds import Kind
from mailmaker.ingest.readers.scan import Scan, Scanned
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files, Incoming

_WRITE_SIZE = 1 << 20
Beside = Callable[[Transaction, UUID], Awaitable[None]]


class Arrival:
    """A file while it comes in: written, hashed and checked for UTF-8 as it passes, a MiB at a time, off the loop."""

    def __init__(self, files: Files, limit: int) -> None:
        self.id = new_id()
        self.incoming: Incoming = files.incoming(self.id)
        self._limit = limit
        self._scan = Scan()
        self._buffer = bytearray()
        self._size = 0

    async def write(self, data: bytes) -> None:
        """Takes the next bytes. Raises UploadTooLarge, NoRoom."""
        self._size += len(data)
        if self._size > self._limit:
            raise UploadTooLarge(
                f"at most {self._limit} bytes", faults=[Fault("/file", "upload.too_large", "split the file")]
            )
        self._buffer += data
        if len(self._buffer) >= _WRITE_SIZE:
            await self._flush()

    async def end(self) -> Scanned:
        """The file is whole and on disk, without its name."""
        await self._flush()
        await asyncio.to_thread(self.incoming.sync)
        return self._scan.end()

    async def keep(self, *, plain: bool) -> None:
        """Gives the file its name, or the CSV that stands for it."""
        await asyncio.to_thread(self.incoming.keep, plain=plain)

    async def discard(self) -> None:
        """Forgets the file."""
        await asyncio.to_thread(self.incoming.discard)

    async def _flush(self) -> None:
        chunk, self._buffer = bytes(self._buffer), bytearray()
        await asyncio.to_thread(self._take, chunk)

    def _take(self, chunk: bytes) -> None:
        self.incoming.write(chunk)
        self._scan.feed(chunk)


class Receiver:
    """Turns an arrived file into an import that waits to be read."""

    def __init__(
        self, db: Database, contacts: InternalClient, clock: Clock, wake: asyncio.Event, opener: Opener
    ) -> None:
        self._opener = opener
        self._db = db
        self._contacts = contacts
        self._clock = clock
        self._wake = wake

    async def receive(
        self,
        call: Call,
        arrival: Arrival,
        scanned: Scanned,
        options: Options,
        name: str,
        *,
        json_lines: bool = False,
        beside: Beside | None = None,
    ) -> ImportView:
        """The file is opened here, once: what cannot be imported is refused; rows are judged while they are read.

        `json_lines`: the client says that it is, whatever its first bytes look like. `beside` writes what must be committed
        with the import, or raises. Raises BadFile, BadOptions, UnknownList.
        """
        about = await self._about(call, options)
        opened = await self._opener.open(arrival.incoming, scanned, options, about, json_lines=json_lines)
        refuse(opened)
        upload = Upload(
            name, scanned.size, scanned.sha256, opened.line_ends, opened.not_utf8_at, source_of(opened)
        )
        async with self._db.write(call, "import.received") as tx:
            if (first := tx.replayed(ImportView)) is not None:
                await arrival.discard()
                return first
            # Named before the row is committed: a row without its file would be a promise that nothing keeps.
            await arrival.keep(plain=opened.plain)
            made = await store.add(
                tx, call.account_id, arrival.id, options, about, upload, self._clock.now(), call.key_id
            )
            tx.subject(made.id)
            if beside is not None:
                await beside(tx, made.id)
            answer = await tx.keep(view(made))
        self._wake.set()
        return answer

    async def preview(
        self,
        call: Call,
        arrival: Arrival,
        scanned: Scanned,
        options: Options,
        name: str,
        *,
        json_lines: bool = False,
    ) -> PreviewView:
        """How the file would be read. Nothing is kept. Raises BadFile where nothing of it can be read."""
        about = await self._about(call, options)
        opened = await self._opener.open(
            arrival.incoming, scanned, options, about, json_lines=json_lines, sample=ROWS
        )
        if not opened.columns:
            refuse(opened)
        return preview_of(opened, await profile_for(self._db, call, options.list_id, name))

    async def _about(self, call: Call, options: Options) -> ListFacts:
        if consented_after(options, self._clock.now()):
            detail = "nobody can have consented after the file that tells of it was received"
            fault = Fault("/options/lawful_basis/consented_at", "option.in_future", detail)
            raise BadOptions("the options named in `errors` are wrong", faults=[fault])
        return await self.list_facts(call, options.list_id)

    async def list_facts(self, call: Call, list_id: UUID) -> ListFacts:
        """What contacts says of the list. Raises UnknownList, or Forbidden for a key limited to others."""
        check_list(call, list_id)
        row = await self._contacts.get(f"/internal/lists/{list_id}", ListRow)
        if row is None or row.account_id != call.account_id or row.closed:
            raise UnknownList(
                "no such list",
                faults=[Fault("/options/list", "list.unknown", "this account has no such list")],
            )
        custom = tuple(Field(one.name, one.type, True, one.values, one.key) for one in row.fields)
        return ListFacts(row.key_kind, row.default_country, custom)


def source_of(opened: Opened) -> Source:
    """How the file came. A table's encoding and delimiter are those of its plain form."""
    table = opened.kind != Kind.CSV
    return Source(
        opened.kind,
        opened.packed,
        opened.sheet,
        opened.encoding if table else None,
        opened.delimiter if table else None,
        opened.first_line,
    )
