"""Calls that an account makes with the ids of another one: made from the houses' own OpenAPI documents, at random."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core import NotSet

HOUSES = ("contacts", "ingest", "dispatch", "suppression", "fbl")
DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
Ids = Mapping[str, list[str]]
"""What a parameter or a field of that name means -> ids of the account that is to be seen nothing of."""
Sent = tuple[str, str, httpx.Response]


def operations() -> Iterator[Any]:
    """Every call that any house publishes."""
    for house in HOUSES:
        document = json.loads((DOCUMENTS / f"{house}.json").read_text(encoding="utf-8"))
        for calls in document["paths"].values():
            for call in calls.values():
                _only_bodies_we_make(call)
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            yield found.ok()


def _only_bodies_we_make(call: dict[str, Any]) -> None:
    content = call.get("requestBody", {}).get("content", {})
    for kind in content.keys() - {"application/json", "multipart/form-data"}:
        del content[kind]


def sweep(http: httpx.Client, operation: Any, ids: Ids, number: int, look: Callable[[Sent], None]) -> None:
    """Makes the call `number` times with generated values, every id among them replaced, and shows each answer."""
    random = Random(f"{operation.method} {operation.path}")

    @seed(7)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def one(case: Any) -> None:
        method, path = operation.method.upper(), _path(operation.path, ids, random)
        look((method, path, http.request(method, path, **_carried(case, ids, random))))

    one()


def _path(template: str, ids: Ids, random: Random) -> str:
    for name, known in ids.items():
        template = template.replace(f"{{{name}}}", random.choice(known))
    assert "{" not in template, f"the test knows no id for {template}"
    return template


def _carried(case: Any, ids: Ids, random: Random) -> dict[str, Any]:
    query = {name: _replaced(name, value, ids, random) for name, value in (case.query or {}).items()}
    more: dict[str, Any] = {"params": {name: value for name, value in query.items() if value is not None}}
    if case.media_type == "multipart/form-data":
        options = {
            "list": random.choice(ids["list"]),
            "mode": "full",
            "profile": random.choice(ids["profile"]),
        }
        more["files"] = {"file": ("a.csv", b"email\na@x.test\n"), "options": (None, json.dumps(options))}
    elif not isinstance(case.body, NotSet):
        more["content"] = json.dumps(_replaced("", case.body, ids, random))
        more["headers"] = {"content-type": "application/json"}
    return more


def _replaced(name: str, value: Any, ids: Ids, random: Random) -> Any:
    """The same value with ids of the other account in it, wherever a name or a form asks for one."""
    if isinstance(value, dict):
        return {key: _replaced(key, inner, ids, random) for key, inner in value.items()}
    if isinstance(value, list):
        if name in ids:
            return [random.choice(ids[name])]
        return [_replaced(name, inner, ids, random) for inner in value]
    if isinstance(value, str) and name in ids:
        return random.choice(ids[name])
    return random.choice(ids["id"]) if isinstance(value, str) and _is_id(value) else value


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
