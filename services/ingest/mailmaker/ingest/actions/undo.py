"""ingest.actions.undo: passes on somebody's wish to have an applied import taken back."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient, Refused
from mailmaker.ingest.actions.approve import Word, seen
from mailmaker.ingest.actions.show import allowed
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.imports import State
from mailmaker.ingest.errors import OptOutStands, WrongState
from mailmaker.ingest.storage import imports as store


async def undo_import(db: Database, contacts: InternalClient, call: Call, import_id: UUID) -> ImportView:
    """contacts takes it back from here; the state moves when it has. Asking again changes nothing.

    Raises WrongState where nothing was applied, OptOutStands for an opt-out file, Unreachable when contacts does not
    answer.
    """
    of = await seen(db, call, import_id)
    if of.options.mode == "opt_out":
        raise OptOutStands("an opt-out is not taken back by an undo: only the person can")
    if of.state is not State.UNDONE:
        if of.state is not State.APPLIED:
            raise WrongState(f"a {of.state} import cannot be undone: nothing of it is applied")
        try:
            await contacts.post(f"/internal/accounts/{call.account_id}/imports/{import_id}:undo", Word())
        except Refused:
            # It was asked before and is being undone, or has just been.
            of = await seen(db, call, import_id)
    async with db.write(call, "import.undone") as tx:
        if (first := tx.replayed(ImportView)) is not None:
            return first
        tx.subject(import_id)
        return await tx.keep(view(allowed(call, await store.one(tx, call.account_id, import_id))))
