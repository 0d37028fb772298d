"""integration: the doors of drops: HTTP, SFTP and FTPS say the same yes and no; names from outside lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import io
import os
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from ingest_drops import GOOD, HOST, LARGEST, Dropping
from ingest_house import Ingest
from mailmaker.common.ops.clock import SystemClock
from mailmaker.ingest.drop.sessions import Bounds, Sessions
from mailmaker.ingest.drop.sftp import Guest

OUTSIDE = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "/../../etc/passwd",
    "in/../../../../../../etc/passwd",
    "//etc//passwd",
    "/in/../done/../../keys/ssh_host_ed25519",
    "/home",
    "/in/sub/x.csv",
    "/in/..%2f..%2fetc",
    "/in/a\\..\\..\\b",
    "/in/" + "n" * 300,
    "/in/" + "é" * 120,
    "/in/right\u202eto-left.csv",
    "/in/zero\u200bwidth.csv",
    "/in/line\u2028break.csv",
    "/in/bell\x07.csv",
    "/in/ leading.csv",
    "/" + "in/" * 2000,
]
"""Paths at which nothing may be written, and nothing read."""
HARMLESS = {"/in/..%2f..%2fetc"}
"""An ordinary name in `in/` after all: it may be written, there and nowhere else."""
OVERRIDE = {"protect_cancellations": False, "lawful_basis": {"text": "They consented again in our shop."}}
"""What one file may say, and no drop."""


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


async def test_an_inbox_is_opened_changed_and_closed(dropping: Dropping) -> None:
    http, drop = dropping.ingest.http, await dropping.open(pattern="*.csv", options={"delimiter": ";"})
    path = f"/v1/drops/{drop['id']}"
    shown = (await http.get(path)).json()
    assert "password" not in shown
    assert shown["has_password"] is True
    assert (shown["pattern"], shown["options"]["delimiter"], shown["mode"]) == ("*.csv", ";", None)
    listed = (await http.get("/v1/drops")).json()
    assert [one["id"] for one in listed["items"]] == [drop["id"]]
    second = await dropping.open()
    assert second["user_name"].split("-")[0] == drop["user_name"].split("-")[0]

    changed = await http.patch(path, json={"mode": "full", "quota_files": 3})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["mode"], changed.json()["pattern"], changed.json()["quota_files"]) == (
        "full",
        "*.csv",
        3,
    )
    assert changed.json()["version"] == drop["version"] + 1

    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == 404
    with pytest.raises(asyncssh.PermissionDenied):
        await dropping.ssh(drop)
    await dropping.look()
    assert not dropping.home(drop).exists()


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"protocols": ["ftp"]}, "/protocols"),
        ({"protocols": []}, "/protocols"),
        ({"mode": "sideways"}, "/mode"),
        ({"list": "01a2111c-0000-7000-aa73-102fd7ca1ec4"}, "/list"),
        ({"options": {"delimiter": "x"}}, "/options/delimiter"),
        ({"options": {"list": "x"}}, "/options/list"),
        ({"profile": "01a2111c-0000-7000-aa73-102fd7ca1ec4"}, "/profile"),
        (
            {"rules": [{"pattern": "*", "profile": "01a2111c-0000-7000-aa73-102fd7ca1ec4"}]},
            "/rules/0/profile",
        ),
        ({"rules": [{"pattern": "*.x", "options": {"nonsense": 1}}]}, "/rules/0/options/nonsense"),
        ({"options": OVERRIDE}, "/options/lawful_basis"),
        ({"options": {"protect_cancellations": "no"}}, "/options/protect_cancellations"),
        ({"options": OVERRIDE, "rules": [{"pattern": "*.x"}]}, "/options/lawful_basis"),
        ({"rules": [{"pattern": "*.x", "options": OVERRIDE}]}, "/rules/0/options/lawful_basis"),
        ({"public_keys": ["ssh-rsa nonsense"]}, "/public_keys/0"),
        ({"quota_files": 0}, "/quota_files"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_a_wish_that_cannot_be_is_named(ingest: Ingest, wish: dict[str, Any], pointer: str) -> None:
    body = {"name": "CRM", "list": str(ingest.list_id), **wish}
    answer = await ingest.http.post("/v1/drops", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_no_drop_is_changed_to_take_opt_outs_back(dropping: Dropping) -> None:
    drop = await dropping.open(options={"protect_cancellations": True})
    path = f"/v1/drops/{drop['id']}"
    for change in ({"options": OVERRIDE}, {"rules": [{"pattern": "*", "options": OVERRIDE}]}):
        refused = await dropping.ingest.http.patch(path, json=change)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "option.not_of_drop")
        assert "POST /v1/imports" in refused.json()["errors"][0]["detail"]
    assert (await dropping.ingest.http.get(path)).json()["options"] == {"protect_cancellations": True}


async def test_another_account_sees_nothing_of_a_drop(dropping: Dropping) -> None:
    drop = await dropping.open()
    _, secret = dropping.ingest.contacts.account_key()
    headers = {"Authorization": f"Bearer {secret}"}
    http, path = dropping.ingest.http, f"/v1/drops/{drop['id']}"
    asked = [
        http.get(path, headers=headers),
        http.patch(path, json={"name": "mine"}, headers=headers),
        http.delete(path, headers=headers),
        http.post(f"{path}:rotate", headers=headers),
        http.post(f"{path}:pgp-key", headers=headers),
        http.get(f"{path}/files", headers=headers),
    ]
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {404}
    assert (await http.get("/v1/drops", headers=headers)).json()["items"] == []


async def test_a_rotated_password_ends_sessions_and_opens_nothing(dropping: Dropping) -> None:
    drop = await dropping.open()
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        assert sorted(await sftp.listdir("/")) == ["done", "in", "rejected", "reports"]
        client = await asyncio.to_thread(dropping.ftp, drop)
        once = {"Idempotency-Key": "once"}
        path = f"/v1/drops/{drop['id']}:rotate"
        rotated = (await dropping.ingest.http.post(path, headers=once)).json()
        assert rotated["password"] not in (None, drop["password"])
        assert (await dropping.ingest.http.post(path, headers=once)).json()["password"] is None
        await asyncio.wait_for(conn.wait_closed(), 10)

        def ended() -> bool:
            try:
                client.voidcmd("NOOP")
            except (OSError, EOFError, ftplib.Error):
                return True
            return False

        await dropping.until("the FTPS session ends", lambda: asyncio.to_thread(ended))
        client.close()
    with pytest.raises(asyncssh.PermissionDenied):
        await dropping.ssh(drop)
    async with dropping.ssh(rotated):
        pass


async def test_a_key_opens_the_inbox_and_another_does_not(dropping: Dropping) -> None:
    mine, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    public = mine.export_public_key().decode()
    drop = await dropping.open(password=False, public_keys=[public])
    assert drop["password"] is None
    async with dropping.ssh(drop, client_keys=[mine]):
        pass
    for wrong in ({"client_keys": [other]}, {"password": "", "client_keys": None}):
        with pytest.raises(asyncssh.PermissionDenied):
            await dropping.ssh(drop, **wrong)
    with pytest.raises(ftplib.error_perm, match="530"):
        await asyncio.to_thread(dropping.ftp, drop, "guess")


async def test_a_key_that_was_only_shown_opens_nothing_to_another_user(dropping: Dropping) -> None:
    """A public key is no secret: who shows another's and then logs in as himself is in his own inbox, or in none."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    victim = await dropping.open(public_keys=[key.export_public_key().decode()])
    mine = await dropping.open()

    class Talk:
        """What the door asks of a connection; `username` is whom the protocol let in."""

        user = mine["user_name"]

        def get_extra_info(self, name: str) -> Any:
            return self.user if name == "username" else (HOST, 1)

        def set_extra_info(self, **named: Any) -> None:
            assert set(named) == {"guest"}

        def abort(self) -> None:
            raise AssertionError("there is room")

    guest = Guest(dropping.sftp._entrance, Sessions(Bounds()), SystemClock())
    guest.connection_made(Talk())  # type: ignore[arg-type]
    await guest.begin_auth(mine["user_name"])
    assert await guest.validate_password(mine["user_name"], mine["password"])
    await guest.begin_auth(victim["user_name"])
    assert await guest.validate_public_key(victim["user_name"], key)
    with pytest.raises(asyncssh.PermissionDenied):
        await guest.come_in()


