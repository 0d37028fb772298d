"""e2e: `mailmaker up` is one machine: it tells where it is, keeps its services alive, and continues where it was."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mailmaker.common.embedded.ports import free_port
from mailmaker.common.embedded.process import Child
from mailmaker.common.ops.lifecycle import house_names
from mailmaker.common.testing.processes import command_line, descendants, is_alive, wait_until

TOLD = {
    "base_url",
    "operator_key",
    "account_key",
    "account_id",
    "inbound_smtp",
    "sftp",
    "ftps",
    "sandbox",
    "database_url",
    "kafka",
}


@contextmanager
def machine(directory: Path, *options: str) -> Iterator[tuple[Child, Mapping[str, Any]]]:
    """`mailmaker up`, ready; stopped by SIGTERM, which must end it well and leave nothing."""
    dev = directory / "state" / "dev.json"
    script = Path(sys.executable).with_name("mailmaker")
    dev.unlink(missing_ok=True)
    up = Child([sys.executable, script, "up", "--state", dev.parent, *options], log=directory / "up.log")
    try:
        yield up, ready(up, dev)
        family = descendants(up.pid)
        assert up.stop(signal.SIGTERM, 60) == 0, up.last_words()
        assert not [command_line(pid) for pid in family if is_alive(pid)]
    finally:
        up.stop(signal.SIGTERM, 60)


def ready(up: Child, dev: Path) -> Mapping[str, Any]:
    wait_until(lambda: dev.exists() or not up.alive, "dev.json is written", 150)
    assert up.alive, up.last_words()
    told: dict[str, Any] = json.loads(dev.read_text())
    wait_until(lambda: is_well(told["base_url"]), "the front door is ready", 60)
    assert set(told) == TOLD
    assert stat.S_IMODE(dev.stat().st_mode) == 0o600
    return told


def is_well(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/readyz", trust_env=False, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def services(up: Child) -> dict[int, str]:
    lines = {pid: command_line(pid) for pid in descendants(up.pid)}
    said = "mailmaker run "
    return {pid: line.rpartition(said)[2] for pid, line in lines.items() if said in line}


def is_back(up: Child, pid: int, houses: list[str]) -> bool:
    now = services(up)
    return pid not in now and sorted(now.values()) == houses


def is_running(up: Child, part: str) -> bool:
    return any(part in command_line(pid) for pid in descendants(up.pid))


class Lists:
    """The account's lists: something to find again."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._url = f"{told['base_url']}/v1/lists"
        self._headers = {"Authorization": f"Bearer {told['account_key']}"}

    def open(self, name: str) -> None:
        wish = {"name": name, "key": "email", "controller": {"name": "Rossi", "email": "privacy@example.com"}}
        answer = httpx.post(self._url, json=wish, headers=self._headers, trust_env=False, timeout=20)
        assert answer.status_code == 201, answer.text

    def names(self) -> list[str]:
        answer = httpx.get(self._url, headers=self._headers, trust_env=False, timeout=20)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]


def test_services_are_kept_alive_and_a_second_start_continues(tmp_path: Path) -> None:
    with machine(tmp_path, "--port", str(free_port())) as (up, first):
        assert first["kafka"]
        before = services(up)
        houses = sorted(before.values())
        assert set(houses) == set(house_names())
        Lists(first).open("kept")
        for pid, house in before.items():
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: is_back(up, pid, houses), f"{house} is back", 2)
        wait_until(lambda: is_well(first["base_url"]), "all of them are ready again", 60)
        assert Lists(first).names() == ["kept"]

        for part in ("postgres -D", "kafka.Kafka", "testing.sink"):
            (pid,) = [pid for pid in descendants(up.pid) if part in command_line(pid)]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: is_well(first["base_url"]), f"everything is ready without {part}", 60)
            wait_until(lambda part=part: is_running(up, part), f"{part} is back", 30)
        Lists(first).open("after")

    with machine(tmp_path) as (_, second):  # the port too is remembered
        same = ("base_url", "operator_key", "account_key", "account_id")
        assert {name: second[name] for name in same} == {name: first[name] for name in same}
        assert set(Lists(second).names()) == {"kept", "after"}


def test_without_kafka_all_services_are_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(tmp_path, "--bus", "memory", "--port", str(free_port())) as (up, told):
        assert told["kafka"] is None
        assert list(services(up).values()) == ["all"]
        Lists(told).open("kept")

    monkeypatch.setenv("MAILMAKER_JAVA", str(tmp_path / "nowhere"))
    with machine(tmp_path) as (up, told):
        assert told["kafka"] is None
        assert "NO KAFKA: MAILMAKER_JAVA" in (tmp_path / "up.log").read_text()
        assert list(services(up).values()) == ["all"]
        assert Lists(told).names() == ["kept"]
