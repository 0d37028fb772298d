"""contacts.actions.hear_imports: takes note of a staged file, of its approval, of its cancellation."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

from mailmaker.common.contracts.imports import ImportCancelled, ImportGuards, ImportStaged
from mailmaker.common.contracts.internal import ImportProgress
from mailmaker.common.storage.engine import Heard
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import Basis, Limits, Mode, Options, Plan
from mailmaker.contacts.storage import lists, plans


async def hear_staged(house: Contacts, event: ImportStaged, heard: Heard) -> None:
    """A file waits at ingest: plan it. Hearing it twice changes nothing."""
    async with house.db.heard(heard, event.account_id) as tx:
        it = await lists.one(tx, event.account_id, event.list_id)
        fault = _fault(event, known=it is not None and not it.closed)
        if fault is not None:
            tx.hand_over(
                "ingest",
                progress_path(event.import_id),
                ImportProgress(
                    import_id=event.import_id,
                    account_id=event.account_id,
                    state="failed",
                    error_code=fault[0],
                    error_detail=fault[1],
                    at=house.clock.now(),
                ),
            )
            return
        await plans.insert(
            tx, Plan(event.account_id, event.import_id, event.list_id, _options(event), "staged")
        )
    house.import_waits.set()


def _fault(event: ImportStaged, *, known: bool) -> tuple[str, str] | None:
    if not known:
        return "list.unknown", "no such list, or it was closed since"
    if event.mode not in get_args(Mode):
        return "mode.unsupported", f"imports are {', '.join(get_args(Mode))}"
    return None


def _options(event: ImportStaged) -> Options:
    return Options(
        mode=event.mode,
        fields=event.fields,
        empty_cells=event.empty_cells,
        consent=Consent(event.consent),
        rows=event.rows,
        rejected=event.rejected,
        duplicate=event.duplicate,
        staged=event.staged,
        apply=event.apply,
        empty_by_field=event.empty_cells_by_field,
        limits=_limits(event.guards),
        findings=tuple((found.code, found.detail) for found in event.findings),
        named=event.named,
        scope=event.scope,
        channel=event.channel,
        received_at=event.received_at,
        sent_by=event.sent_by,
        basis=_basis(event),
        key_column=event.key_column,
        profile_id=event.profile_id,
        by_line=event.by_line,
    )


def _basis(event: ImportStaged) -> Basis | None:
    """Cancellations are lifted where that is asked for with a reason, and by somebody: else they are protected."""
    said = event.lawful_basis
    if event.protect_cancellations or said is None or event.sent_by is None or event.received_at is None:
        return None
    return Basis(said.text, said.consented_at)


def _limits(guards: ImportGuards | None) -> Limits:
    if guards is None:
        return Limits()
    return Limits(
        guards.max_removed_percent,
        guards.max_dropped_percent,
        guards.max_rejected_percent,
        guards.min_contacts,
        guards.key_changed,
    )


async def hear_cancelled(house: Contacts, event: ImportCancelled, heard: Heard) -> None:
    """The client took an import back: nothing of it is applied any more, unless it has been."""
    async with house.db.heard(heard, event.account_id) as tx:
        await plans.cancel(tx, event.account_id, event.import_id)


async def approve(house: Contacts, account_id: UUID, import_id: UUID) -> bool:
    """Somebody has seen the plan and wants it applied. False where nothing waits for that word."""
    async with house.db.account(account_id) as tx:
        done = await plans.approve(tx, account_id, import_id)
    house.import_waits.set()
    return done


def progress_path(import_id: UUID) -> str:
    """ingest's door for how an import goes on."""
    return f"/internal/imports/{import_id}/progress"