async def test_a_protocol_that_was_not_asked_for_is_closed(dropping: Dropping) -> None:
    drop = await dropping.open(protocols=["ftps"])
    with pytest.raises(asyncssh.PermissionDenied):
        await dropping.ssh(drop)
    drop = await dropping.open(protocols=["sftp"])
    with pytest.raises(ftplib.error_perm, match="530"):
        await asyncio.to_thread(dropping.ftp, drop)


async def test_wrong_passwords_are_not_heard_for_ever(dropping: Dropping) -> None:
    drop = await dropping.open()
    for _ in range(6):
        with pytest.raises((asyncssh.Error, OSError)):
            await dropping.ssh(drop, password="guess")
    # The address waits now, whatever it says next, and whichever door it takes.
    with pytest.raises((asyncssh.Error, OSError)):
        await dropping.ssh(drop)
    with pytest.raises(ftplib.error_perm, match="530"):
        await asyncio.to_thread(dropping.ftp, drop)

    async def heard_again() -> bool:
        try:
            async with dropping.ssh(drop):
                return True
        except asyncssh.PermissionDenied:
            await asyncio.sleep(0.2)
            return False

    await dropping.until("the right password is heard again", heard_again, 30)


@pytest.mark.parametrize(
    "path", OUTSIDE, ids=lambda path: path.encode("ascii", "backslashreplace")[:40].decode()
)
async def test_no_path_leads_outside_by_sftp(dropping: Dropping, path: str) -> None:
    drop = await dropping.open()
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        before = everything(dropping.ingest.root)
        attempts: list[Callable[[], Any]] = [
            lambda: sftp.open(path, "rb"),
            lambda: sftp.open(path, "wb"),
            lambda: sftp.listdir(path),
            lambda: sftp.remove(path),
            lambda: sftp.mkdir(path),
            lambda: sftp.symlink(path, "/in/link"),
            lambda: sftp.symlink("/etc/passwd", path),
            lambda: sftp.link(path, "/in/link"),
            lambda: sftp.readlink(path),
            lambda: sftp.rename("/in/none", path),
        ]
        if path in HARMLESS:
            attempts = attempts[4:9]
        for attempt in attempts:
            with pytest.raises(asyncssh.SFTPError):
                await attempt()
        assert everything(dropping.ingest.root) == before


