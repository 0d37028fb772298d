"""The signatures on the bytes a server got: by RSA and Ed25519, as two verifiers that share no code judge them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import RECORDS, Stage, contacts, until
from scripted_server import ScriptedServer, serving

Run = Callable[[Relay], asyncio.Event]
BOTH = [("rsa-sha256", True), ("ed25519-sha256", True)]
PEOPLE = 20


async def sent(stage: Stage, running: Run) -> list[bytes]:
    """What a server gets of a mailing."""
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(PEOPLE))
    async with serving(ScriptedServer()) as server:
        running(stage.relay(server.port))

        async def delivered() -> bool:
            return bool(await stage.states() == {"delivered": PEOPLE})

        await until(delivered)
        return [seen.data for seen in server.seen]


def by_dkimpy(data: bytes) -> list[tuple[str, bool]]:
    """Algorithm and verdict of each signature."""
    mail, said = dkim.DKIM(data), []
    names = [name.lower() for name, _ in mail.headers]
    for at in range(names.count(b"dkim-signature")):
        try:
            holds = mail.verify(
                idx=at, dnsfunc=lambda name, timeout=5: RECORDS[name.decode().rstrip(".")].encode()
            )
        except dkim.DKIMException:
            holds = False
        said.append((mail.signature_fields[b"a"].decode(), holds))
    return said


async def by_opendkim(folder: Path, data: bytes) -> list[tuple[str, bool]]:
    """The same, by OpenDKIM."""
    program = shutil.which("opendkim", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "this test needs opendkim: apt-get install opendkim"
    mail, keys, conf = folder / "mail.eml", folder / "keys", folder / "opendkim.conf"
    await asyncio.to_thread(mail.write_bytes, data)
    await asyncio.to_thread(keys.write_text, "".join(f"{name} {value}\n" for name, value in RECORDS.items()))
    await asyncio.to_thread(conf.write_text, f"Mode v\nSyslog no\nTestPublicKeys {keys}\n")
    process = await asyncio.create_subprocess_exec(
        program, "-x", str(conf), "-vv", "-t", str(mail), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(process.communicate(), 60)
    verdicts = re.findall(r"dkim=(\w+)[^;]*?header\.a=([\w-]+)", told.decode())
    return [(algorithm, verdict == "pass") for verdict, algorithm in verdicts]


async def test_two_verifiers_take_both_signatures_of_every_mail_and_none_of_a_changed_one(
    stage: Stage, running: Run, tmp_path: Path
) -> None:
    await stage.second_key("signing")
    mails = await sent(stage, running)
    assert len(mails) == PEOPLE
    for data in mails:
        assert by_dkimpy(data) == BOTH
    for data in mails[:3]:
        assert await by_opendkim(tmp_path, data) == BOTH
    # The controls: neither verifier takes whatever it is given.
    neither = [(algorithm, False) for algorithm, _ in BOTH]
    changed = (
        b"Subject: forged\r\n" + mails[0],
        b"List-Unsubscribe: <https://forged.test/>\r\n" + mails[0],
        mails[0].replace(b"Un paragrafo", b"Un capitolo!"),
    )
    for data in changed:
        assert data != mails[0]
        assert by_dkimpy(data) == neither
        assert await by_opendkim(tmp_path, data) == neither


@pytest.mark.parametrize("state", [None, "waiting", "next"])
async def test_a_key_whose_record_was_not_found_signs_nothing(
    stage: Stage, running: Run, state: str | None
) -> None:
    if state is not None:
        await stage.second_key(state)
    for data in await sent(stage, running):
        assert by_dkimpy(data) == BOTH[:1]
