"""contacts.actions.apply_import: plans a staged file and applies it, in one transaction: the old list or the new one."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.contacts import (
    ContactChange,
    ContactsChanged,
    ContactsRemoved,
    ImportApplied,
    ImportPlanned,
)
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import ImportProgress
from mailmaker.common.mail.subjects import address_subject
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.hear_imports import progress_path
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import hexed
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys
from mailmaker.contacts.domain.plans import Counts, Plan, consent_after, counted, guard
from mailmaker.contacts.domain.protection import keys_for
from mailmaker.contacts.storage import lists, nos, plans

KEYED_AT_ONCE = 1_000
"""Few enough that the doors of this process are not kept waiting while keys are computed."""
LOCK_WAIT = 600.0


async def apply_import(
    house: Contacts, follow: FollowSuppressions, account_id: UUID, import_id: UUID
) -> bool:
    """Takes one import as far as it may go. False when another process has it.

    Raises Unreachable when ingest or suppression do not answer: nothing has happened then, and it is tried again.
    """
    # A "no" said before the file came must protect its row; one said later waits for our lock and meets the new row.
    await follow.catch_up()
    async with house.db.account(account_id) as tx:
        plan = await plans.take(tx, account_id, import_id)
        if plan is None:
            return False
        async with _ingest(house, plan, "outline") as source:
            received = await plans.receive_outline(tx, source)
        await nos.share(tx, account_id)
        applies = plan.options.apply == "auto" or plan.state == "approved"
        if applies:
            await lists.stop_writes(tx, plan.list_id, wait=LOCK_WAIT)
        received -= await _compare(house, tx, plan)
        await _key(house, tx, plan)
        counts = counted(plan.options, received=received, **await plans.counts(tx))
        await _conclude(house, tx, plan, counts, applies=applies)
    return True


def _ingest(
    house: Contacts, plan: Plan, what: str, content: bytes | None = None
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    path = f"/internal/imports/{plan.import_id}/{what}"
    return house.ingest.stream(path, {"account": str(plan.account_id)}, content=content)


async def _compare(house: Contacts, tx: Transaction, plan: Plan) -> int:
    """Pulls the rows that the list does not hold as they are, and finds what they change. Returns how many of them did
    not come: the counts of such a plan do not add up, and it fails."""
    unmatched = await plans.match(tx, plan)
    missing = 0
    if unmatched.rows:
        places, asked = None, plan.options.staged
        if unmatched.few_of(plan.options.staged):
            found = await plans.places(tx)
            places, asked = struct.pack(f"<{len(found)}q", *found), len(found)
        async with _ingest(house, plan, "staged", places) as source:
            missing = max(0, asked - await plans.receive_rows(tx, source))
    await plans.compare(tx, plan, unmatched)
    return missing


async def _conclude(house: Contacts, tx: Transaction, plan: Plan, counts: Counts, *, applies: bool) -> None:
    now = house.clock.now()
    guarded = guard(
        counts, plan.options, in_list=await plans.in_list(tx, plan) if plan.options.mode == "full" else 0
    )
    if guarded is not None and not (guarded.state == "quarantined" and plan.state == "approved"):
        if plan.state == "staged" and guarded.state == "quarantined":
            await plans.keep_rows(tx, plan, applied=False)
        await plans.settle(tx, plan, guarded.state, counts, now, (guarded.code, guarded.detail))
        _report(tx, plan, guarded.state, counts, now, (guarded.code, guarded.detail))
        return
    if plan.state == "staged":
        tx.stage(
            ImportPlanned(
                account_id=plan.account_id,
                occurred_at=now,
                list_id=plan.list_id,
                import_id=plan.import_id,
                counts=counts.named(),
            )
        )
    await plans.keep_rows(tx, plan, applied=applies)
    if not applies:
        await plans.settle(tx, plan, "planned", counts, now)
        _report(tx, plan, "planned", counts, now)
        return
    await plans.write(tx, plan, now)
    await _tell(tx, plan, now)
    tx.stage(
        ImportApplied(
            account_id=plan.account_id,
            occurred_at=now,
            list_id=plan.list_id,
            import_id=plan.import_id,
            counts=counts.named(),
            applied_at=now,
        )
    )
    await plans.settle(tx, plan, "applied", counts, now)
    _report(tx, plan, "applied", counts, now)


def _report(
    tx: Transaction, plan: Plan, state: str, counts: Counts, at: Any, error: tuple[str, str] | None = None
) -> None:
    code, detail = error or (None, None)
    tx.hand_over(
        "ingest",
        progress_path(plan.import_id),
        ImportProgress.model_validate(
            {
                "import_id": plan.import_id,
                "account_id": plan.account_id,
                "state": state,
                "counts": counts.named(),
                "done": counts.rows,
                "total": counts.rows,
                "error_code": code,
                "error_detail": detail,
                "at": at,
            }
        ),
    )


async def _key(house: Contacts, tx: Transaction, plan: Plan) -> None:
    """Gives rows with a new address or key their hashes, their consents, and new contacts their ids."""
    async for chunk in plans.to_key(tx, KEYED_AT_ONCE):
        keys = [
            keys_for(house.pepper, plan.account_id, plan.list_id, r["email"], r["mobile"], r["fkey"])
            for r in chunk
        ]
        asked = [s for k in keys for s in _address_subjects(plan.list_id, k)]
        said = frozenset(await nos.standing(tx, plan.account_id, plan.list_id, asked))
        await plans.keyed(tx, [_record(plan, row, k, said) for row, k in zip(chunk, keys, strict=True)])


def _address_subjects(list_id: UUID, k: AddressKeys) -> list[bytes]:
    found = [address_subject(key) for key in (k.email, k.mobile) if key]
    return [*found, b"f" + list_id.bytes + k.fkey] if k.fkey else found


def _record(
    plan: Plan, row: dict[str, Any], k: AddressKeys, said: frozenset[tuple[str, bytes]]
) -> tuple[object, ...]:
    met: dict[str, bool] = {"email": False, "sms": False}
    if said:
        for channel, key in (("email", k.email), ("sms", k.mobile)):
            met[channel] = (key is not None and (channel, address_subject(key)) in said) or (
                k.fkey is not None and (channel, b"f" + plan.list_id.bytes + k.fkey) in said
            )
    consents = [
        consent_after(Consent(row[was]) if row[was] else None, plan.options, meets_a_no=met[channel])
        for channel, was in (("email", "email_before"), ("sms", "sms_before"))
    ]
    return (
        row["line"],
        row["contact_id"] or new_id(),
        k.email,
        k.mobile,
        k.fkey,
        str(consents[0]),
        str(consents[1]),
        met["email"] or met["sms"],
    )


async def _tell(tx: Transaction, plan: Plan, at: Any) -> None:
    """Stages contacts.changed and contacts.removed. Chunks are written out one by one: a file may have a million rows."""
    about = {"account_id": plan.account_id, "occurred_at": at, "list_id": plan.list_id}
    async for rows in plans.written(tx, plan, at, CHUNK):
        tx.stage(ContactsChanged.model_validate({**about, "contacts": _changes(rows)}))
        await tx.write_staged()
    if plan.options.mode == "full":
        async for ids in plans.removed(tx, CHUNK):
            tx.stage(ContactsRemoved.model_validate({**about, "contact_ids": ids}))


def _changes(rows: Sequence[Any]) -> list[ContactChange]:
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
