"""contacts.actions.tell_imports: what the other houses hear of an import: its contacts, and how it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mailmaker.common.contracts.contacts import (
    ContactChange,
    ContactsChanged,
    ContactsRemoved,
    ImportQuarantined,
)
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import ImportProgress
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.actions.hear_imports import progress_path
from mailmaker.contacts.actions.tell import hexed
from mailmaker.contacts.domain.guards import Guarded
from mailmaker.contacts.domain.plans import Counts, Plan
from mailmaker.contacts.storage import planning, plans
from pydantic import Field


def report(
    tx: Transaction,
    plan: Plan,
    state: str,
    counts: Mapping[str, int],
    at: datetime,
    error: tuple[str, str] | None = None,
) -> None:
    """Tells ingest, and so the client, where the import stands now."""
    code, detail = error or (None, None)
    rows = counts.get("rows", 0)
    tx.hand_over(
        "ingest",
        progress_path(plan.import_id),
        ImportProgress.model_validate(
            {
                "import_id": plan.import_id,
                "account_id": plan.account_id,
                "state": state,
                "counts": dict(counts),
                "done": rows,
                "total": rows,
                "error_code": code,
                "error_detail": detail,
                "holds_lines": state == "applied",
                "at": at,
            }
        ),
    )


async def held_back(tx: Transaction, plan: Plan, why: Guarded, counts: Counts, at: datetime) -> None:
    """Settles a plan that a guard stops and tells ingest; of one that waits for somebody's word hears also whoever
    tells the list's data controller."""
    error = (why.code, why.detail)
    await plans.settle(tx, plan, why.state, counts, at, error)
    report(tx, plan, why.state, counts.named(), at, error)
    if why.state == "quarantined":
        tx.stage(
            ImportQuarantined(
                account_id=plan.account_id,
                occurred_at=at,
                list_id=plan.list_id,
                import_id=plan.import_id,
                code=why.code,
                detail=why.detail,
                counts=counts.named(),
                quarantined_at=at,
            )
        )


class WrittenContacts(ContactsChanged):
    """contacts.changed of contacts that PostgreSQL has put into JSON already: of a million, Python would make a million
    objects first, in five times the time."""

    members: str = Field(exclude=True, repr=False)

    def encode(self) -> bytes:
        return super().encode().replace(b'"contacts":[]', f'"contacts":[{self.members}]'.encode())


async def tell(tx: Transaction, plan: Plan, at: datetime, *, removes: bool) -> None:
    """Stages contacts.changed and contacts.removed. Chunks are written out one by one: a file may have a million rows."""
    about = {"account_id": plan.account_id, "occurred_at": at, "list_id": plan.list_id}
    async for rows in planning.written(tx, CHUNK):
        tx.stage(WrittenContacts.model_validate({**about, "contacts": (), "members": ",".join(rows)}))
        await tx.write_staged()
    if removes:
        async for ids in planning.removed(tx, CHUNK):
            tx.stage(ContactsRemoved.model_validate({**about, "contact_ids": ids}))


def changes_of(rows: Sequence[Any]) -> list[ContactChange]:
    """Contacts as events tell of them."""
    return [
        ContactChange(
            contact_id=r["id"],
            email_key=hexed(r["email_key"]),
            mobile_key=hexed(r["mobile_key"]),
            email_consent=r["email_consent"],
            sms_consent=r["sms_consent"],
            version=r["version"],
        )
        for r in rows
    ]
