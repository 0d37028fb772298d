"""ingest.actions.pgp: an account's key for encrypted files: made on demand, kept sealed, used where a file needs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.seal import Seal, Unsealable
from mailmaker.common.web.call import Call
from mailmaker.ingest.actions.drop_shapes import PgpKeyView
from mailmaker.ingest.actions.drops import allowed
from mailmaker.ingest.errors import BadFile, NoSeal
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.pgp import decrypt
from mailmaker.ingest.readers.pgp_pair import new_pair
from mailmaker.ingest.storage import drops as drops_store
from mailmaker.ingest.storage import pgp_keys as store

PURPOSE = "pgp keys v1"


class PgpKeys:
    """Every account's keys. Without a seal there are none, and encrypted files are refused with `file.encrypted`."""

    def __init__(self, db: Database, seal: Seal | None) -> None:
        self._db = db
        self._seal = seal

    async def key_for(self, call: Call, drop_id: UUID, *, renew: bool) -> PgpKeyView:
        """The account's public key, made when there is none, or when it is to be renewed: the keys before still open
        files. Raises UnknownDrop, NoSeal."""
        if self._seal is None:
            raise NoSeal("encrypted files are not taken here")
        made = await asyncio.to_thread(new_pair, f"Mail-Maker account {call.account_number}")
        async with self._db.write(call, "pgp_key.made") as tx:
            if (first := tx.replayed(PgpKeyView)) is not None:
                return first
            allowed(call, await drops_store.one(tx, call.account_id, drop_id))
            await store.lock(tx, call.account_id)
            known = await store.of_account(tx, call.account_id)
            if known and not renew:
                key = known[0]
            else:
                key_id = new_id()
                sealed = self._seal.close(made.private_key, call.account_id, key_id)
                key = await store.add(tx, call.account_id, key_id, made.fingerprint, made.public_key, sealed)
            tx.subject(key.id)
            return await tx.keep(
                PgpKeyView(fingerprint=key.fingerprint, public_key=key.public_key, created_at=key.created_at)
            )

    async def open(self, account_id: UUID, source: Path, target: Path, most: int) -> None:
        """Writes what an encrypted file holds. Raises BadFile."""
        async with self._db.account(account_id) as tx:
            known = await store.of_account(tx, account_id)
        if self._seal is None or not known:
            detail = "the file is encrypted and the account has no key: POST /v1/drops/{id}:pgp-key makes one"
            raise BadFile(detail, code="file.encrypted")
        try:
            keys = [self._seal.open(key.sealed_key, account_id, key.id) for key in known]
            await decrypt(source, target, keys, most)
        except Unsealable as wrong:
            raise BadFile("the account's keys cannot be opened", code="file.encrypted") from wrong
        except Unreadable as wrong:
            raise BadFile(wrong.detail, code=wrong.code) from wrong
