"""20,000 messages through one client, 1 in 1,000 throttled, the link cut 5 times: judged by the SMSC's own ledger."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from mailmaker.dispatch.sms import pdu as p
from mailmaker.dispatch.sms.ends import Accepted, End, Throttled, Unanswered
from mailmaker.dispatch.sms.link import Link
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.receipt import Receipt
from sms_client import message, open_session, terms, until
from smsc import RTHROTTLED, Cut, Smsc, serving

MESSAGES, WINDOW, LANES, TRIES = 20_000, 32, 48, 20
CUTS: dict[int, Cut] = {
    2_001: "before_answer",
    6_001: "after_answer",
    10_001: "between",
    14_001: "half_answer",
    18_001: "unread",
}
STATES = {"DELIVRD": "delivered", "UNDELIV": "undeliverable", "EXPIRED": "expired"}


@dataclass
class Client:
    """As many lanes as a relay has: each takes a message, waits for room, submits, writes down how it ended."""

    smsc: Smsc
    work: deque[int] = field(default_factory=lambda: deque(range(MESSAGES)))
    ends: dict[int, list[End]] = field(default_factory=lambda: defaultdict(list))
    looks: Counter[int] = field(default_factory=Counter)
    keys: dict[str, int] = field(default_factory=dict)
    told: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    unmatched: list[tuple[Receipt, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(1_000_000, time.monotonic, recovery=0.5)
        agreed = terms(WINDOW, answer_within=60, enquire_after=60)
        self.link = Link(
            lambda: open_session(self.smsc, self, agreed, self.pace),  # type: ignore[arg-type]
            first=0.02,
            longest=0.2,
        )

    async def on_receipt(self, receipt: Receipt, about: p.DeliverSm) -> None:
        key = self.keys.get(receipt.message_id)
        if key is None:
            self.unmatched.append((receipt, about.source.number))
        else:
            assert about.source.number == f"39333{key:07d}"
            self.told[key].append(receipt.state)

    async def on_message(self, sm: p.DeliverSm) -> None:
        raise AssertionError("nobody writes to us")

    async def run(self) -> None:
        async with asyncio.timeout(100), asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._lane())

    async def _lane(self) -> None:
        while self.work:
            key = self.work.popleft()
            for _ in range(TRIES):
                end = await self._once(key)
                if isinstance(end, Throttled):
                    await asyncio.sleep(end.after)
                elif not isinstance(end, Unanswered) or end.sent:
                    break
            self.ends[key].append(end)

    async def _once(self, key: int) -> End:
        session = await self.link.session()
        assert session is not None
        await self.pace.turn()
        if not await session.room():
            return Unanswered(False, "no room")
        end = await session.submit(message(b"message %d" % key, key), lambda: self.looks.update([key]))
        if isinstance(end, Accepted):
            assert end.message_id not in self.keys
            self.keys[end.message_id] = key
        return end


async def test_nothing_is_lost_or_doubled() -> None:
    smsc = Smsc(throttle=1_000, early=50, receipts="both", batch=WINDOW // 2, cuts=CUTS)
    async with serving(smsc):
        client = Client(smsc)
        await client.run()
        # What was delivered and not answered at a cut has been delivered again.
        await until(lambda: all(delivery.status.done() for delivery in smsc.reported))
        await client.link.close(10)
        assert smsc.cut == list(CUTS.values())
        assert smsc.binds == len(CUTS) + 1
    judge_messages(client, smsc)
    judge_receipts(client, smsc)


def judge_messages(client: Client, smsc: Smsc) -> None:
    # None is lost: each has one end, and that is a yes or uncertain.
    assert sorted(client.ends) == list(range(MESSAGES))
    assert all(len(ends) == 1 for ends in client.ends.values())
    ends = {key: found[0] for key, found in client.ends.items()}
    accepted = {key: end.message_id for key, end in ends.items() if isinstance(end, Accepted)}
    uncertain = {key for key, end in ends.items() if isinstance(end, Unanswered) and end.sent}
    assert len(accepted) + len(uncertain) == MESSAGES
    # None is doubled: the SMSC accepted each once at most, and what it accepted is a yes or uncertain here.
    taken = Counter(int(entry.short_message.split()[1]) for entry in smsc.accepted)
    assert set(taken.values()) == {1}
    assert set(accepted) <= set(taken) <= set(accepted) | uncertain
    # Each yes is about that very message.
    ids = {int(entry.short_message.split()[1]): str(entry.id) for entry in smsc.accepted}
    assert all(ids[key] == message_id for key, message_id in accepted.items())
    # Only what was on its way at a cut is uncertain, and each cut but the one after an answer leaves something so.
    assert len(CUTS) - 1 <= len(uncertain) <= len(CUTS) * WINDOW
    assert WINDOW // 2 <= smsc.most_unanswered <= WINDOW
    # 1 in 1,000 was throttled and went again, each time after a look (once more, but for an answer lost at a cut).
    throttled = [entry for entry in smsc.ledger if entry.status == RTHROTTLED]
    assert len(throttled) == len(smsc.ledger) // 1_000 >= (MESSAGES - len(CUTS) * WINDOW) // 1_000
    again = Counter(int(entry.short_message.split()[1]) for entry in throttled)
    read = Counter(int(entry.short_message.split()[1]) for entry in smsc.ledger)
    assert all(read[key] == client.looks[key] == 1 + again[key] for key in accepted)
    assert all(read[key] <= client.looks[key] <= 1 + again[key] for key in uncertain)


def judge_receipts(client: Client, smsc: Smsc) -> None:
    by_key = {int(entry.short_message.split()[1]): entry for entry in smsc.accepted}
    by_id = {str(entry.id): entry for entry in smsc.accepted}
    early = {key for key, entry in by_key.items() if entry.early}
    assert len(early) >= len(by_key) // 50
    assert all(delivery.status.result() == 0 for delivery in smsc.reported)
    assert {delivery.entry.id for delivery in smsc.reported if delivery.entry} == {
        e.id for e in smsc.accepted
    }
    # Each yes has its receipt, whether it came before the answer or after it, and never that of another.
    accepted = set(client.keys.values())
    assert set(client.told) == accepted
    assert all(set(said) == {STATES[by_key[key].word]} for key, said in client.told.items())
    assert len(early & accepted) >= len(early) - len(CUTS) * WINDOW
    # A receipt is told as often as it was delivered: again only after a cut that swallowed our answer.
    times = {delivery.entry.id: delivery.times for delivery in smsc.reported if delivery.entry}
    assert all(len(said) <= times[by_key[key].id] for key, said in client.told.items())
    # What matches no yes is about a message the client called uncertain, and names its recipient.
    for receipt, number in client.unmatched:
        entry = by_id[receipt.message_id]
        key = int(entry.short_message.split()[1])
        assert key not in accepted
        assert (number, receipt.state) == (entry.destination, STATES[entry.word])
