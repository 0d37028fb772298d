"""contacts.actions.key_rows: hashes and consents for rows with a new address or key, ids for new contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys
from mailmaker.contacts.domain.plans import Plan, consent_after
from mailmaker.contacts.domain.protection import keys_for
from mailmaker.contacts.storage import nos, planning, undos

AT_ONCE = 1_000
"""Few enough that the doors of this process are not kept waiting while keys are computed."""

Row = dict[str, Any]
Said = frozenset[tuple[str, bytes]]


async def key_rows(house: Contacts, tx: Transaction, plan: Plan) -> None:
    """For every row of `changes` that asks for it. A former contact whose address or key has a tombstone stays away."""
    async for chunk in planning.to_key(tx, AT_ONCE):
        keys = [
            keys_for(house.pepper, plan.account_id, plan.list_id, r["email"], r["mobile"], r["fkey"])
            for r in chunk
        ]
        asked = [s for row, k in zip(chunk, keys, strict=True) for s in _subjects(plan.list_id, row, k)]
        said = frozenset(await nos.standing(tx, plan.account_id, plan.list_id, asked))
        gone = await _buried(tx, plan, chunk, keys)
        records = [
            _record(plan, row, k, said) for row, k in zip(chunk, keys, strict=True) if row["line"] not in gone
        ]
        await planning.keyed(tx, records)


async def _buried(tx: Transaction, plan: Plan, chunk: Sequence[Row], keys: Sequence[AddressKeys]) -> set[int]:
    """Lines of former contacts who were erased since."""
    former = {
        row["line"]: frozenset(_subjects(plan.list_id, row, k))
        for row, k in zip(chunk, keys, strict=True)
        if row["former"]
    }
    if not former:
        return set()
    stones = await nos.buried(tx, plan.account_id, [s for subjects in former.values() for s in subjects])
    lines = {line for line, subjects in former.items() if subjects & {subject for _, subject in stones}}
    await undos.leave_buried(tx, sorted(lines))
    return lines


def _subjects(list_id: UUID, row: Row, k: AddressKeys) -> list[bytes]:
    """Every suppression key under which somebody may have said "no" for the row."""
    found = [address_subject(key) for key in (k.email, k.mobile) if key]
    if k.fkey:
        found.append(b"f" + list_id.bytes + k.fkey)
    if row["former"]:
        found.append(contact_subject(row["former"]))
    return found


def _record(plan: Plan, row: Row, k: AddressKeys, said: Said) -> tuple[object, ...]:
    email = _met(plan.list_id, row, k, "email", k.email, said)
    sms = _met(plan.list_id, row, k, "sms", k.mobile, said)
    return (
        row["line"],
        row["contact_id"] or row["former"] or new_id(),
        k.email,
        k.mobile,
        k.fkey,
        str(_consent(plan, row["email_before"], email)),
        str(_consent(plan, row["sms_before"], sms)),
        email or sms,
    )


def _met(list_id: UUID, row: Row, k: AddressKeys, channel: str, key: bytes | None, said: Said) -> bool:
    if not said:
        return False
    own = AddressKeys(email=key, fkey=k.fkey)
    return any((channel, subject) in said for subject in _subjects(list_id, row, own))


def _consent(plan: Plan, before: str | None, met: bool) -> Consent:
    return consent_after(Consent(before) if before else None, plan.options, meets_a_no=met)
