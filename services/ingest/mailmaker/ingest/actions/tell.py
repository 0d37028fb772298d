"""ingest.actions.tell: puts the result of a dropped file where its client finds it: `reports/NAME.<time>.json`."""

from __future__ import annotations

import asyncio
import json

from mailmaker.common.storage.engine import Database
from mailmaker.ingest.actions.views import view
from mailmaker.ingest.domain.drops import Drop, Taken, TakenState
from mailmaker.ingest.domain.imports import Import, State
from mailmaker.ingest.domain.paths import Folder
from mailmaker.ingest.storage import drop_files, inbox_taking
from mailmaker.ingest.storage import imports as imports_store
from mailmaker.ingest.storage.files import Files
from mailmaker.ingest.storage.inboxes import Inbox

ENDED = frozenset((State.APPLIED, State.UNDONE, State.FAILED, State.REJECTED, State.CANCELLED))


class Teller:
    """Writes reports. A quarantined import is told of at once, and again when it has ended."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    async def tell(self, drop: Drop, inbox: Inbox, taken: Taken, state: str | None) -> None:
        """Tells what there is to tell. `state`: the import's, where it is known."""
        if taken.state is TakenState.REJECTED:
            await self._put(inbox, taken, _report(drop, taken, None), ".json")
            await self._told(taken, "ended")
        elif taken.import_id is not None and state in ENDED:
            await self._tell_of(drop, inbox, taken, "ended", ".json")
        elif taken.import_id is not None and state == State.QUARANTINED and taken.told is None:
            await self._tell_of(drop, inbox, taken, "quarantined", ".quarantined.json")

    async def _tell_of(self, drop: Drop, inbox: Inbox, taken: Taken, what: str, ending: str) -> None:
        assert taken.import_id is not None
        async with self._db.account(taken.account_id) as tx:
            of = await imports_store.one(tx, taken.account_id, taken.import_id)
        if of is None:
            await self._told(taken, "ended")
            return
        report = _report(drop, taken, of)
        rejects = self._files.rejects(of.id)
        if (of.counts.get("rejected") or of.counts.get("duplicate")) and rejects.exists():
            await asyncio.to_thread(inbox_taking.put_report, inbox, taken, ".rejects.csv", rejects)
            report["rejects"] = f"{Folder.REPORTS}/{inbox_taking.archived_name(taken)}.rejects.csv"
        await self._put(inbox, taken, report, ending)
        await self._told(taken, what)

    async def _put(self, inbox: Inbox, taken: Taken, report: dict[str, object], ending: str) -> None:
        content = json.dumps(report, indent=2, ensure_ascii=False).encode() + b"\n"
        await asyncio.to_thread(inbox_taking.put_report, inbox, taken, ending, content)

    async def _told(self, taken: Taken, what: str) -> None:
        async with self._db.account(taken.account_id) as tx:
            await drop_files.told(tx, taken, what)


def _report(drop: Drop, taken: Taken, of: Import | None) -> dict[str, object]:
    """What GET /v1/imports/{id} says, as a file; of a file that no import was made of, why."""
    folder = Folder.DONE if of is not None else Folder.REJECTED
    report: dict[str, object] = {
        "file": taken.name,
        "size": taken.size,
        "taken_at": taken.taken_at.isoformat(),
        "drop": str(drop.id),
        "archived": f"{folder}/{inbox_taking.archived_name(taken)}",
        "rejects": None,
    }
    if of is None:
        error = {"code": taken.error_code, "detail": taken.error_detail}
        return report | {"import": None, "state": "rejected", "error": error, "counts": {}}
    shown = view(of).model_dump(mode="json")
    names = ("list", "mode", "state", "error", "counts", "plan_url", "rejects_url", "same_as")
    return report | {"import": str(of.id)} | {name: shown[name] for name in names}
