"""integration: after an erasure no table of fbl holds the person's address, and what was done is still told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fbl_house import Fbl
from mailmaker.common.bus.fate import Retry
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.mail.tokens import Purpose
from mailmaker.common.storage.engine import Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.traces import tables_naming
from mailmaker.fbl.actions.forget_contacts import forget_contacts

PERSON = ("zaira.erased@example.com", "Zaira")


def bounce() -> bytes:
    lines = (
        "From: mailer-daemon@mx.example", "Message-ID: <zaira.erased@example.com.1@mx.example>",
        'Content-Type: multipart/report; boundary="b"', "", "--b", "Content-Type: text/plain", "",
        "Dear Zaira", "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example", "",
        "Final-Recipient: rfc822; zaira.erased@example.com", "Action: failed", "Status: 5.1.1", "", "--b--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


async def test_nothing_names_the_erased_and_the_report_stays(fbl: Fbl) -> None:
    told = await fbl.send(fbl.rcpt(Purpose.BOUNCE), bounce(), "zaira.erased@example.com")
    assert told[0] == 250, told
    event = ContactsErased(
        account_id=fbl.account,
        occurred_at=datetime.now(UTC),
        list_id=new_id(),
        contact_ids=(fbl.token.contact_id,),
    )
    heard = Heard("fbl", event.event_id)
    with pytest.raises(Retry):
        await forget_contacts(fbl.db, event, heard)
    assert await fbl.settler.settle_some() == 1
    (before,) = await fbl.rows("SELECT kind, acted, suppression_id, recipients FROM reports")
    assert {"raws", "reports"} <= set(await tables_naming(fbl.db, PERSON))

    await forget_contacts(fbl.db, event, heard)

    assert await tables_naming(fbl.db, PERSON) == []
    (after,) = await fbl.rows("SELECT kind, acted, suppression_id, recipients FROM reports")
    assert after["recipients"] == [{**before["recipients"][0], "address": ""}]
    assert {**after, "recipients": 0} == {**before, "recipients": 0}
