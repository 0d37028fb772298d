"""contacts.actions.key_rows: ids of new contacts, keyed hashes of new addresses and keys, "no"s that they meet."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from mailmaker.common.mail.address import address_keyer, folded
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_ids
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.consent import WITHDRAWING
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage import keying

AT_ONCE = 1_000
"""Few enough that the doors of this process are not kept waiting while keys are computed."""
_HEAD = 5
"""A staged row begins with its line, its key, email, mobile and fkey (plan_sql.STAGED_COLUMNS)."""


async def key_rows(house: Contacts, tx: Transaction, plan: Plan) -> None:
    """For every row of `changes` that asks for it. A former contact whose address or key has a tombstone stays away."""
    keyer = Keyer(house.pepper, plan.account_id)
    async for rows in keying.to_key(tx, AT_ONCE):
        records = [
            (line, known or former or made, *keyer.keys(email or "", mobile or "", fkey or ""))
            for (line, known, former, email, mobile, fkey), made in zip(rows, new_ids(len(rows)), strict=True)
        ]
        await keying.keyed(tx, records)
    await keying.take_keys(tx)
    await keying.leave_buried(tx, plan)
    await keying.meet(tx, plan, sorted(WITHDRAWING))


class Keyer:
    """protection.keys_for() for the rows of one account, many a second."""

    def __init__(self, pepper: bytes, account_id: UUID) -> None:
        self._email = address_keyer(pepper, account_id, "email")
        self._mobile = address_keyer(pepper, account_id, "sms")

    def keys(self, email: str, mobile: str, fkey: str) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The keyed hashes of canonical addresses and of the client's own key; an empty text has none."""
        return (
            self._email(folded(email).encode()) if email else None,
            self._mobile(folded(mobile).encode()) if mobile else None,
            hashlib.sha256(fkey.encode()).digest()[:16] if fkey else None,
        )

    async def made(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Staged rows, each with the id and the keys of the contact that it makes, as COPY takes them."""
        open_line = b""
        async for chunk in source:
            whole, end, rest = chunk.rpartition(b"\n")
            if end:
                yield self._rows((open_line + whole).decode().split("\n"))
                open_line = rest
            else:
                open_line += rest
        if open_line:
            yield self._rows([open_line.decode()])

    def _rows(self, lines: Sequence[str]) -> bytes:
        # A staged row is one line, whatever its cells hold.
        rows = []
        for line, made in zip(lines, new_ids(len(lines)), strict=True):
            _, key, email, mobile, fkey, _ = line.split(",", _HEAD)
            if '"' in key or '"' in fkey:
                _, _, email, mobile, fkey = next(csv.reader([line]))[:_HEAD]
            keys = self.keys(email, mobile, fkey)
            rows.append(f"{line},{made},{_cell(keys[0])},{_cell(keys[1])},{_cell(keys[2])}\n")
        return "".join(rows).encode()


def _cell(key: bytes | None) -> str:
    return "" if key is None else f"\\x{key.hex()}"
