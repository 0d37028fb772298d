"""integration: drops: what is dropped is imported once, when it is complete, and its result comes back."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncssh
import pytest
from ingest_drops import GOOD, Dropping
from ingest_house import Ingest
from mailmaker.ingest.storage import drop_files, inbox_taking
from pysequoia import Cert, encrypt


async def test_a_file_by_sftp_is_imported_and_its_result_comes_back(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv", GOOD + b"not an address,X\nADA@example.it,Twice\n")
    (taken,) = await dropping.taken(drop)
    assert taken["state"] == "received"
    assert dropping.names(drop, "in") == []
    (done,) = dropping.names(drop, "done")
    assert done.startswith("people.csv.2")
    assert dropping.home(drop, "done", done).read_bytes().startswith(GOOD)

    assert await dropping.ingest.read()
    await dropping.look()
    assert dropping.names(drop, "reports") == []
    await dropping.progress(taken["import"], "applied", counts={"created": 2})
    await dropping.look()
    report = dropping.report(drop)
    assert (report["state"], report["import"]) == ("applied", taken["import"])
    assert (report["counts"]["created"], report["counts"]["rejected"]) == (2, 1)
    rejects = dropping.home(drop, report["rejects"]).read_text()
    assert "not an address" in rejects
    assert "ADA@example.it,Twice,5,email,row.duplicate" in rejects
    await dropping.look()
    assert len(await dropping.imports()) == 1
    assert (await dropping.files(drop))[0]["report"].startswith("reports/people.csv.2")


async def test_a_file_that_came_before_is_told_so(dropping: Dropping) -> None:
    drop = await dropping.open()
    told = []
    for name in ("first.csv", "second.csv"):
        await dropping.put(drop, name)
        taken, *_ = await dropping.taken(drop, len(told) + 1)
        assert await dropping.ingest.read()
        await dropping.progress(taken["import"], "applied", counts={"unchanged": 2})
        await dropping.look()
        path = (await dropping.files(drop))[0]["report"]
        told.append(json.loads(dropping.home(drop, path).read_text()))
    assert [report["same_as"] for report in told] == [None, told[0]["import"]]


async def test_a_file_by_ftps_is_imported(dropping: Dropping) -> None:
    drop = await dropping.open()

    def send() -> list[str]:
        client = dropping.ftp(drop)
        client.storbinary("STOR /in/people.csv", io.BytesIO(GOOD))
        client.cwd("/in")
        listed = client.nlst()
        client.voidcmd("TYPE I")
        assert client.size("people.csv") == len(GOOD)
        client.quit()
        return listed

    assert await asyncio.to_thread(send) == ["people.csv"]
    (taken,) = await dropping.taken(drop)
    assert taken["state"] == "received"


async def test_quarantine_is_told_at_once_and_the_end_again(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv")
    (taken,) = await dropping.taken(drop)
    assert await dropping.ingest.read()
    fault = {"error_code": "guard.removals", "error_detail": "too many would go"}
    await dropping.progress(taken["import"], "quarantined", **fault)
    await dropping.look()
    told = dropping.report(drop, ".quarantined.json")
    assert (told["state"], told["error"]["code"]) == ("quarantined", "guard.removals")
    await dropping.look()
    assert len(dropping.names(drop, "reports")) == 1
    await dropping.progress(taken["import"], "applied", counts={"created": 2})
    await dropping.look()
    assert dropping.report(drop)["state"] == "applied"


async def test_a_drop_of_a_release_that_kept_overrides_lifts_nothing(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.ingest.run(
        "UPDATE drops SET rules = jsonb_set(jsonb_set(rules, '{0,asked,protect_cancellations}', 'false'),"
        " '{0,asked,lawful_basis}', '{\"text\": \"They consented again in our shop.\"}')"
    )
    await dropping.put(drop, "people.csv")
    (taken,) = await dropping.taken(drop)
    assert (taken["state"], taken["error"]["code"]) == ("rejected", "drop.override")
    assert "protect_cancellations" in dropping.report(drop)["error"]["detail"]
    assert await dropping.imports() == []


Send = Callable[[Dropping, dict[str, Any]], Awaitable[None]]


async def _under_a_part_name(dropping: Dropping, drop: dict[str, Any]) -> None:
    await dropping.put(drop, "people.csv.part")


async def _hidden(dropping: Dropping, drop: dict[str, Any]) -> None:
    await dropping.put(drop, ".in.people.csv.")


async def _cut_off_by_sftp(dropping: Dropping, drop: dict[str, Any]) -> None:
    conn = await dropping.ssh(drop)
    sftp = await conn.start_sftp_client()
    file = await sftp.open("/in/people.csv", "wb")
    await file.write(GOOD)
    conn.abort()
    await conn.wait_closed()


async def _cut_off_by_ftps(dropping: Dropping, drop: dict[str, Any]) -> None:
    def send() -> None:
        client = dropping.ftp(drop)
        data = client.transfercmd("STOR /in/people.csv")
        data.sendall(GOOD)
        # Neither the end of TLS nor another word: as if the machine had been switched off.
        os.close(data.detach())
        assert client.sock is not None
        os.close(client.sock.detach())

    await asyncio.to_thread(send)
    await dropping.until("the door has noticed", lambda: len(dropping.ftps.sessions) == 0)


async def _only_a_mark_came(dropping: Dropping, drop: dict[str, Any]) -> None:
    await dropping.put(drop, "people.csv.done", b"")


@pytest.mark.parametrize(
    "send",
    [_under_a_part_name, _hidden, _cut_off_by_sftp, _cut_off_by_ftps, _only_a_mark_came],
    ids=lambda send: send.__name__.strip("_"),
)
async def test_what_is_not_complete_is_not_touched(dropping: Dropping, send: Send) -> None:
    drop = await dropping.open()
    await send(dropping, drop)
    before = dropping.names(drop, "in")
    assert len(before) == 1
    # A whole file that comes later is taken: the collector has looked long enough.
    await dropping.put(drop, "later.csv")
    await dropping.taken(drop)
    assert dropping.names(drop, "in") == before
    assert [one["name"] for one in await dropping.files(drop)] == ["later.csv"]


async def test_what_is_being_written_is_not_touched(dropping: Dropping) -> None:
    """Whatever says that it is complete: an open handle says that it is not."""
    drop = await dropping.open()
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        file = await sftp.open("/in/people.csv.part", "wb")
        await file.write(GOOD)
        await sftp.rename("/in/people.csv.part", "/in/people.csv")
        async with sftp.open("/in/people.csv.done", "wb"):
            pass
        await dropping.look()
        assert await dropping.files(drop) == []
        await file.write(b"carla@example.it,Carla\n", offset=len(GOOD))
        await file.close()
    (taken,) = await dropping.taken(drop)
    assert taken["size"] > len(GOOD)


async def test_renamed_and_marked_files_are_complete_at_once(dropping: Dropping) -> None:
    drop = await dropping.open()
    collector = dropping.new_collector(stable=3600.0)
    await dropping.put(drop, "marked.csv")
    await dropping.put(drop, "closed.csv")
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        async with sftp.open("/in/renamed.csv.part", "wb") as file:
            await file.write(GOOD)
        await sftp.rename("/in/renamed.csv.part", "/in/renamed.csv")
        async with sftp.open("/in/marked.csv.done", "wb"):
            pass
    await collector.look()
    assert sorted(one["name"] for one in await dropping.files(drop)) == ["marked.csv", "renamed.csv"]
    assert dropping.names(drop, "in") == ["closed.csv"]
    await dropping.taken(drop, 3)


async def test_a_client_that_comes_back_takes_over_from_its_hanging_session(dropping: Dropping) -> None:
    drop = await dropping.open()
    async with dropping.ssh(drop) as old, old.start_sftp_client() as hanging:
        stale = await hanging.open("/in/people.csv", "wb")
        await stale.write(GOOD[:10])
        async with (
            dropping.ssh(drop) as new,
            new.start_sftp_client() as sftp,
            sftp.open("/in/people.csv", "r+b") as file,
        ):
            await file.write(GOOD[10:], offset=10)
        with pytest.raises(asyncssh.SFTPError):
            await stale.write(b"garbage", offset=0)
        (taken,) = await dropping.taken(drop)
    assert (taken["state"], taken["size"]) == ("received", len(GOOD))


async def test_a_file_that_nobody_finishes_is_given_up(dropping: Dropping) -> None:
    drop = await dropping.open()
    await _cut_off_by_sftp(dropping, drop)
    await dropping.until("the handle is closed", lambda: not dropping.sftp._sessions.drops())
    collector = dropping.new_collector(cut=0.2)

    async def given_up() -> bool:
        await collector.look()
        return dropping.names(drop, "rejected") != []

    await dropping.until("the file is in rejected/", given_up)
    report = dropping.report(drop)
    assert (report["state"], report["error"]["code"], report["import"]) == ("rejected", "file.cut", None)
    assert await dropping.imports() == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.csv", b"", "file.empty"),
        ("headless.csv", b"a,b\n1,2\n", "columns.no_key"),
        ("other.txt", GOOD, "drop.no_rule"),
        ("people.csv.pgp", GOOD, "file.encrypted"),
    ],
)
async def test_what_cannot_be_imported_is_rejected_with_its_reason(
    dropping: Dropping, name: str, data: bytes, code: str
) -> None:
    drop = await dropping.open(pattern="*.csv")
    await dropping.put(drop, name, data)
    (taken,) = await dropping.taken(drop)
    assert (taken["state"], taken["error"]["code"]) == ("rejected", code)
    await dropping.look()
    (rejected,) = dropping.names(drop, "rejected")
    assert dropping.home(drop, "rejected", rejected).read_bytes() == data
    report = dropping.report(drop)
    assert (report["file"], report["error"]["code"]) == (name, code)
    assert dropping.home(drop, report["archived"]).exists()
    assert [path for path in dropping.ingest.on_disk() if path.startswith(("uploads", "incoming"))] == []


async def test_a_name_chooses_the_rule(dropping: Dropping) -> None:
    second = dropping.ingest.contacts.open_list(dropping.ingest.account)
    rules = [{"pattern": "FULL-*.csv", "mode": "full"}, {"pattern": "b?.csv", "list": str(second)}]
    drop = await dropping.open(rules=rules, options={"expected_rows": 2})
    for name in ("full-1.csv", "b1.csv", "b12.csv"):
        await dropping.put(drop, name)
    await dropping.taken(drop, 3)
    made = {one["file"]["name"]: one for one in await dropping.imports()}
    assert made["full-1.csv"]["mode"] == "full"
    assert made["b1.csv"]["list"] == str(second)
    assert (made["b12.csv"]["mode"], made["b12.csv"]["list"]) == ("incremental", str(dropping.ingest.list_id))
    assert {one["options"]["expected_rows"] for one in made.values()} == {2}


async def test_a_profile_says_how_a_dropped_file_is_read(dropping: Dropping) -> None:
    http = dropping.ingest.http
    options = {"mode": "full", "mapping": {"posta": "email"}, "delimiter": ";"}
    profile = (await http.post("/v1/import-profiles", json={"name": "CRM", "options": options})).json()
    drop = await dropping.open(profile=profile["id"], options={"expected_rows": 1})
    assert (drop["mode"], drop["options"], drop["profile"]) == (None, {"expected_rows": 1}, profile["id"])
    await dropping.put(drop, "a.csv", b"posta;name\nada@example.it;Ada\n")
    await dropping.taken(drop)
    (made,) = await dropping.imports()
    assert (made["mode"], made["options"]["profile"]) == ("full", profile["id"])
    assert (made["options"]["delimiter"], made["options"]["expected_rows"]) == (";", 1)

    assert (await http.delete(f"/v1/import-profiles/{profile['id']}")).status_code == 204
    await dropping.put(drop, "b.csv", b"posta;name\nbea@example.it;Bea\n")
    taken = await dropping.taken(drop, 2)
    assert (taken[0]["state"], taken[0]["error"]["code"]) == ("rejected", "profile.unknown")


async def test_a_files_name_chooses_the_profile_of_a_drop_that_names_none(dropping: Dropping) -> None:
    http = dropping.ingest.http

    async def save(name: str, **options: Any) -> str:
        body = {"name": name, "list": str(dropping.ingest.list_id), "file_pattern": name, "options": options}
        return str((await http.post("/v1/import-profiles", json=body)).json()["id"])

    profile = await save("crm_*.csv", mode="full", mapping={"posta": "email"}, delimiter=";")
    drop = await dropping.open(options={"expected_rows": 1}, rules=[{"pattern": "raw_*", "profile": "none"}])
    assert (drop["profile"], drop["mode"], drop["rules"][0]["profile"], drop["rules"][0]["mode"]) == (
        None, None, "none", "incremental",
    )  # fmt: skip
    again = await http.patch(f"/v1/drops/{drop['id']}", json={"name": "again"})
    assert (again.json()["rules"], again.json()["mode"]) == (drop["rules"], None)
    for name, data in (
        ("CRM_1.csv", b"posta;name\nada@example.it;Ada\n"),
        ("other.csv", b"email,name\nada@example.it,Ada\n"),
        ("raw_crm_1.csv", b"email,name\nada@example.it,Ada\n"),
    ):
        await dropping.put(drop, name, data)
    taken = await dropping.taken(drop, 3)
    assert [one["state"] for one in taken] == ["received"] * 3
    made = {one["file"]["name"]: one for one in await dropping.imports()}
    used = {name: (one["mode"], one["options"]["profile"]) for name, one in made.items()}
    assert used == {
        "CRM_1.csv": ("full", profile),
        "other.csv": ("incremental", None),
        "raw_crm_1.csv": ("incremental", None),
    }
    assert made["CRM_1.csv"]["options"]["expected_rows"] == 1

    await save("back_*.csv", protect_cancellations=False)
    await dropping.put(drop, "back_1.csv")
    rejected, *_ = await dropping.taken(drop, 4)
    assert (rejected["state"], rejected["error"]["code"]) == ("rejected", "options.invalid")
    assert "/options/lawful_basis: say in `text` why" in rejected["error"]["detail"]


async def test_the_same_file_again_is_another_import(dropping: Dropping) -> None:
    drop = await dropping.open()
    for count in (1, 2):
        await dropping.put(drop, "people.csv")
        await dropping.taken(drop, count)
    assert len(await dropping.imports()) == 2
    assert len(dropping.names(drop, "done")) == 2


STEPS = (
    (drop_files, "take"),
    (inbox_taking, "take"),
    (inbox_taking, "held"),
    (drop_files, "received"),
    (inbox_taking, "archive"),
    (drop_files, "archived"),
    (inbox_taking, "put_report"),
    (drop_files, "told"),
)


class Killed(BaseException):
    """As if the process ended here: no handler of ours sees it."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), STEPS, ids=lambda part: getattr(part, "__name__", part))
