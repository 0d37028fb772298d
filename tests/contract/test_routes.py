"""contract: every route says who may call it; POST, PUT, PATCH and DELETE are never open by accident."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.commands.placeholders import placeholder_settings
from mailmaker.common.ops.lifecycle import houses
from mailmaker.common.web.auth import May, MayOperate, OneOf, internal_only
from mailmaker.common.web.scopes import SCOPES

PUBLIC = {"/u/{token}", "/f/{form}", "/confirm/{token}", "/c/{token}", "/o/{token}", "/s/{asset}"}
"""Doors that carry their own signed token, or change nothing."""

LOOKS = (":preview", ":preflight", ":count", "/exports")
"""POSTs that only look."""


def routes() -> Iterator[tuple[str, APIRoute]]:
    for name, house in houses().items():
        settings, shared = placeholder_settings(house)
        app = asyncio.run(house.build(settings, shared, MemoryBus())).app
        for route in _api_routes(app.routes):
            if route.include_in_schema or route.path.startswith("/internal"):
                yield name, route


def _api_routes(found: object) -> Iterator[APIRoute]:
    for route in found:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _api_routes(route.original_router.routes)


ROUTES = list(routes())


def guards(route: APIRoute) -> list[object]:
    found, todo = [], [route.dependant]
    while todo:
        dependant = todo.pop()
        todo += dependant.dependencies
        if isinstance(dependant.call, May | MayOperate | OneOf) or dependant.call is internal_only:
            found.append(dependant.call)
    return found


def test_there_are_routes_to_check() -> None:
    assert len(ROUTES) > 40
    assert {house for house, _ in ROUTES} == {"contacts", "ingest", "dispatch", "suppression", "fbl"}


@pytest.mark.parametrize(
    ("house", "route"), ROUTES, ids=[f"{h} {sorted(r.methods)} {r.path}" for h, r in ROUTES]
)
def test_a_route_says_who_may_call_it(house: str, route: APIRoute) -> None:
    if route.path in PUBLIC:
        return
    found = guards(route)
    assert found, "declare `may(scope)`, `may_operate()` or `internal_only`"
    assert (internal_only in found) == route.path.startswith("/internal")
    for guard in found:
        if isinstance(guard, May | OneOf):
            assert guard.scope in SCOPES
            if isinstance(guard, May) and not route.methods <= {"GET", "HEAD"}:
                assert guard.scope.endswith(":write") or route.path.endswith(LOOKS), (
                    "a read scope may not write"
                )


@pytest.mark.parametrize("house", houses().values(), ids=lambda h: h.name)
def test_the_front_door_finds_every_route_and_no_internal_one(house: object) -> None:
    name, paths = house.name, house.paths  # type: ignore[attr-defined]
    for owner, route in ROUTES:
        if route.path.startswith("/internal"):
            continue
        assert route.path.startswith(tuple(paths)) == (owner == name), f"{route.path} of {owner} and {name}"
