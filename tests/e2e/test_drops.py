"""e2e: drops: OpenSSH's sftp and curl put files into an inbox of the running platform, and find the results there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e_rig import Rig, eventually, sample
from mailmaker.common.demo.client import Client

ROWS = 2_000


@dataclass
class Inbox:
    """A drop of the demo account, as its clients reach it."""

    dev: dict[str, Any]
    client: Client
    drop: dict[str, Any]
    scratch: Path

    @classmethod
    async def opened(cls, rig: Rig, scratch: Path, **wish: Any) -> Inbox:
        """A drop on a new list, with a password and an SSH key."""
        key = scratch / "id_ed25519"
        await _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], "")
        list_id = await rig.client.open_list(f"dropped {scratch.name}")
        body = {
            "name": "CRM",
            "protocols": ["sftp", "ftps"],
            "list": list_id,
            "public_keys": [key.with_suffix(".pub").read_text()],
            **wish,
        }
        return cls(rig.stage.dev, rig.client, await rig.client.send("POST", "/v1/drops", body), scratch)

    async def sftp(self, *commands: str) -> str:
        """A batch of OpenSSH's client, which must go well."""
        host, _, port = self.dev["sftp"].rpartition(":")
        options = [
            *("-P", port, "-i", str(self.scratch / "id_ed25519"), "-o", "IdentitiesOnly=yes", "-F", "none"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.scratch / 'known_hosts'}"),
        ]
        asked = ["sftp", *options, "-b", "-", f"{self.drop['user_name']}@{host}"]
        return await _run(asked, "\n".join(commands) + "\n")

    async def curl(self, path: str, *options: str) -> str:
        """One transfer of curl with explicit TLS, which must go well."""
        config = f'user = "{self.drop["user_name"]}:{self.drop["password"]}"\n'
        url = f"ftp://{self.dev['ftps']}{path}"
        asked = ["curl", "-sS", "-q", "--ssl-reqd", "-k", "-m", "60", "-K", "-", *options, url]
        return await _run(asked, config)

    async def report(self, name: str) -> dict[str, Any]:
        """The result of a file, read by SFTP once it is there."""

        async def there() -> str | None:
            lines = (await self.sftp("ls -1 /reports")).splitlines()
            wanted = [line for line in lines if f"/{name}." in line and line.endswith("Z.json")]
            return wanted[0] if wanted else None

        path = await eventually(f"a report of {name}", there, 120, 0.5)
        target = self.scratch / "report.json"
        await self.sftp(f"get {path} {target}")
        found: dict[str, Any] = json.loads(target.read_text())
        return found

    async def state_of(self, name: str) -> str | None:
        page = await self.client.send("GET", f"/v1/drops/{self.drop['id']}/files")
        return next((one["state"] for one in page["items"] if one["name"] == name), None)


async def _run(command: list[str], told: str) -> str:
    """A program's output; its end must be good."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await asyncio.wait_for(process.communicate(told.encode()), 120)
    assert process.returncode == 0, f"{command[0]}: {wrong.decode()}"
    return said.decode()


@pytest.fixture
async def inbox(rig: Rig, tmp_path: Path) -> Inbox:
    for program in ("sftp", "ssh-keygen", "curl"):
        assert shutil.which(program), f"this test needs {program}: apt-get install openssh-client curl"
    return await Inbox.opened(rig, tmp_path)


async def test_openssh_drops_a_file_and_finds_its_result(inbox: Inbox) -> None:
    people = sample(ROWS, 71, inbox.scratch)
    with people.open("a") as file:
        file.write('"nobody"\r\n')
    await inbox.sftp(f"put {people} /in/people.csv")
    report = await inbox.report("people.csv")
    assert report["state"] == "applied", report
    assert (report["counts"]["created"], report["counts"]["rejected"]) == (ROWS, 1)
    rejects, archived = inbox.scratch / "rejects.csv", inbox.scratch / "archived.csv"
    await inbox.sftp(f"get /{report['rejects']} {rejects}", f"get /{report['archived']} {archived}")
    assert "nobody" in rejects.read_text()
    assert archived.read_bytes() == people.read_bytes()
    assert (await inbox.sftp("ls -1 /in")).splitlines() == ["sftp> ls -1 /in"]


async def test_curl_drops_a_file_by_ftps(inbox: Inbox) -> None:
    people = sample(ROWS, 72, inbox.scratch)
    await inbox.curl("/in/people.csv", "-T", str(people))
    report = await inbox.report("people.csv")
    assert (report["state"], report["counts"]["created"]) == ("applied", ROWS), report
    listed = (await inbox.curl("/reports/", "--list-only")).split()
    assert any(name.startswith("people.csv.") for name in listed)
    name = next(name for name in listed if name.endswith("Z.json"))
    assert json.loads(await inbox.curl(f"/reports/{name}"))["import"] == report["import"]


async def test_a_half_written_file_is_not_touched(inbox: Inbox) -> None:
    people = sample(ROWS, 73, inbox.scratch)
    half = inbox.scratch / "half.csv"
    half.write_bytes(people.read_bytes()[: people.stat().st_size // 2])
    # Put under an unfinished name, and cut off in the middle: neither is a file yet.
    await inbox.sftp(f"put {half} /in/named.csv.part")
    slow = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-q", "--ssl-reqd", "-k", "--limit-rate", "2k", "-T", str(people)),
        *("-u", f"{inbox.drop['user_name']}:{inbox.drop['password']}"),
        f"ftp://{inbox.dev['ftps']}/in/cut.csv",
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def begun() -> bool:
        return "cut.csv" in await inbox.sftp("ls -1 /in")

    await eventually("the slow upload has begun", begun, 30, 0.3)
    slow.send_signal(signal.SIGKILL)
    await asyncio.wait_for(slow.wait(), 10)

    # A file that comes whole, later, is taken meanwhile: the collector has looked, and left the others alone.
    await inbox.sftp(
        f"put {people} /in/whole.csv",
        "rename /in/whole.csv /in/w.csv.part",
        "rename /in/w.csv.part /in/w.csv",
    )
    assert (await inbox.report("w.csv"))["state"] == "applied"
    lying = (await inbox.sftp("ls -1 /in")).splitlines()
    assert {"/in/named.csv.part", "/in/cut.csv"} <= set(lying)
    assert await inbox.state_of("cut.csv") is None

    # The client comes back: it goes on where it was, and gives the other its name.
    await inbox.curl("/in/cut.csv", "-T", str(people), "-C", "-")
    await inbox.sftp(f"reput {people} /in/named.csv.part", "rename /in/named.csv.part /in/named.csv")
    for name in ("cut.csv", "named.csv"):
        report = await inbox.report(name)
        assert (report["state"], report["counts"]["rows"]) == ("applied", ROWS), report


async def test_a_file_outlives_kills_and_is_imported_once(rig: Rig, inbox: Inbox) -> None:
    people = sample(ROWS, 74, inbox.scratch)
    for number in range(3):
        await inbox.sftp(
            f"put {people} /in/{number}.csv.part", f"rename /in/{number}.csv.part /in/{number}.csv"
        )
        (pid,) = rig.processes("ingest")
        os.kill(pid, signal.SIGKILL)
        await rig.ready()
    for number in range(3):
        assert (await inbox.report(f"{number}.csv"))["state"] == "applied"
    imports = await rig.every("/v1/imports", list=inbox.drop["list"])
    assert sorted(one["file"]["name"] for one in imports) == ["0.csv", "1.csv", "2.csv"]
