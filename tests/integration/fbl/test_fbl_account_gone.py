"""integration: of an account that is gone fbl keeps that reports came and what was done, and no mail and no address."""

from __future__ import annotations

import asyncio
import json

import pytest
from fbl_house import Fbl
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.mail.tokens import Purpose, Token
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.archiving import rows_of
from mailmaker.common.storage.emptying import SHARED_KEPT, EmptyAccounts, hear_emptied
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.traces import tables_naming, tables_of_account
from mailmaker.fbl.actions.archive_account import archive_account
from mailmaker.fbl.storage.archive import PARTS
from mailmaker.fbl.storage.emptying import EMPTYING

NEVER = asyncio.Event()


def bounce(name: str) -> bytes:
    lines = (
        f"From: {name}@mx.example", f"Message-ID: <{name}.1@mx.example>",
        'Content-Type: multipart/report; boundary="b"', "", "--b", "Content-Type: text/plain", "",
        f"Dear {name}", "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example", "",
        f"Final-Recipient: rfc822; {name}@example.com", "Action: failed", "Status: 5.1.1", "", "--b--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


async def came(fbl: Fbl, name: str, token: Token | None = None) -> None:
    rcpt = fbl.rcpt(Purpose.BOUNCE, token)
    assert (await fbl.send(rcpt, bounce(name), f"{name}@example.com"))[0] == 250


async def due_again(fbl: Fbl) -> None:
    await fbl.rows("UPDATE emptyings SET due_at = now()")


async def test_what_is_left_names_nobody_and_still_proves_the_no(fbl: Fbl) -> None:
    other = fbl.contacts.open(8)
    await came(fbl, "zaira")
    await came(fbl, "bruno", Token(8, 3, new_id()))
    while await fbl.settler.settle_some():
        pass
    before = await tables_of_account(fbl.db, other)
    event = AccountEmptied(account_id=fbl.account, occurred_at=SystemClock().now())
    heard = Heard("fbl", event.event_id)
    await hear_emptied(fbl.db, event, heard)
    with pytest.raises(AlreadyHeard):
        await hear_emptied(fbl.db, event, heard)
    # A bounce that came just before, and is not read yet: its "no" is not lost.
    await came(fbl, "zaira.late")
    worker = EmptyAccounts(fbl.db, EMPTYING)
    assert await worker.step(NEVER)
    assert await tables_naming(fbl.db, ["zaira@example.com"]) == []
    assert set(await tables_naming(fbl.db, ["zaira.late"])) >= {"raws"}
    assert await fbl.settler.settle_some() == 1
    await due_again(fbl)
    assert await worker.step(NEVER)
    assert not await worker.step(NEVER)

    assert await tables_naming(fbl.db, ["zaira"]) == []
    left = await tables_of_account(fbl.db, fbl.account)
    assert set(left) <= {*EMPTYING.blanked, *EMPTYING.kept, *SHARED_KEPT}
    assert left["reports"] == left["arrivals"] == left["handovers"] == 2
    reports = await fbl.rows(
        "SELECT kind, acted, contact_id, suppression_id, recipients FROM reports WHERE account_id = $1",
        fbl.account,
    )
    assert {(r["kind"], r["acted"], r["contact_id"]) for r in reports} == {
        ("bounce", "suppressed", fbl.token.contact_id)
    }
    handed = await fbl.rows("SELECT body FROM handovers WHERE account_id = $1", fbl.account)
    assert {r["body"]["id"] for r in handed} == {str(r["suppression_id"]) for r in reports}
    assert await tables_of_account(fbl.db, other) == before
    assert "raws" in await tables_naming(fbl.db, ["bruno"])


async def test_the_archive_tells_what_came_without_addresses(fbl: Fbl) -> None:
    await came(fbl, "zaira")
    assert await fbl.settler.settle_some() == 1
    found = [row async for rows in rows_of(archive_account(fbl.db, fbl.account)) for row in rows]
    assert [row["name"] for row in found] == list(PARTS)
    report = json.loads(found[0]["line"])
    assert (report["kind"], report["acted"], report["contact"]) == (
        "bounce",
        "suppressed",
        str(fbl.token.contact_id),
    )
    assert report["recipients"][0]["status"] == "5.1.1"
    assert "zaira" not in found[0]["line"]
