"""suppression.actions.hear_token: a "no" by the link of a mail (RFC 8058): recorded, or journaled, before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from mailmaker.common.contracts.internal import AccountRow
from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.internal import Refused, Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import NotFound, Unavailable
from mailmaker.suppression.actions.ask_contacts import AskContacts, person_subjects
from mailmaker.suppression.actions.figures import Figures
from mailmaker.suppression.actions.group_commit import GroupCommit
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.domain.journaled import Journaled
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.storage.journal import Journal


@dataclass(frozen=True, slots=True)
class Answered:
    """What the person may be told. `entry` None: written to the journal, not numbered yet; `made`: made by this click."""

    account_id: UUID | None
    entry: UUID | None
    made: Entry | None = None


@dataclass(frozen=True, slots=True)
class HearToken:
    """The door of unsubscribe links. A valid token is never refused, whatever else is broken."""

    keys: TokenKeys
    keyring: KeyRing
    contacts: AskContacts
    commits: GroupCommit
    journal: Journal
    figures: Figures
    clock: Clock
    record_timeout: float

    def read(self, text: str) -> Token:
        """The token. Raises NotFound, the same for a forged one, one of another purpose, and none at all."""
        token = self.keys.read(Purpose.UNSUBSCRIBE, text)
        if token is None:
            raise NotFound("there is nothing at this path")
        return token

    async def account(self, token: Token) -> AccountRow | None:
        """The token's account. None: it cannot be told now. Raises NotFound when there is no such account."""
        try:
            async with asyncio.timeout(self.record_timeout):
                row = await self.keyring.account_by_number(token.account_number)
        except (Unreachable, Refused, TimeoutError):
            return None
        if row is None:
            raise NotFound("there is nothing at this path")
        return row

    async def hear(
        self, text: str, door: Literal["link", "one_click"], evidence: Mapping[str, str]
    ) -> Answered:
        """Takes the "no". Returns after the commit, or after the journal's fsync."""
        token, received_at, id = self.read(text), self.clock.now(), new_id()
        account = await self.account(token)
        said = Journaled(id, token, door, received_at, dict(evidence))
        if account is not None:
            no = await self._no(said, account.account_id)
            try:
                async with asyncio.timeout(self.record_timeout):
                    outcome = await self.commits.submit(no)
            except (Unavailable, TimeoutError):
                pass  # PostgreSQL does not take it in time: the journal does.
            else:
                self.figures.received(door)
                return Answered(account.account_id, outcome.entry, outcome.made)
        await self.journal.append(said)
        self.figures.received(door)
        return Answered(None if account is None else account.account_id, None)

    async def _no(self, said: Journaled, account_id: UUID) -> No:
        """The "no" with list and address keys if contacts names them now; else by contact id, to be completed."""
        try:
            row = await self.contacts.contact(said.token.contact_id)
        except Unreachable:
            return said.no(account_id)
        if row is None or row.account_id != account_id:
            return said.no(account_id, complete=True)
        return said.no(account_id, row.list_id, person_subjects(row, "email"), complete=True)
