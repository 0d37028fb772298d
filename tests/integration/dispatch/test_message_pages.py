"""tests: the messages of a mailing, page by page: every one once, in order, and a page reads no more than itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dispatch_street import Person, Street
from mailmaker.dispatch.actions.read import message_page
from mailmaker.dispatch.storage import messages

PEOPLE = 3_000
LIMIT = 100


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


async def test_every_message_is_on_one_page(street: Street) -> None:
    people = [Person(f"p{number}@x.test") for number in range(PEOPLE // 10)]
    people += [Person(f"q{number}@x.test", consent="unsubscribed") for number in range(PEOPLE // 10)]
    made = await street.mailing(street.contacts.open_list(people))
    found, cursor = [], None
    while True:
        page = await message_page(street.db, street.account_id, made.id, None, LIMIT, cursor)
        found += [(item.state, item.id) for item in page.items]
        if (cursor := page.next) is None:
            break
    assert len(found) == len(set(found)) == len(people)
    assert found == sorted(found)
    assert len({state for state, _ in found}) == 2, "who has not consented is there too, with its own state"


async def test_a_page_reads_no_more_than_itself(street: Street) -> None:
    """With every state asked for, as without: the whole mailing was sorted for each page once."""
    made = await street.mailing(
        street.contacts.open_list([Person(f"p{number}@x.test") for number in range(PEOPLE)])
    )
    page = await message_page(street.db, street.account_id, made.id, "queued", LIMIT, None)
    last = page.items[-1]
    for states in (["queued"], ["claimed", "delivered", "queued", "sending"]):
        async with street.db.account(street.account_id) as tx:
            (row,) = await tx.driver.fetch(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {messages._OF_MAILING}",
                *(street.account_id, made.id, states, "queued", last.id, LIMIT),
            )
        plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
        read = max(node["Actual Rows"] for node in nodes(plan[0]["Plan"]))
        assert read <= LIMIT
