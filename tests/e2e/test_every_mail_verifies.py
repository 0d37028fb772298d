"""Every mail in the sink verifies from the bytes received, and carries what RFC 8058 and the complaint loops need."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from email.policy import SMTP as POLICY

import dkim
import pytest
from e2e_rig import Rig, sample
from mailmaker.common.mail.tokens import LENGTH
from mailmaker.common.testing.checker import mailing_number

MAILS = 1_000
TOKEN = re.compile(rf"[a-z2-7]{{{LENGTH}}}")


@pytest.mark.timeout(1800)
async def test_every_sent_mail_verifies(rig: Rig) -> None:
    list_id, _ = await rig.list_of("verifies", sample(MAILS, 20, rig.directory))
    mailing = await rig.mailing([list_id], "verifies")
    await rig.start(mailing)
    counts = await rig.finished(mailing)
    assert counts["delivered"] == MAILS
    dns = await _zone(rig)
    seen = rig.seen(mailing)
    number = next(number for number, made in rig.numbers.items() if made == mailing)

    def verify() -> None:
        ids = set()
        for one in seen:
            raw = rig.stage.ledger.message(one)
            mail = dkim.DKIM(raw)
            for at, algorithm in enumerate((b"rsa-sha256", b"ed25519-sha256")):
                assert mail.verify(idx=at, dnsfunc=dns), (one.message_id, algorithm)
                assert mail.signature_fields[b"a"] == algorithm
            message = BytesParser(policy=POLICY).parsebytes(raw, headersonly=True)
            assert len(message.get_all("DKIM-Signature", [])) == 2
            _look_at(message, one.mail_from, one.recipients[0], number)
            assert one.sha256
            ids.add(one.message_id)
        assert len(ids) == MAILS

    await asyncio.to_thread(verify)


async def _zone(rig: Rig) -> Callable[..., bytes]:
    """The records our own API tells clients to publish, as a DNS."""
    records: dict[str, bytes] = {
        record["name"].rstrip(".").lower(): record["value"].encode()
        for domain in await rig.every("/v1/domains")
        for record in domain["records"]
        if record["type"] == "TXT"
    }

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip(".").lower(), b"")

    return look_up


def _look_at(message: Message, mail_from: str, recipient: str, number: int) -> None:
    for name in (
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
        "Feedback-ID",
        "CFBL-Feedback-ID",
        "X-Mailmaker-Token",
        "MIME-Version",
    ):
        assert len(message.get_all(name, [])) == 1, name
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    uris = [uri.strip().strip("<>") for uri in str(message["List-Unsubscribe"]).split(",")]
    assert [uri.partition(":")[0] for uri in uris][-1] == "mailto"
    assert uris[0].startswith(("https://", "http://127.0.0.1"))
    signed = {
        name.strip().lower()
        for value in message.get_all("DKIM-Signature", [])
        for tag in str(value).split(";")
        if tag.strip().startswith("h=")
        for name in tag.strip()[2:].split(":")
    }
    assert {
        "from",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "feedback-id",
        "cfbl-feedback-id",
        "message-id",
    } <= signed
    places = [
        mail_from,
        str(message["Message-ID"]),
        uris[0],
        uris[-1],
        str(message["CFBL-Feedback-ID"]),
        str(message["X-Mailmaker-Token"]),
    ]
    for place in places:
        found = TOKEN.search(place)
        assert found is not None, place
        assert mailing_number(found.group()) == number
        # Nothing of the person in what redactors leave (TOK-3).
        assert recipient.partition("@")[0].casefold() not in place.casefold()
    assert recipient.partition("@")[0].casefold() not in str(message["Feedback-ID"]).casefold()
