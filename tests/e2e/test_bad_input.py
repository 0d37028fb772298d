"""Bad input at each door gets an answer that names the field or the line, and nothing is lost."""

from __future__ import annotations

import asyncio
import csv
import io
import smtplib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from e2e_rig import Rig, options, sample, sent_by_curl
from mailmaker.common.storage.ids import new_id

GOOD = "email,name,birth_date\r\nada@posta.test,Ada,1980-02-29\r\n"


@pytest.fixture
async def http(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with sent_by_curl(rig.stage.dev["base_url"], rig.stage.dev["account_key"]) as client:
        yield client


def problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = answer.json()
    assert set(body) >= {"type", "title", "status", "code", "detail", "errors"}
    return body


async def upload(http: httpx.AsyncClient, list_id: str, content: bytes, **more: Any) -> httpx.Response:
    return await http.post(
        "/v1/imports", files={"file": ("file.csv", content, "text/csv")}, data=options(list_id, **more)
    )


async def verdict_of(rig: Rig, answer: httpx.Response) -> tuple[str, str]:
    """A file may be refused at once or after it was read: the code and words, either way."""
    if answer.status_code == 202:
        found = await rig.client.wait(
            f"/v1/imports/{answer.json()['id']}", ("applied", "failed", "rejected", "quarantined"), seconds=60
        )
        assert found["state"] in ("failed", "rejected", "quarantined"), found
        return found["error"]["code"], found["error"]["detail"]
    body = problem(answer, 400, 413, 422)
    return body["code"], body["detail"] + str(body["errors"])


async def contacts_of(rig: Rig, list_id: str) -> list[str]:
    return sorted(item["email"] for item in await rig.every(f"/v1/lists/{list_id}/contacts"))


async def test_files_that_cannot_be_read(rig: Rig, http: httpx.AsyncClient) -> None:
    list_id, _ = await rig.list_of("bad files", None)
    for content, more in (
        (b"", {}),
        (b"email,name\r\n\xff\xfe\x00broken\x81,\xc3\r\n", {"encoding": "utf-8"}),
        (b"colour,shape\r\nred,round\r\n", {}),
    ):
        code, words = await verdict_of(rig, await upload(http, list_id, content, **more))
        assert code
        assert words
        assert await contacts_of(rig, list_id) == []


async def test_a_row_with_an_impossible_date_is_named_by_its_line(rig: Rig, http: httpx.AsyncClient) -> None:
    list_id, _ = await rig.list_of("bad row", None)
    content = (GOOD + "bob@posta.test,Bob,1979-02-30\r\nnot an address,Eve,1990-01-01\r\n").encode()
    answer = await upload(http, list_id, content)
    assert answer.status_code == 202, answer.text
    done = await rig.client.wait(
        f"/v1/imports/{answer.json()['id']}", ("applied", "failed", "quarantined"), seconds=60
    )
    assert (done["counts"]["rows"], done["counts"]["rejected"], done["counts"]["created"]) == (3, 2, 1)
    rejects = await http.get(f"/v1/imports/{done['id']}/rejects")
    rows = list(csv.DictReader(io.StringIO(rejects.text)))
    assert [(row["_line"], row["_field"]) for row in rows] == [("3", "birth_date"), ("4", "email")]
    assert all(row["_code"] and row["_message"] for row in rows)
    assert rows[0]["email"] == "bob@posta.test"
    assert await contacts_of(rig, list_id) == ["ada@posta.test"]


async def test_unknown_things_and_wrong_options_are_named(rig: Rig, http: httpx.AsyncClient) -> None:
    body = problem(await upload(http, str(new_id()), GOOD.encode()), 404, 422)
    assert [one["pointer"] for one in body["errors"]] == ["/options/list"]
    list_id, _ = await rig.list_of("options", None)
    body = problem(await upload(http, list_id, GOOD.encode(), mode="sideways"), 422)
    assert [one["pointer"] for one in body["errors"]] == ["/options/mode"]
    answer = await http.post("/v1/imports", files={"file": ("f.csv", b"x")}, data={"options": "{"})
    assert problem(answer, 400, 422)["errors"][0]["pointer"] == "/options"
    wish = {
        "channel": "email",
        "email": "nobody at all",
        "scope": "list",
        "list": list_id,
        "reason": "unsubscribe",
    }
    body = problem(await http.post("/v1/suppressions", json=wish), 422)
    assert [one["pointer"] for one in body["errors"]] == ["/email"]
    body = problem(await http.post("/v1/lists", json={"name": ""}), 422)
    assert "/name" in [one["pointer"] for one in body["errors"]]
    for path in (
        f"/v1/lists/{new_id()}",
        f"/v1/mailings/{new_id()}",
        f"/v1/imports/{new_id()}",
        f"/v1/reports/{new_id()}",
    ):
        problem(await http.get(path), 404)
    wrong_key = {"Authorization": "Bearer mm_live_wrong"}
    assert problem(await http.get("/v1/lists", headers=wrong_key), 401)["code"] == "unauthorised"


async def test_an_oversized_upload_is_refused_before_it_is_read(rig: Rig, http: httpx.AsyncClient) -> None:
    list_id, _ = await rig.list_of("oversized", None)
    where = urlsplit(rig.stage.dev["base_url"])
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(
        (
            f"POST /v1/imports HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: {http.headers['authorization']}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {3 * 1024**3}\r\nConnection: close\r\n\r\n"
            f'--b\r\nContent-Disposition: form-data; name="options"\r\n\r\n{options(list_id)["options"]}\r\n'
        ).encode()
    )
    # Head and body may come apart, and who closes would hear no more of them.
    answer = await asyncio.wait_for(reader.readuntil(b"upload.too_large"), 30)
    writer.close()
    assert b" 413 " in answer.splitlines()[0]
    assert await contacts_of(rig, list_id) == []


async def test_a_forged_token_is_nobodys_no(rig: Rig) -> None:
    list_id, _ = await rig.list_of("forged", sample(20, 18, rig.directory))
    (reader, *_) = await rig.readers(list_id, 5)
    base, _, token = reader.url.rpartition("/")
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    async with httpx.AsyncClient(timeout=30, trust_env=False, follow_redirects=False) as public:
        for wrong in (forged, "a" * 56, token[:-1], "nothing"):
            assert (await public.get(f"{base}/{wrong}")).status_code == 404
            assert (
                await public.post(f"{base}/{wrong}", data={"List-Unsubscribe": "One-Click"})
            ).status_code == 404
    mailto = reader.mailto[:57] + ("a" if reader.mailto[57] != "a" else "b") + reader.mailto[58:]
    assert await _smtp(rig, mailto, b"Subject: x\r\n\r\n") == 550
    page = await rig.client.send("GET", "/v1/suppressions", params={"email": reader.address})
    assert page["items"] == []


async def test_a_30_mb_unsubscribe_mail_is_refused_aloud_and_a_small_one_is_heard(rig: Rig) -> None:
    list_id, _ = await rig.list_of("huge", sample(20, 19, rig.directory))
    (reader, *_) = await rig.readers(list_id, 5)
    line = b"x" * 76 + b"\r\n"
    assert (
        await _smtp(rig, reader.mailto, b"Subject: unsubscribe\r\n\r\n" + line * (30_000_000 // len(line)))
        == 552
    )
    assert await _smtp(rig, reader.mailto, b"Subject: unsubscribe\r\n\r\nplease\r\n") == 250
    doors = rig.doors(list_id)
    try:
        said = await rig.enforced(doors, await doors.say(reader, "mail"))
    finally:
        await doors.close()
    assert said.enforced_at is not None


async def _smtp(rig: Rig, rcpt: str, mail: bytes) -> int:
    """The last code of one SMTP transaction."""
    host, _, port = str(rig.stage.dev["inbound_smtp"]).rpartition(":")

    def talk() -> int:
        with smtplib.SMTP(host, int(port), timeout=60) as smtp:
            smtp.ehlo("tests.example.com")
            smtp.mail("ada@posta.test")
            code, _ = smtp.rcpt(rcpt)
            return code if code != 250 else smtp.data(mail)[0]

    return await asyncio.to_thread(talk)
