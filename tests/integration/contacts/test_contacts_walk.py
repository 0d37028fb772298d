"""integration: account -> key -> list -> plan -> apply -> audience, thin and whole."""

from __future__ import annotations

import csv
import io
import json
from uuid import UUID

from contacts_house import Rig
from mailmaker.common.contracts.contacts import ContactsChanged, ContactsRemoved, ImportApplied, ListChanged

ROWS = [
    {
        "email": f"p{i}@example.com",
        "name": f"Nome {i}",
        "surname": "Rossi",
        "birth_date": "1980-02-03",
        "city": "Roma",
    }
    for i in range(1200)
]


async def test_walk(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    first = await rig.import_rows(client, list_id, ROWS)
    assert first["state"] == "applied"
    assert first["counts"] == first["applied"]
    assert first["counts"] == {
        "rows": 1200,
        "created": 1200,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "protected": 0,
        "rejected": 0,
        "duplicate": 0,
    }
    changed = await rig.events(ContactsChanged)
    assert [len(e.contacts) for e in changed] == [500, 500, 200]
    assert len(await rig.events(ListChanged)) == 1
    assert [e.counts["created"] for e in await rig.events(ImportApplied)] == [1200]
    assert [p["state"] for p in await rig.handed_over("ingest")] == ["applied"]

    again = await rig.import_rows(client, list_id, list(reversed(ROWS)))
    assert again["counts"]["unchanged"] == 1200
    assert len(await rig.events(ContactsChanged)) == 3

    rows = [dict(row) for row in ROWS[:-1]]
    rows[0]["city"] = "Milano"
    third = await rig.import_rows(client, list_id, rows, mode="full")
    assert {k: third["counts"][k] for k in ("updated", "removed", "unchanged")} == {
        "updated": 1,
        "removed": 1,
        "unchanged": 1198,
    }
    (removed,) = await rig.events(ContactsRemoved)
    assert len(removed.contact_ids) == 1
    shown = await client.ask("GET", f"/v1/plans/{third['import_id']}/rows", params={"action": "updated"})
    assert [(r["before"], r["after"]) for r in shown.json()["items"]] == [
        ({"city": "Roma"}, {"city": "Milano"})
    ]

    answer = await rig.inside(
        "/internal/audience",
        account=str(client.account),
        channel="email",
        list=[str(list_id)],
        fields="name,city",
    )
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert len(lines) == 1199
    by_address = {line[4]: line for line in lines}
    place, of, contact, fkey, _, key, consent, merge = by_address["p0@example.com"]
    assert (place, UUID(of), fkey, consent) == ("0", list_id, "", "subscribed")
    assert key.startswith("\\x01")
    assert json.loads(merge) == {"name": "Nome 0", "city": "Milano"}
    row = (await rig.inside(f"/internal/contacts/{contact}")).json()
    assert row["email_key"] == key.removeprefix("\\x")
    history = (await client.ask("GET", f"/v1/lists/{list_id}/contacts/{contact}/history")).json()["items"]
    assert [h["what"] for h in history] == ["created", "updated"]
