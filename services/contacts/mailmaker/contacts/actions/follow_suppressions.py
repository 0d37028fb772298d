"""contacts.actions.follow_suppressions: follows suppression's feed, and lowers the consent of whom a "no" names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.contacts import ContactChange, ContactsChanged
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import FeedItem, FeedPage
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable, Transaction
from mailmaker.common.web.internal import Unreachable
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import NOS, hexed, no_for
from mailmaker.contacts.actions.waiting import woken
from mailmaker.contacts.domain.consent import withdraws
from mailmaker.contacts.storage import merges, nos, withdrawals

PAUSE = 1.0
CONTACT = b"c"
"""First byte of a contact's suppression key (common.mail.subjects)."""


class FollowSuppressions:
    """A worker. Any number may run: the position's row lets one batch be applied at a time, each number once."""

    name = "follow_suppressions"

    def __init__(self, house: Contacts) -> None:
        self._house = house

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Nothing here is in the way of a "no": dispatch follows the feed by itself."""
        log = logger("contacts.actions")
        while not stop.is_set():
            try:
                if await self.step():
                    continue
            except (Unreachable, StorageUnavailable) as wrong:
                log.info("feed not followed", reason=str(wrong))
            await woken(stop, self._house.feed_waits, PAUSE)

    async def catch_up(self) -> None:
        """Applies the feed up to the head it has now. Raises Unreachable when suppression does not answer."""
        page = await self._pull()
        head = page.head
        while True:
            await self._apply(page)
            if not page.items or page.items[-1].number >= head:
                return
            page = await self._pull()

    async def step(self) -> bool:
        """One page. True when it held something."""
        page = await self._pull()
        await self._apply(page)
        return bool(page.items)

    async def _pull(self) -> FeedPage:
        async with self._house.db.platform() as tx:
            after = await nos.position(tx)
        return await self._house.feed.pull(after, wait=0.0)

    async def _apply(self, page: FeedPage) -> None:
        """Applies what is above the position when its row is held: another process may have been faster."""
        if not page.items:
            return
        async with self._house.db.platform() as tx:
            at = await nos.position(tx, lock=True)
            items = [item for item in page.items if item.number > at]
            if not items or items[0].number != at + 1:
                return
            by_account: dict[UUID, list[FeedItem]] = {}
            for item in items:
                by_account.setdefault(item.account_id, []).append(item)
            now = self._house.clock.now()
            for account_id, some in sorted(by_account.items()):
                await apply_items(tx, account_id, some, now)
            await nos.advance(tx, items[-1].number)


async def apply_items(tx: Transaction, account_id: UUID, items: Sequence[FeedItem], now: datetime) -> None:
    """Keeps the "no"s and lowers consents; a released "no" gives back what it took, where no other stands."""
    await nos.alone(tx, account_id)
    await nos.keep(tx, account_id, items)
    touched: list[withdrawals.Touched] = []
    for channel in ("email", "sms"):
        of_channel = [item for item in items if item.channel == channel and withdraws(item.reason)]
        released = {item.suppression_id for item in of_channel if item.released}
        touched += await withdrawals.withdraw(
            tx, account_id, channel, [i for i in of_channel if i.suppression_id not in released], now
        )
        touched += await withdrawals.restore(
            tx, account_id, channel, [i for i in of_channel if i.released], now
        )
    await _tell_heirs(tx, account_id, items)
    by_list: dict[UUID, dict[UUID, ContactChange]] = {}
    for one in touched:
        by_list.setdefault(one.list_id, {})[one.contact_id] = ContactChange(
            contact_id=one.contact_id,
            email_key=hexed(one.email_key),
            mobile_key=hexed(one.mobile_key),
            email_consent=one.email_consent,
            sms_consent=one.sms_consent,
            version=one.version,
        )
    for list_id, changes in by_list.items():
        changed = list(changes.values())
        for i in range(0, len(changed), CHUNK):
            tx.stage(
                ContactsChanged(
                    account_id=account_id,
                    occurred_at=now,
                    list_id=list_id,
                    contacts=tuple(changed[i : i + CHUNK]),
                )
            )


async def _tell_heirs(tx: Transaction, account_id: UUID, items: Sequence[FeedItem]) -> None:
    """A "no" that names a record which has become part of another one, and does not name that one, was said before the
    merge was known: suppression hears it for the record that stayed."""
    said = [
        (item, one)
        for item in items
        if withdraws(item.reason) and not item.released
        for one in _contacts(item)
    ]
    became = await merges.merged_into(tx, account_id, [one for _, one in said]) if said else {}
    for item, one in said:
        heirs = became.get(one)
        if heirs and heirs[-1] not in _contacts(item):
            tx.hand_over("suppression", NOS, no_for(item, heirs[-1]), account_id=account_id)


def _contacts(item: FeedItem) -> list[UUID]:
    """The contacts that the item names by their ids."""
    found = (bytes.fromhex(subject) for subject in item.subjects)
    return [UUID(bytes=subject[1:]) for subject in found if subject[:1] == CONTACT]
