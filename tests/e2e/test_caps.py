"""A cap of one mail a day holds under three simultaneous mailings, and every contact can be told which one won."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import pytest
from e2e_rig import Rig, sample

CONTACTS = 2_000


@pytest.mark.timeout(1800)
async def test_a_cap_is_never_exceeded_and_says_who_won(rig: Rig) -> None:
    list_id, _ = await rig.list_of("capped", sample(CONTACTS, 14, rig.directory))
    policy = {"email": {"day": 1, "window": "rolling", "on_cap": "drop"}}
    await rig.client.send("PUT", f"/v1/lists/{list_id}/cap-policy", policy)
    mailings = [await rig.mailing([list_id], f"capped {number}") for number in range(3)]
    await asyncio.gather(*(rig.start(mailing) for mailing in mailings))
    counts = [await rig.finished(mailing) for mailing in mailings]
    assert [one["planned"] for one in counts] == [CONTACTS] * 3
    assert sum(one["delivered"] for one in counts) == CONTACTS, counts
    assert sum(one["capped"] for one in counts) == 2 * CONTACTS, counts

    received = Counter(
        address.casefold() for one in rig.seen(*mailings) if one.accepted for address in one.recipients
    )
    assert len(received) == CONTACTS
    assert set(received.values()) == {1}

    decisions: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for mailing in mailings:
        for decision in await rig.every("/v1/decisions", mailing=mailing):
            decisions[decision["contact"]][mailing] = decision
    assert len(decisions) == CONTACTS
    numbers = {mailing: number for number, mailing in rig.numbers.items()}
    for contact, by_mailing in decisions.items():
        assert len(by_mailing) == 3, contact
        (winner,) = [mailing for mailing, one in by_mailing.items() if one["verdict"] == "sent"]
        for mailing, one in by_mailing.items():
            if mailing != winner:
                assert (one["verdict"], one["state"]) == ("not_sent", "capped"), one
                told = str(one["detail"]) + one["why"]
                assert winner in told or str(numbers[winner]) in told, (winner, numbers[winner], one)