@pytest.mark.parametrize(
    "path", OUTSIDE, ids=lambda path: path.encode("ascii", "backslashreplace")[:40].decode()
)
async def test_no_path_leads_outside_by_ftps(dropping: Dropping, path: str) -> None:
    drop = await dropping.open()

    def attack() -> list[str]:
        client = dropping.ftp(drop)
        client.encoding = "utf-8"
        said = []
        commands = [
            f"MKD {path}",
            f"RMD {path}",
            f"CWD {path}",
            f"SIZE {path}",
            f"DELE {path}",
            f"RNFR {path}",
        ]
        for command in commands:
            said.append(_said(lambda command=command: client.voidcmd(command)))
        if path not in HARMLESS:
            said.append(_said(lambda: client.storbinary(f"STOR {path}", io.BytesIO(b"x"))))
            said.append(_said(lambda: client.retrbinary(f"RETR {path}", lambda _: None)))
        client.close()
        return said

    await asyncio.to_thread(lambda: dropping.ftp(drop).close())
    before = everything(dropping.ingest.root)
    assert [said for said in await asyncio.to_thread(attack) if not said.startswith("5")] == []
    assert everything(dropping.ingest.root) == before


def _said(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except (ftplib.Error, ValueError) as wrong:
        # A line break in a path the client itself refuses.
        return str(wrong) if isinstance(wrong, ftplib.Error) else "500 by the client"
    except EOFError:
        return "500 the door hung up"


@pytest.mark.parametrize(
    "name", [b"nul\0.csv", b"over\xc0\xaflong.csv", b"\xff\xfe.csv", b"sur\xed\xa0\x80.csv"]
)
async def test_names_that_are_no_text_are_refused(dropping: Dropping, name: bytes) -> None:
    drop = await dropping.open()
    async with dropping.ssh(drop) as conn, conn.start_sftp_client(path_encoding=None) as sftp:
        with pytest.raises(asyncssh.SFTPError):
            await sftp.open(b"/in/" + name, "wb")
    assert dropping.names(drop, "in") == []

    def send() -> bytes:
        client = dropping.ftp(drop)
        assert client.sock is not None
        client.sock.sendall(b"STOR /in/" + name + b"\r\n")
        said = client.file.readline() if client.file is not None else ""
        client.close()
        return said.encode()

    assert (await asyncio.to_thread(send))[:1] == b"5"
    assert dropping.names(drop, "in") == []


async def test_one_name_has_one_spelling(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "citta\u0300.csv")
    assert dropping.names(drop, "in") == ["citt\u00e0.csv"]


async def test_links_that_lie_in_an_inbox_are_not_followed(dropping: Dropping, tmp_path: Path) -> None:
    """Nobody can make one by the doors; one that an administrator's mistake left there leads nowhere."""
    drop = await dropping.open()
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_text("secret")
    await dropping.put(drop, "real.csv")
    os.symlink(secret, dropping.home(drop, "in", "link.csv"))
    os.link(secret, dropping.home(drop, "in", "hard.csv"))
    os.mkfifo(dropping.home(drop, "in", "pipe.csv"))
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        for name in ("link.csv", "hard.csv", "pipe.csv"):
            for mode in ("rb", "wb", "r+b"):
                with pytest.raises(asyncssh.SFTPError):
                    await sftp.open(f"/in/{name}", mode)
    await dropping.taken(drop)
    assert secret.read_text() == "secret"
    assert "link.csv" in dropping.names(drop, "in")
    secret.unlink()


async def test_nothing_of_ssh_but_sftp_is_there(dropping: Dropping) -> None:
    drop = await dropping.open()
    async with dropping.ssh(drop) as conn:
        for command in ("id", "scp -t /in", None):
            with pytest.raises(asyncssh.Error):
                await conn.create_process(command)
        with pytest.raises(asyncssh.Error):
            await conn.open_connection(HOST, dropping.sftp.address[1])  # type: ignore[index]
        with pytest.raises(asyncssh.ChannelListenError):
            await conn.forward_remote_port("", 0, HOST, 9)


async def test_ftps_takes_no_password_and_no_data_in_clear(dropping: Dropping) -> None:
    drop = await dropping.open()

    def attempts() -> list[str]:
        assert dropping.ftps.address is not None
        clear = ftplib.FTP(timeout=10)
        clear.connect(HOST, dropping.ftps.address[1])
        said = [_said(lambda: clear.login(drop["user_name"], drop["password"]))]
        clear.close()
        client = dropping.ftp(drop)
        client.voidcmd("PROT C")
        said += [
            _said(lambda said=command: client.voidcmd(said))
            for command in ("EPSV", "PASV", "PORT 127,0,0,1,9,9")
        ]
        client.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection((HOST, dropping.ftps.address[1]), 10) as sock:
            sock.recv(1000)
            sock.sendall(b"AUTH TLS\r\n")
            sock.recv(1000)
            try:
                old.wrap_socket(sock).close()
                said.append("an old TLS was taken")
            except (ssl.SSLError, OSError):
                said.append("550 refused")
        return said

    said = await asyncio.to_thread(attempts)
    assert [one for one in said if not one.startswith("5")] == []


async def test_plain_ftp_is_there_only_where_the_platform_says_so(ingest: Ingest) -> None:
    async with Dropping(ingest, plain=True) as dropping:
        drop = await dropping.open()
        await ingest.run("UPDATE drops SET protocols = ARRAY['ftp']")

        def send() -> None:
            assert dropping.ftps.address is not None
            client = ftplib.FTP(timeout=10)
            client.connect(HOST, dropping.ftps.address[1])
            client.login(drop["user_name"], drop["password"])
            client.storbinary("STOR /in/people.csv", io.BytesIO(GOOD))
            client.quit()

        await asyncio.to_thread(send)
        assert (await dropping.taken(drop))[0]["state"] == "received"


async def test_room_is_limited_also_for_files_with_holes(dropping: Dropping) -> None:
    drop = await dropping.open(quota_files=2, quota_bytes=900_000)
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        async with sftp.open("/in/hole.csv", "wb") as file:
            with pytest.raises(asyncssh.SFTPError):
                await file.write(b"x", offset=4 << 30)
            with pytest.raises(asyncssh.SFTPError):
                await file.truncate(4 << 30)
            await file.write(b"x" * 1000)
        async with sftp.open("/in/large.csv.part", "wb") as file:
            with pytest.raises(asyncssh.SFTPError):
                await file.write(b"x" * LARGEST)
        with pytest.raises(asyncssh.SFTPError):
            await sftp.open("/in/third.csv", "wb")
        with pytest.raises(asyncssh.SFTPError):
            await sftp.open("/done/x.csv", "wb")
    assert dropping.bytes_in(drop) < 900_000

    def send() -> str:
        client = dropping.ftp(drop)
        with contextlib.suppress(OSError):
            client.storbinary("STOR /in/hole.csv", io.BytesIO(b"x" * LARGEST))
        said = _said(client.voidresp)
        client.close()
        return said

    assert (await asyncio.to_thread(send))[:3] in ("426", "550", "552")


async def test_sessions_are_counted(ingest: Ingest) -> None:
    async with Dropping(ingest, bounds=Bounds(sessions=3, per_drop=1)) as dropping:
        drop = await dropping.open()
        async with dropping.ssh(drop):
            with pytest.raises(asyncssh.PermissionDenied):
                await dropping.ssh(drop)


async def test_a_silent_session_ends_and_makes_room(ingest: Ingest) -> None:
    async with Dropping(ingest, bounds=Bounds(per_drop=1, idle=2.0)) as dropping:
        drop = await dropping.open()
        async with dropping.ssh(drop) as conn:
            await asyncio.wait_for(conn.wait_closed(), 30)
        async with dropping.ssh(drop):
            pass


async def test_the_host_key_is_made_once_and_is_nobody_elses(dropping: Dropping) -> None:
    folder = dropping.ingest.root / "drops" / "keys"
    for name in ("ssh_host_ed25519", "ftps_self_signed.pem"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    shown = (folder / "ssh_host_ed25519").read_bytes()
    async with Dropping(dropping.ingest):
        assert (folder / "ssh_host_ed25519").read_bytes() == shown
    assert len(list(folder.iterdir())) == 2
