"""suppression.actions.record_wishes: a client's opt-out system says "no", for one person or a thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from mailmaker.common.mail.address import InvalidAddress
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import Unreachable
from mailmaker.suppression.actions.ask_contacts import AskContacts
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.figures import Figures
from mailmaker.suppression.actions.group_commit import GroupCommit
from mailmaker.suppression.actions.record import Outcome, publish, write_down
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.domain.wish import ANY_COUNTRY, Wish, Wrong, faults, subject_of, wrong_address
from pydantic import BaseModel


class Kept(BaseModel):
    """One recorded wish; what a repeat of the Idempotency-Key is answered from."""

    id: UUID
    repeated: bool


class KeptAll(BaseModel):
    """One call's recorded wishes, in order."""

    items: list[Kept]


@dataclass(frozen=True, slots=True)
class RecordWishes:
    """The door `api`. Works for a suspended account too: a "no" is always recorded."""

    db: Database
    contacts: AskContacts
    commits: GroupCommit
    bell: Bell
    figures: Figures
    clock: Clock
    pepper: bytes

    async def check(self, call: Call, wishes: Sequence[Wish]) -> list[No | list[Wrong]]:
        """Each wish as a "no", or what is wrong with it, in order."""
        lists: dict[UUID, str | None] = {}
        for list_id in {w.list_id for w in wishes if w.list_id is not None}:
            lists[list_id] = await self._country(call, list_id)
        return [self._check(call, wish, lists) for wish in wishes]

    async def record(self, call: Call, nos: Sequence[No], evidence: Mapping[str, str]) -> list[Outcome]:
        """Records them in one commit, a single one together with those of other calls. Answers after it.

        For a repeated Idempotency-Key the outcomes have no entry of their own making, but say whether the first had.
        """
        said = {**evidence, "key_id": str(call.key_id)}
        nos = [_with(no, said) for no in nos]
        if len(nos) == 1 and call.once is None:
            outcomes = [await self.commits.submit(nos[0], call)]
        else:
            outcomes = await self._together(call, nos)
        for _ in nos:
            self.figures.received("api")
        return outcomes

    async def _together(self, call: Call, nos: Sequence[No]) -> list[Outcome]:
        async with self.db.write(call, "suppression.recorded") as tx:
            if (first := tx.replayed(KeptAll)) is not None:
                return [Outcome(k.id, again=not k.repeated) for k in first.items]
            outcomes, lines = await write_down(tx, nos)
            kept = KeptAll(items=[Kept(id=o.entry, repeated=o.repeated) for o in outcomes])
            tx.subject(kept.items[0].id if len(kept.items) == 1 else f"{len(kept.items)} entries")
            await tx.keep(kept)
            await publish(tx, lines)
        self.bell.ring_feed()
        return outcomes

    def _check(self, call: Call, wish: Wish, lists: Mapping[UUID, str | None]) -> No | list[Wrong]:
        found = faults(wish)
        country = ANY_COUNTRY
        if wish.list_id is not None:
            known = lists[wish.list_id]
            country = known or ANY_COUNTRY
            if known is None:
                found.append(Wrong("list", "list.unknown", "the account has no such list"))
        if found:
            return found
        try:
            named = subject_of(wish, self.pepper, call.account_id, country)
        except InvalidAddress as wrong:
            return [wrong_address(wish, wrong)]
        return No(
            id=new_id(),
            account_id=call.account_id,
            channel=wish.channel,
            scope=wish.scope,
            list_id=wish.list_id if wish.scope == "list" else None,
            named=named,
            door="api",
            reason=wish.reason,
            received_at=wish.received_at or self.clock.now(),
        )

    async def _country(self, call: Call, list_id: UUID) -> str | None:
        """The list's default country; None when the account has no such list. With contacts away the list is believed:
        a "no" about a list that does not exist harms nobody, a lost one does."""
        try:
            row = await self.contacts.list(list_id)
        except Unreachable:
            return ANY_COUNTRY
        return row.default_country if row is not None and row.account_id == call.account_id else None


def _with(no: No, evidence: Mapping[str, str]) -> No:
    return replace(no, evidence={**no.evidence, **evidence})
