"""dispatch.actions: turns a mailing's audience into messages: one pulled stream, one transaction, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time

from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.internal import InternalClient, Refused, Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.dispatch.actions.move_mailing import tell
from mailmaker.dispatch.domain.mailing import Mailing
from mailmaker.dispatch.storage import audience, egress, expansions, mailings
from mailmaker.dispatch.storage.expansions import Attempt

POLL = 0.25
RENEW_EVERY = 5.0
LONGEST_PAUSE = 30.0
GIVE_UP_AFTER = 20
"""Tries refused outright by contacts (never its silence) before the mailing is failed."""


class Overtaken(Exception):
    """Another attempt at this mailing has begun; this one's work is thrown away."""


class Expander:
    """A worker. An attempt that breaks leaves nothing behind: what it copied dies with its transaction."""

    name = "expand"

    def __init__(self, db: Database, contacts: InternalClient, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._contacts = contacts
        self._keyring = keyring
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Expands what is due until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(StorageUnavailable):
                if await self.step():
                    continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL)

    async def step(self) -> bool:
        """Takes one attempt, if one is due, and carries it to its end."""
        async with self._db.platform() as tx:
            attempt = await expansions.take(tx, new_id(), self._keyring.open_accounts())
        if attempt is None:
            return False
        renewing = asyncio.create_task(self._renew(attempt))
        try:
            await self._expand(attempt)
        except (Unreachable, StorageUnavailable, Refused, Overtaken) as wrong:
            await self._give_back(attempt, wrong)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        return True

    async def _expand(self, attempt: Attempt) -> None:
        async with self._db.account(attempt.account_id) as tx:
            mailing = await mailings.one(tx, attempt.account_id, attempt.mailing_id)
        if mailing is None:
            raise Overtaken("the mailing is gone")
        async with (
            self._contacts.stream("/internal/audience", _question(mailing)) as source,
            self._db.account(attempt.account_id) as tx,
        ):
            rows = await audience.stage(tx, source)
            refused = [
                address for address in await audience.unsure_addresses(tx) if not _is_canonical(address)
            ]
            # From here rows are locked: the stream has ended, so nobody waits for another house.
            current = await mailings.one(tx, mailing.account_id, mailing.id, lock=True)
            if current is None or not await expansions.mine(tx, attempt):
                raise Overtaken("another attempt has taken over")
            made = 0
            if current.state in ("running", "scheduled", "paused"):
                now = self._clock.now()
                ways = await egress.of_account(tx, mailing.account_id)
                by_lane = mailing.channel == "email" and ways.by_lane
                base = time.time_ns() // 1_000_000
                made = await audience.expand(tx, current, refused, base, now, by_lane=by_lane)
                if current.state == "scheduled":
                    current = await mailings.move(tx, current, "running", now)
                    await tell(tx, current, now)
            await expansions.done(tx, attempt, made)
        logger("dispatch.actions").info(
            "audience expanded", mailing=str(mailing.id), rows=rows, messages=made
        )

    async def _give_back(self, attempt: Attempt, wrong: Exception) -> None:
        pause = min(0.5 * 2 ** min(attempt.tries, 8), LONGEST_PAUSE)
        log = logger("dispatch.actions")
        log.warning(
            "audience not expanded", mailing=str(attempt.mailing_id), tries=attempt.tries, reason=str(wrong)
        )
        with contextlib.suppress(StorageUnavailable):
            async with self._db.account(attempt.account_id) as tx:
                await expansions.failed(tx, attempt, type(wrong).__name__, pause)
                if not isinstance(wrong, Refused) or attempt.tries < GIVE_UP_AFTER:
                    return
                mailing = await mailings.one(tx, attempt.account_id, attempt.mailing_id, lock=True)
                if mailing is not None and mailing.state in ("running", "scheduled", "paused"):
                    why = "contacts refuses to give this audience"
                    now = self._clock.now()
                    await tell(tx, await mailings.move(tx, mailing, "failed", now, failure=why), now)
                    await expansions.done(tx, attempt, 0)

    async def _renew(self, attempt: Attempt) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            with contextlib.suppress(StorageUnavailable):
                async with self._db.account(attempt.account_id) as tx:
                    await expansions.renew(tx, attempt)


def _question(mailing: Mailing) -> dict[str, str | int | float | list[str]]:
    segment: dict[str, str | int | float | list[str]] = {}
    if mailing.segment_id is not None:
        segment["segment"] = str(mailing.segment_id)
    if mailing.segment_version is not None:
        segment["segment_version"] = mailing.segment_version
    return {
        **segment,
        "account": str(mailing.account_id),
        "mailing": str(mailing.id),
        "channel": mailing.channel,
        "list": [str(list_id) for list_id in mailing.list_ids],
        "fields": ",".join(mailing.fields),
    }


def _is_canonical(address: str) -> bool:
    try:
        return canonical_address(address) == address
    except InvalidAddress:
        return False
