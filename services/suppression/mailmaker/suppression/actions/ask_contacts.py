"""suppression.actions.ask_contacts: whose contact a token names, and which list: asked of the house that owns them."""

from __future__ import annotations

import asyncio
from uuid import UUID

from mailmaker.common.contracts.internal import ContactRow, ListRow, SamePerson
from mailmaker.common.mail.address import Channel
from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.common.web.internal import InternalClient, Refused, Unreachable

TOGETHER = 16
_LISTS = 10_000


class AskContacts:
    """Short questions. Raises Unreachable when contacts does not answer in time."""

    def __init__(self, client: InternalClient, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._lists: dict[UUID, ListRow] = {}
        self._room = asyncio.Semaphore(TOGETHER)

    async def contact(self, contact_id: UUID, timeout: float | None = None) -> ContactRow | None:
        """The contact's list and keys; None when contacts knows no such contact (any more)."""
        try:
            async with asyncio.timeout(timeout or self._timeout), self._room:
                return await self._client.get(
                    f"/internal/contacts/{contact_id}", ContactRow, timeout=timeout or self._timeout
                )
        except (TimeoutError, Refused) as wrong:
            raise Unreachable("contacts does not answer in time") from wrong

    async def list(self, list_id: UUID) -> ListRow | None:
        """The list; None when there is none. What was seen once is remembered if contacts is away."""
        try:
            async with asyncio.timeout(self._timeout):
                row = await self._client.get(f"/internal/lists/{list_id}", ListRow, timeout=self._timeout)
        except (TimeoutError, Refused, Unreachable) as wrong:
            if list_id in self._lists:
                return self._lists[list_id]
            raise Unreachable("contacts does not answer in time") from wrong
        if row is not None:
            if len(self._lists) >= _LISTS:
                self._lists.pop(next(iter(self._lists)))
            self._lists[list_id] = row
        return row


def person_subjects(row: ContactRow, channel: Channel) -> tuple[bytes, ...]:
    """The suppression key of the contact's address on this channel, if it has one. Where its record has become part of
    others, theirs too, with the others themselves: it is one person who says "no"."""
    own = _address(row, channel)
    others = (
        s for one in row.merged_into for s in (contact_subject(one.contact_id), *_address(one, channel))
    )
    return tuple(dict.fromkeys((*own, *others)))


def _address(record: ContactRow | SamePerson, channel: Channel) -> tuple[bytes, ...]:
    key = record.email_key if channel == "email" else record.mobile_key
    return () if key is None else (address_subject(bytes.fromhex(key)),)