async def test_a_crash_at_any_step_neither_loses_nor_doubles(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: bool
) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv.part")
    async with dropping.ssh(drop) as conn, conn.start_sftp_client() as sftp:
        await sftp.rename("/in/people.csv.part", "/in/people.csv")
    real = getattr(module, name)
    asynchronous = asyncio.iscoroutinefunction(real)
    died: list[bool] = []

    async def dying_async(*args: Any, **more: Any) -> Any:
        if after:
            await real(*args, **more)
        died.append(True)
        raise Killed

    def dying(*args: Any, **more: Any) -> Any:
        if after:
            real(*args, **more)
        died.append(True)
        raise Killed

    async def work() -> None:
        """One look, the reader, contacts, and another look."""
        await dropping.collector.look()
        for one in await dropping.imports():
            if one["state"] == "received":
                assert await dropping.ingest.read()
                await dropping.progress(one["id"], "applied", counts={"created": 2})
        await dropping.collector.look()

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying_async if asynchronous else dying)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await work()
    assert died

    dropping.collector = dropping.new_collector()
    for _ in range(3):
        await work()
    (only,) = await dropping.imports()
    assert only["state"] == "applied"
    assert dropping.report(drop)["import"] == only["id"]
    assert len(dropping.names(drop, "done")) == 1
    assert dropping.names(drop, "in") == []
    assert [one["state"] for one in await dropping.files(drop)] == ["received"]


