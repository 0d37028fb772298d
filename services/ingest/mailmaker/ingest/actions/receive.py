"""ingest.actions.receive: takes a file: on disk and looked at before it is acknowledged."""

from __future__ import annotations

import asyncio
from uuid import UUID

from mailmaker.common.contracts.internal import ListRow
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.auth import check_list
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.domain.imports import ListFacts, Options, Upload
from mailmaker.ingest.domain.mapping import WrongColumns
from mailmaker.ingest.errors import BadFile, UnknownList, UploadTooLarge
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.opening import Wishes, look
from mailmaker.ingest.readers.scan import Scan, Scanned
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files, Incoming

_WRITE_SIZE = 1 << 20


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

    async def keep(self) -> None:
        """Gives the file its name."""
        await asyncio.to_thread(self.incoming.keep)

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

    def __init__(self, db: Database, contacts: InternalClient, clock: Clock, wake: asyncio.Event) -> None:
        self._db = db
        self._contacts = contacts
        self._clock = clock
        self._wake = wake

    async def receive(
        self, call: Call, arrival: Arrival, scanned: Scanned, options: Options, name: str
    ) -> ImportView:
        """What can be refused by the file's head is refused here; rows are judged while they are read."""
        about = await self._list(call, options.list_id)
        await asyncio.to_thread(_look, arrival, scanned, options, about)
        upload = Upload(name, scanned.size, scanned.sha256, scanned.line_ends, scanned.not_utf8_at)
        async with self._db.write(call, "import.received") as tx:
            if (first := tx.replayed(ImportView)) is not None:
                await arrival.discard()
                return first
            # Named before the row is committed: a row without its file would be a promise that nothing keeps.
            await arrival.keep()
            made = await store.add(tx, call.account_id, arrival.id, options, about, upload, self._clock.now())
            tx.subject(made.id)
            answer = await tx.keep(view(made))
        self._wake.set()
        return answer

    async def _list(self, call: Call, list_id: UUID) -> ListFacts:
        check_list(call, list_id)
        row = await self._contacts.get(f"/internal/lists/{list_id}", ListRow)
        if row is None or row.account_id != call.account_id or row.closed:
            raise UnknownList(
                "no such list",
                faults=[Fault("/options/list", "list.unknown", "this account has no such list")],
            )
        custom = tuple(Field(one.name, one.type, True, one.values, one.key) for one in row.fields)
        return ListFacts(row.key_kind, row.default_country, custom)


def _look(arrival: Arrival, scanned: Scanned, options: Options, about: ListFacts) -> None:
    """Raises BadFile for a file whose head already shows that it cannot be imported."""
    wishes = Wishes(about.key, about.custom, options.mapping, options.encoding, options.delimiter)
    try:
        with open(arrival.incoming.path, "rb") as file:
            look(file, wishes, scanned.not_utf8_at)
    except Unreadable as wrong:
        raise BadFile(
            wrong.detail, code=wrong.code, faults=[Fault("/file", wrong.code, wrong.detail)]
        ) from wrong
    except WrongColumns as wrong:
        faults = [Fault(f.pointer, f.code, f.detail) for f in wrong.faults]
        raise BadFile(str(wrong), code=faults[0].code, faults=faults) from wrong
    if scanned.line_ends <= 1:
        detail = "the file has a header and no rows"
        raise BadFile(detail, code="file.no_rows", faults=[Fault("/file", "file.no_rows", detail)])
