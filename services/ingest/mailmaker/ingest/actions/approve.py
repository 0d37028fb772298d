"""ingest.actions.approve: passes on somebody's word that a plan may be applied."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient, Refused
from mailmaker.ingest.actions.show import allowed
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.imports import Import, State
from mailmaker.ingest.errors import WrongState
from mailmaker.ingest.storage import imports as store
from pydantic import BaseModel

_WAITING = frozenset((State.PLANNED, State.QUARANTINED))


class Word(BaseModel):
    """Nothing but the word."""


async def approve_import(db: Database, contacts: InternalClient, call: Call, import_id: UUID) -> ImportView:
    """contacts applies it from here; the state moves when it has. An approved import may be approved again.

    Raises WrongState where nothing waits for that word, Unreachable when contacts does not answer.
    """
    of = await seen(db, call, import_id)
    if of.state is not State.APPLIED:
        if of.state not in _WAITING:
            raise WrongState(f"a {of.state} import does not wait for approval")
        path = f"/internal/accounts/{call.account_id}/imports/{import_id}:approve"
        try:
            await contacts.post(path, Word())
        except Refused as wrong:
            # It was approved before, or has just been applied: the word has been heard then.
            of = await seen(db, call, import_id)
            if of.state not in (*_WAITING, State.APPLIED):
                raise WrongState(f"a {of.state} import does not wait for approval") from wrong
    async with db.write(call, "import.approved") as tx:
        if (first := tx.replayed(ImportView)) is not None:
            return first
        tx.subject(import_id)
        return await tx.keep(view(allowed(call, await store.one(tx, call.account_id, import_id))))


async def seen(db: Database, call: Call, import_id: UUID) -> Import:
    """The import as it stands. Raises UnknownImport."""
    async with db.account(call.account_id) as tx:
        return allowed(call, await store.one(tx, call.account_id, import_id))
