"""integration: a file that was exported and is imported as it is changes nothing, whatever the contacts hold."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.run_exports import RunExports
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.readers.job import Job
from mailmaker.ingest.readers.opened import opened
from mailmaker.ingest.readers.scan import Scan
from mailmaker.ingest.readers.stage import stage

OWN: list[dict[str, Any]] = [
    {"name": "note", "type": "text"},
    {"name": "points__2_", "type": "number"},
    {"name": "vip", "type": "boolean"},
    {"name": "since", "type": "date"},
    {"name": "sign", "type": "enum", "values": ["=1", "'-2", "@", "Ærø", "#N/A"]},
]
STARTS = [
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "＝",
    "＋",
    "－",
    "＠",
    "'",
    "''",
    "'=",
    "'12",
    "#N/A",
    "#rif!",
    "'#REF!",
    "3E+11",
]
NASTY = [
    "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "@example.it", "'@example.it", "'+39", "''", "'", "#N/D", "#n/a",
    "3,48E+11",
    "_x0041_", "_x005F_x0041_", "1,5", "00123", '"', 'a"b', "a;b|c", "NULL", "\\N", "\\.", "sep=;", "true", "1.50",
    "2020-01-01",
    "<b>&amp;</b>", " x ", "\u00a0=1", "a\tb",
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(NASTY),
    st.builds(str.__add__, st.sampled_from(STARTS), st.text(max_size=8)),
    st.text(max_size=12),
)
contacts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("fkey", "name", "surname", "city", "province", "region", "postal_code"), texts),
        "mobile": st.sampled_from(["+393331234567", "347 123 4567", "+447400123456"]),
        "sex": st.sampled_from(["M", "F", "X"]),
        "birth_date": st.dates(date(1900, 1, 1), date(2020, 1, 1)).map(str),
        "country": st.sampled_from(["IT", "no"]),
        "language": st.sampled_from(["it", "en-GB"]),
        "note": texts,
        "points__2_": st.one_of(
            st.integers(-(10**20), 10**20),
            st.floats(-1e20, 1e20, allow_nan=False).map(lambda n: n if n == 0 or abs(n) > 1e-25 else 0),
            st.sampled_from([-5, 0.1, 1e15, 123456789012345678, -0.0, 1e-7, 1e29]),
        ),
        "vip": st.booleans(),
        "since": st.dates().map(str),
        "sign": st.sampled_from(["=1", "'-2", "@", "Ærø", "#N/A"]),
    },
)


@dataclass
class Walk:
    """A list at the doors of the house, and the reader of files."""

    rig: Rig
    client: Client

    async def open_list(self, key: str) -> UUID:
        list_id = await self.client.open_list(key)
        answer = await self.client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": OWN})
        assert answer.status_code == 200, answer.text
        return list_id

    async def put(self, list_id: UUID, contact: dict[str, Any]) -> bool:
        """False where the door refuses the contact."""
        own = {field["name"] for field in OWN}
        body = {name: value for name, value in contact.items() if name not in own}
        body["custom"] = {name: value for name, value in contact.items() if name in own}
        answer = await self.client.ask("PUT", f"/v1/lists/{list_id}/contacts", body)
        assert answer.status_code in (200, 201, 422), answer.text
        return answer.status_code != 422

    async def exported(self, list_id: UUID, form: str) -> bytes:
        asked = await self.client.ask("POST", f"/v1/lists/{list_id}/exports", {"format": form})
        assert await RunExports(self.rig.house).step()
        path = f"/v1/lists/{list_id}/exports/{asked.json()['id']}"
        found = await self.client.ask("GET", path)
        assert found.json()["state"] == "ready", found.text
        return (await self.client.ask("GET", found.json()["download_url"])).content

    async def imported(self, list_id: UUID, key: str, data: bytes) -> dict[str, int]:
        """What the plan of the file says."""
        with tempfile.TemporaryDirectory() as folder:
            answer, staged, outline = read(Path(folder), data, key, await self.fields(list_id))
        assert answer.code is None, answer
        import_id = str(new_id())
        self.rig.ingest.files[import_id], self.rig.ingest.outlines[import_id] = staged, outline
        await self.rig.hear(
            self.client, list_id, import_id, answer.staged, list(answer.fields), told=answer.rows
        )
        while await self.rig.imports.step():
            pass
        plan = (await self.client.ask("GET", f"/v1/plans/{import_id}")).json()
        assert (plan["state"], answer.rejected, answer.duplicate) == ("applied", 0, 0), (plan, answer)
        return dict(plan["counts"])

    async def fields(self, list_id: UUID) -> tuple[Field, ...]:
        row = (await self.rig.inside(f"/internal/lists/{list_id}")).json()
        return tuple(Field(f["name"], f["type"], True, tuple(f["values"]), f["key"]) for f in row["fields"])


def read(folder: Path, data: bytes, key: str, custom: tuple[Field, ...]) -> tuple[Any, bytes, bytes]:
    """The file as ingest's children open and stage it."""
    (folder / "upload").write_bytes(data)
    scan = Scan()
    scan.feed(data)
    told = scan.end()
    names = {name: str(folder / name) for name in ("upload", "staged", "outline", "rejects")}
    about = {"key": key, "country": "IT", "today": date.today().isoformat(), "custom": custom}
    job = Job(**names, **about, task="open", not_utf8_at=told.not_utf8_at, line_ends=told.line_ends)  # type: ignore[arg-type]
    found = opened(job)
    assert not found.faults, found.faults
    if found.plain:
        (folder / "staged").rename(folder / "upload")
    job = Job(
        **names, **about, encoding=found.encoding, delimiter=found.delimiter, not_utf8_at=found.not_utf8_at
    )  # type: ignore[arg-type]
    answer = stage(job, lambda _: None)
    rejects = (folder / "rejects").read_text() if answer.rejected else ""
    assert not rejects, rejects
    return answer, (folder / "staged").read_bytes(), (folder / "outline").read_bytes()


@pytest.fixture
async def walk(rig: Rig) -> Walk:
    return Walk(rig, await rig.client())


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@settings(
    max_examples=int(os.environ.get("EXAMPLES", "25")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(people=st.lists(contacts, min_size=1, max_size=8), key=st.sampled_from(["email", "fkey"]))
@example(people=[{"name": text, "fkey": text, "note": text} for text in NASTY], key="email")
@example(people=[{"surname": "n" + text, "fkey": text} for text in NASTY], key="fkey")
@example(people=[{"mobile": "+393331234567", "fkey": "-5", "sign": "'-2", "points__2_": -5}], key="fkey")
async def test_what_goes_out_comes_back_unchanged(
    walk: Walk, form: str, people: list[dict[str, Any]], key: str
) -> None:
    # Nothing runs between two examples, the worker that asks for new keys neither.
    await walk.rig.keyring.pull()
    list_id = await walk.open_list(key)
    for number, one in enumerate(people):
        # Local parts may begin with what a formula begins with.
        local = "=+-'x"[number % 5] + f"{number}"
        await walk.put(list_id, {**one, "email": f"{local}@example.it"})
    there = (await walk.client.ask("GET", f"/v1/lists/{list_id}/contacts", params={"limit": 1000})).json()
    if not there["items"]:
        return
    counts = await walk.imported(list_id, key, await walk.exported(list_id, form))
    assert counts["unchanged"] == len(there["items"]), (counts, there["items"])
    after = (await walk.client.ask("GET", f"/v1/lists/{list_id}/contacts", params={"limit": 1000})).json()
    assert after == there
