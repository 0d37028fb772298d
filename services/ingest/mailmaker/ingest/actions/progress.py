"""ingest.actions.progress: hears from contacts how an import goes on."""

from __future__ import annotations

from mailmaker.common.contracts.internal import ImportProgress
from mailmaker.common.storage.engine import Database
from mailmaker.ingest.domain.imports import COUNTS, Import, State
from mailmaker.ingest.errors import UnknownImport
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

_OVER = frozenset((State.APPLIED, State.UNDONE))


async def hear_progress(db: Database, files: Files, word: ImportProgress) -> str:
    """Writes contacts' word and answers the state that stands. A repeated or overtaken word changes nothing."""
    async with db.account(word.account_id) as tx:
        of = await store.one(tx, word.account_id, word.import_id, lock=True)
        if of is None:
            raise UnknownImport("no such import")
        if _is_late(of, State(word.state)):
            return of.state
        counts = {name: word.counts[name] for name in COUNTS if name != "rows" and name in word.counts}
        error = (word.error_code, word.error_detail)
        now = await store.heard(
            tx,
            of,
            State(word.state),
            counts,
            word.done,
            word.total,
            error,
            word.at,
            holds_lines=word.holds_lines,
        )
    state = of.state if now is None else now.state
    if state is State.APPLIED:
        # The list holds the rows now; a second copy of people's data has no purpose. Rejects stay for the client.
        await files.forget(word.import_id)
    return state


def _is_late(of: Import, said: State) -> bool:
    """Applied is a fact that nothing takes back here; only that fact overrules a cancellation."""
    if of.state in _OVER:
        return not (of.state is State.APPLIED and said is State.UNDONE)
    return of.state in (State.CANCELLED, State.RECEIVED, State.PARSING) and said is not State.APPLIED
