"""integration: an import with a stated lawful basis lifts opt-outs of its own list that are older than it, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import No, NosBatch, Release, ReleasesBatch
from mailmaker.common.mail.address import address_key
from mailmaker.common.storage.ids import new_id
from suppression_house import Door, FakeContacts, bearer, service

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASIS = "They consented again in our shop."


async def say(door: Door, account: UUID, name: str, **more: Any) -> UUID:
    key = address_key(b"p" * 32, account, "email", f"{name}@example.it").hex()
    item = No.model_validate(
        {"id": new_id(), "account_id": account, "door": "link", "reason": "unsubscribe", "address_key": key,
         "received_at": AT} | more
    )  # fmt: skip
    body = NosBatch(items=(item,)).model_dump_json()
    assert (await door.http.post("/internal/nos", content=body, headers=service())).status_code == 200
    return item.id


async def lift(
    door: Door, account: UUID, list_id: UUID, *entries: UUID, not_after: datetime | None = None
) -> set[str]:
    items = tuple(
        Release(
            id=new_id(),
            account_id=account,
            suppression_id=entry,
            list_id=list_id,
            not_after=not_after or datetime.now(UTC),
            basis=BASIS,
            sent_by=new_id(),
            evidence={"import": "i1", "people": "1"},
        )
        for entry in entries
    )
    body = ReleasesBatch(items=items).model_dump_json()
    answer = await door.http.post("/internal/releases", content=body, headers=service())
    assert answer.status_code == 200, answer.text
    return set(answer.json()["released"])


async def test_only_an_opt_out_of_that_list_is_lifted(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    of, other = contacts.list(account), contacts.list(account)
    id_, list_id = account.account_id, of.list_id
    out = await say(door, id_, "out", list_id=list_id)
    stand = [
        await say(door, id_, "elsewhere", list_id=other.list_id),
        await say(door, id_, "everywhere", scope="account"),
        await say(door, id_, "complained", reason="complaint"),
        await say(door, id_, "complained.here", reason="complaint", scope="list", list_id=list_id),
        await say(door, id_, "bounced", reason="hard_bounce"),
        await say(door, id_, "erased", reason="erased"),
        await say(door, id_, "by.hand", reason="manual", scope="list", list_id=list_id),
    ]
    before = len((await door.feed())["items"])
    assert await lift(door, id_, list_id, out, *stand, new_id()) == {str(out)}
    assert await lift(door, id_, list_id, out) == set(), "a repetition changes nothing"
    (line,) = (await door.feed())["items"][before:]
    assert (line["suppression_id"], line["released"], line["list_id"]) == (str(out), True, str(list_id))
    full = (await door.http.get(f"/v1/suppressions/{out}", headers=bearer(secret))).json()
    assert full["released_at"] is not None
    assert (full["release_reason"], full["release_evidence"]) == (BASIS, {"import": "i1", "people": "1"})
    for entry in stand:
        full = (await door.http.get(f"/v1/suppressions/{entry}", headers=bearer(secret))).json()
        assert full["released_at"] is None


async def test_what_was_said_or_said_again_later_stands(door: Door, contacts: FakeContacts) -> None:
    account, _ = contacts.account()
    list_id = contacts.list(account).list_id
    said = await say(door, account.account_id, "once", list_id=list_id)
    again = await say(door, account.account_id, "again", list_id=list_id)
    received = datetime.now(UTC)
    await say(door, account.account_id, "again", list_id=list_id)
    late = await say(door, account.account_id, "late", list_id=list_id)
    entries = (said, again, late)
    day = timedelta(days=1)
    assert await lift(door, account.account_id, list_id, *entries, not_after=received - day) == set()
    assert await lift(door, account.account_id, list_id, *entries, not_after=received) == {str(said)}


async def test_a_key_that_another_no_holds_is_not_freed(door: Door, contacts: FakeContacts) -> None:
    account, _ = contacts.account()
    list_id = contacts.list(account).list_id
    out = await say(door, account.account_id, "both", list_id=list_id)
    await say(door, account.account_id, "both", reason="complaint", scope="list", list_id=list_id)
    before = len((await door.feed())["items"])
    assert await lift(door, account.account_id, list_id, out) == {str(out)}
    assert (await door.feed())["items"][before:] == []


async def test_what_was_said_at_two_doors_goes_together(door: Door, contacts: FakeContacts) -> None:
    """Two entries of one list hold a key, and the feed's readers know the newer one alone."""
    account, _ = contacts.account()
    list_id, id_ = contacts.list(account).list_id, account.account_id
    first = await say(door, id_, "out", list_id=list_id)
    second = await say(door, id_, "out", list_id=list_id, contact_id=new_id())
    before = len((await door.feed())["items"])
    assert await lift(door, id_, list_id, second) == {str(first), str(second)}
    lines = (await door.feed())["items"][before:]
    assert len({subject for line in lines for subject in line["subjects"]}) == 2, "both keys are free"
    # One of them was said again since: it stands, and so does the key.
    first = await say(door, id_, "again", list_id=list_id)
    second = await say(door, id_, "again", list_id=list_id, contact_id=new_id())
    received = datetime.now(UTC)
    await say(door, id_, "again", list_id=list_id)
    assert await lift(door, id_, list_id, second, not_after=received) == {str(second)}
    (line,) = (await door.feed())["items"][before + len(lines) + 2 :]
    assert [subject[:2] for subject in line["subjects"]] == ["63"], "only the contact's own key is free"
