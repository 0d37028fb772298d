"""embedded: what a state directory keeps, and what `up` may be asked for."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from mailmaker.common.embedded import ports as ports_of
from mailmaker.common.embedded import postgres_home
from mailmaker.common.embedded.errors import AlreadyUp
from mailmaker.common.embedded.infrastructure import PostgresHere
from mailmaker.common.embedded.options import BusKind, UpOptions, scale_of
from mailmaker.common.embedded.plan import as_role, draw, in_database
from mailmaker.common.embedded.ports import Ports, free_port
from mailmaker.common.embedded.state import State

HOUSES = ("contacts", "dispatch")


def test_secrets_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    made = State(tmp_path / "s").secret("pepper", lambda: "first")
    again = State(tmp_path / "s").secret("pepper", lambda: "second")
    assert (made, again) == ("first", "first")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "s" / "secrets.json").stat().st_mode) == 0o600


def test_one_launcher_a_directory(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.hold()
    with pytest.raises(AlreadyUp, match=f"process {os.getpid()}"):
        State(tmp_path).hold(patience=0)
    state.release()
    state.hold(patience=0)
    state.release()


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json").get("a")
    ports = Ports(tmp_path / "ports.json")
    assert ports.get("a") == first
    assert ports.renew("a") != first


def test_a_port_that_nobody_has_bound_yet_is_not_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL, Kafka and the services each remember their own, and all are drawn before the services start."""
    first = free_port()
    monkeypatch.setattr(ports_of, "_RANGE", range(first, first + 200))
    drawn = [Ports(tmp_path / f"{number}.json").get("a") for number in range(50)]
    assert len({first, *drawn}) == 51


def test_plan_is_the_same_at_each_start(tmp_path: Path) -> None:
    plans = [draw(State(tmp_path), UpOptions(tmp_path), HOUSES) for _ in range(2)]
    told = [plan.environment(plan.places[:1], "postgresql://admin:x@127.0.0.1:1/db", "k:1") for plan in plans]
    assert told[0] == told[1]
    assert told[0]["MAILMAKER_CONTACTS_DATABASE_URL"].startswith("postgresql://mailmaker_contacts:")
    assert told[0]["MAILMAKER_DISPATCH_URL"] == plans[0].places[1].url
    assert [place.name for place in plans[0].places][:3] == ["contacts", "dispatch", "dispatch-2"]
    assert [place.name for place in plans[0].in_one_process().places] == list(HOUSES)


def test_role_replaces_who_asks_and_nothing_else() -> None:
    assert as_role("postgresql://a:b@h:1/db?ssl=x", "fbl", "p") == "postgresql://mailmaker_fbl:p@h:1/db?ssl=x"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": {"contacts": 2}},
        {"scale": {"dispatch": 0}},
        {"scale": {"dispatch": 2}, "bus": BusKind.MEMORY},
        {"port": 0},
        {"port": 65536},
        {"smarthost": "here"},
        {"smarthost": ":25"},
    ],
)
def test_wishes_that_cannot_be_met_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="--"):
        UpOptions(**wrong)  # type: ignore[arg-type]


def test_scale_is_house_and_number() -> None:
    assert scale_of(["dispatch=3"]) == {"dispatch": 3}
    with pytest.raises(ValueError, match="HOUSE=NUMBER"):
        scale_of(["dispatch"])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that anybody may pass through, as /srv would be; tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="mailmaker-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


async def test_root_without_namespaces_lets_nobody_run_postgresql(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        monkeypatch.setattr(postgres_home, "_works", lambda command: False)
    monkeypatch.delenv("MAILMAKER_DATABASE_URL", raising=False)
    state = State(open_folder / "state")
    here = PostgresHere(state)
    assert here.server is not None
    try:
        url = await here.open()
        connection = await asyncpg.connect(url, timeout=10)
        assert await connection.fetchval("SELECT current_database()") == "mailmaker"
        await connection.close()
        assert state.directory.stat().st_mode & 0o066 == 0
    finally:
        await asyncio.to_thread(here.server.stop)


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mailmaker.common.cli", *words]
    return subprocess.run(line, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)


def test_commands_say_what_they_need() -> None:
    for words, needed in {
        ("run", "nobody"): "there is no service nobody",
        ("run", "contacts"): "MAILMAKER_KAFKA is empty",
        ("migrate",): "MAILMAKER_ADMIN_DATABASE_URL",
        ("up", "--bus", "pigeon"): "pigeon",
    }.items():
        told = command(*words)
        assert told.returncode != 0
        assert needed in told.stderr
        assert "Traceback" not in told.stderr


async def test_migrate_and_check_tell_whether_services_could_start(postgres: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres, timeout=10)
    await connection.execute("CREATE DATABASE commands")
    await connection.close()
    url = in_database(postgres, "commands")
    plan = draw(State(tmp_path), UpOptions(tmp_path), HOUSES)
    told = plan.environment(plan.places[:2], url, "")

    before = json.loads((await asyncio.to_thread(command, "check", "contacts", "--json", **told)).stdout)
    assert before["contacts settings"] is None
    assert before["contacts database"] is not None
    migrated = await asyncio.to_thread(
        command, "migrate", "contacts", "--json", **told, MAILMAKER_ADMIN_DATABASE_URL=url
    )
    assert list(json.loads(migrated.stdout)) == ["contacts"]
    after = await asyncio.to_thread(command, "check", "contacts", "--json", **told)
    assert json.loads(after.stdout) == {
        "shared settings": None,
        "contacts settings": None,
        "contacts database": None,
        "Kafka": "MAILMAKER_KAFKA is empty",
    }
    assert after.returncode == 1