async def test_two_collectors_take_a_file_once(dropping: Dropping) -> None:
    drop = await dropping.open()
    for number in range(5):
        await dropping.put(drop, f"{number}.csv")
    others = [dropping.new_collector() for _ in range(3)]

    async def all_taken() -> bool:
        await asyncio.gather(dropping.look(), *(one.look() for one in others))
        return len([one for one in await dropping.files(drop) if one["state"] == "received"]) == 5

    await dropping.until("all are taken", all_taken)
    await asyncio.gather(dropping.look(), *(one.look() for one in others))
    assert len(await dropping.imports()) == 5


async def test_a_file_waits_while_contacts_is_away(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv")
    lists, dropping.ingest.contacts.lists = dropping.ingest.contacts.lists, None  # type: ignore[assignment]

    async def waits() -> bool:
        await dropping.look()
        return [one["state"] for one in await dropping.files(drop)] == ["taking"]

    await dropping.door.close()
    await dropping.until("the file is out of reach and waits", waits)
    await dropping.look()
    assert dropping.names(drop, "rejected") == []
    dropping.ingest.contacts.lists = lists
    await dropping.door.open()
    (taken,) = await dropping.taken(drop)
    assert taken["state"] == "received"


async def test_what_was_kept_long_enough_goes(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.txt.part")
    await dropping.put(drop, "people.csv", b"")
    await dropping.taken(drop)
    await dropping.look()
    assert len(dropping.names(drop, "reports")) == 1

    async def gone() -> bool:
        # A process sweeps when it starts, and then every ten minutes.
        await dropping.new_collector(kept=0.01).look()
        return dropping.names(drop, "rejected") == dropping.names(drop, "reports") == []

    await dropping.until("what was kept has gone", gone)
    assert dropping.names(drop, "in") == ["people.txt.part"]
    assert await dropping.files(drop) == []


async def test_an_encrypted_file_is_opened_with_the_accounts_key(dropping: Dropping) -> None:
    drop = await dropping.open(pattern="*.csv")
    path = f"/v1/drops/{drop['id']}:pgp-key"
    first = (await dropping.ingest.http.post(path)).json()
    assert (await dropping.ingest.http.post(path)).json() == first
    renewed = (await dropping.ingest.http.post(path, json={"renew": True})).json()
    assert renewed["fingerprint"] != first["fingerprint"]

    def to(key: dict[str, Any], *, armor: bool) -> bytes:
        return encrypt(GOOD, [Cert.from_bytes(key["public_key"].encode())], armor=armor)

    await dropping.put(drop, "first.csv.pgp", to(first, armor=False))
    await dropping.put(drop, "renewed.csv.gpg", to(renewed, armor=True))
    await dropping.put(drop, "unnamed.csv", to(renewed, armor=False))
    await dropping.put(drop, "cut.csv.pgp", to(renewed, armor=False)[:-20])
    taken = {one["name"]: one for one in await dropping.taken(drop, 4)}
    codes = {name: one["error"] and one["error"]["code"] for name, one in taken.items()}
    assert codes == {
        "first.csv.pgp": None,
        "renewed.csv.gpg": None,
        "unnamed.csv": None,
        "cut.csv.pgp": "file.not_opened",
    }
    while await dropping.ingest.read():
        pass
    assert {(one["state"], one["counts"]["rows"]) for one in await dropping.imports()} == {("staged", 2)}
    taking = dropping.home(drop).parent / "taking"
    assert [name for name in os.listdir(taking) if "plain" in name] == []
    sealed = (await dropping.ingest.run("SELECT sealed_key FROM pgp_keys")).scalars().all()
    assert len(sealed) == 2


async def test_a_file_that_gnupg_encrypted_is_opened(dropping: Dropping, tmp_path_factory: Any) -> None:
    assert shutil.which("gpg"), "this test needs gpg: apt-get install gpg"
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    drop = await dropping.open(pattern="*.csv")
    key = (await dropping.ingest.http.post(f"/v1/drops/{drop['id']}:pgp-key")).json()

    async def gpg(*arguments: str, data: bytes) -> bytes:
        fixed = ("--homedir", str(home), "--batch", "--no-tty", "--no-autostart", "--trust-model", "always")
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "gpg", *fixed, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
        )
        made, aside = await asyncio.wait_for(child.communicate(data), 30)
        assert child.returncode == 0, aside.decode()
        return made

    await gpg("--import", data=key["public_key"].encode())
    ways = {
        "usual.csv.gpg": (),
        "armoured.csv": ("--armor",),
        "zlib.csv.pgp": ("--compress-algo", "zlib", "--cipher-algo", "AES128"),
        "flat.csv": ("--compress-algo", "none"),
        "bzip2.csv.gpg": ("--compress-algo", "bzip2"),
    }
    data = b"email,name\n" + b"".join(b"p%d@example.it,Zo\xc3\xab\n" % n for n in range(500))
    for name, options in ways.items():
        asked = ("--recipient", key["fingerprint"], *options, "--encrypt")
        await dropping.put(drop, name, await gpg(*asked, data=data))
    taken = {
        one["name"]: one["error"] and one["error"]["code"] for one in await dropping.taken(drop, len(ways))
    }
    assert taken == dict.fromkeys(ways) | {"bzip2.csv.gpg": "file.not_opened"}
    while await dropping.ingest.read():
        pass
    made = await dropping.imports()
    assert [one["counts"]["rows"] for one in made] == [500] * 4
    assert {one["file"]["sha256"] for one in made} == {hashlib.sha256(data).hexdigest()}


async def test_a_suspended_account_is_not_served(dropping: Dropping) -> None:
    drop = await dropping.open()
    await dropping.put(drop, "people.csv")
    accounts = dropping.ingest.contacts.accounts
    (row,) = {one.account_id: one for one in accounts.values()}.values()
    shut = row.model_copy(update={"state": "suspended", "version": row.version + 100})
    for name in list(accounts):
        accounts[name] = shut
    await dropping.keyring.pull()
    with pytest.raises(asyncssh.PermissionDenied):
        await dropping.ssh(drop)
    collector = dropping.new_collector(stable=0.001)
    await collector.look()
    assert dropping.names(drop, "in") == ["people.csv"]


async def test_rows_of_another_account_are_not_seen_by_a_transaction(ingest: Ingest) -> None:
    """Row-level security alone, without the doors' own checks."""
    async with Dropping(ingest) as dropping:
        drop = await dropping.open()
        other, _ = ingest.contacts.account_key()
        async with ingest.db.account(other) as tx:
            for table in ("drops", "drop_files", "pgp_keys"):
                assert await tx.driver.fetchval(f"SELECT count(*) FROM {table}") == 0
        async with ingest.db.account(ingest.account) as tx:
            assert await tx.driver.fetchval("SELECT id FROM drops") == UUID(drop["id"])
