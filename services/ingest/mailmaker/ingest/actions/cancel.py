"""ingest.actions.cancel: takes an import back before it is applied."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.contracts.imports import ImportCancelled
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.ingest.actions.show import allowed
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.imports import CANCELLABLE, State
from mailmaker.ingest.errors import WrongState
from mailmaker.ingest.storage import imports as store


async def cancel_import(db: Database, clock: Clock, call: Call, import_id: UUID) -> ImportView:
    """Cancels; a reader at work loses its lease and stops. Cancelling twice answers the same. Raises WrongState."""
    async with db.write(call, "import.cancelled") as tx:
        if (first := tx.replayed(ImportView)) is not None:
            return first
        of = allowed(call, await store.one(tx, call.account_id, import_id, lock=True))
        tx.subject(of.id)
        if of.state is State.CANCELLED:
            return await tx.keep(view(of))
        if of.state not in CANCELLABLE:
            raise WrongState(f"a {of.state} import cannot be cancelled")
        now = await store.set_state(tx, of, State.CANCELLED)
        tx.stage(
            ImportCancelled(
                account_id=of.account_id,
                occurred_at=clock.now(),
                import_id=of.id,
                list_id=of.options.list_id,
            )
        )
        return await tx.keep(view(now))
