"""integration: `mailmaker import --plan` ends when the plan that was approved has to be looked at again."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from mailmaker.common.commands import api
from mailmaker.common.commands.import_file import WAITS, Order, import_file

LIST = "0198c5a0-0000-7000-8000-000000000001"


def seen(state: str, at: int, error: str | None = None) -> dict[str, Any]:
    """An import as its door shows it."""
    fault = error and {"code": error, "detail": "look again"}
    progress = {"done": 1, "total": 1}
    return {"id": "i", "state": state, "updated_at": str(at), "error": fault, "progress": progress}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("state", ["planned", "quarantined"])
def test_a_plan_that_waits_anew_is_told(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = seen(state, 1), seen("quarantined", 2, "plan.changed")
    views, asked = [seen("staged", 0), first, first, first, again], []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.method == "POST":
            return httpx.Response(200, json={"id": "i"})
        if request.url.path.endswith("/rows"):
            return httpx.Response(200, json={"items": []})
        return httpx.Response(200, json=views.pop(0))

    told = functools.partial(httpx.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(api.httpx, "Client", told)
    monkeypatch.setattr(api, "_POLL", 0)
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")
    order = Order(file, LIST, "full", plan=True, yes=True)
    assert import_file(api.Where("http://platform", "key"), order, as_json=True) == WAITS
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "plan.changed"
    assert asked.count("POST /v1/imports/i:approve") == 1
