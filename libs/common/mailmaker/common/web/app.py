"""common.web.app: a house's HTTP application: problems, health, figures, request ids, limits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.metrics import CONTENT_TYPE, Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.auth import internal_only
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import MEDIA_TYPE, Fault, Invalid, NotFound, Problem, ProblemBody
from mailmaker.common.web.rate import RateLimits
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 16 * 1024 * 1024
Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None when well, else what is missing."""


class TooLarge(Problem):
    """The body is larger than this door takes."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


def create_app(
    house: str,
    routers: Sequence[APIRouter],
    *,
    shared: Shared,
    keyring: KeyRing,
    metrics: Metrics,
    ready: Mapping[str, Check],
    state: object,
    description: str = "",
    unlimited: Sequence[str] = (),
) -> FastAPI:
    """The application of one house. `state` is what its doors use (`request.app.state.house`); `unlimited` names path
    prefixes that limit their bodies themselves."""
    app = FastAPI(
        title=f"Mail-Maker {house}",
        version="1",
        description=description,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses={
            "4XX": {"model": ProblemBody, "content": {MEDIA_TYPE: {}}, "description": "A problem (RFC 9457)"}
        },
    )
    app.state.shared, app.state.keyring, app.state.house, app.state.ready = (
        shared,
        keyring,
        state,
        dict(ready),
    )
    app.state.limits = RateLimits(shared.rate_limit, shared.rate_window)
    for router in routers:
        app.include_router(router)
    app.include_router(_health(house, metrics))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(_Envelope, house=house, metrics=metrics, unlimited=tuple(unlimited))
    return app


def _health(house: str, metrics: Metrics) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("alive")

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        checks: dict[str, Check] = request.app.state.ready
        missing = {name: why for name, check in checks.items() if (why := await check()) is not None}
        return JSONResponse({"ready": not missing, "missing": missing}, status_code=503 if missing else 200)

    @router.get("/metrics")
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @router.get("/version")
    async def release() -> dict[str, str]:
        return {"service": house, "version": version("mailmaker")}

    @router.get("/internal/known/{account_id}", dependencies=[Depends(internal_only)])
    async def known(request: Request, account_id: UUID) -> Response:
        """Whether this house knows an account: a launcher is ready when all of them know its first one."""
        keyring: KeyRing = request.app.state.keyring
        return Response(status_code=200 if await keyring.account(account_id) else 404)

    return router


def _answer(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.body().model_dump(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


async def _problem(_: Request, wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, Problem)
    return _answer(wrong)


async def _invalid(_: Request, wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, RequestValidationError)
    return _answer(
        Invalid("the fields named in `errors` are wrong", faults=[_fault(e) for e in wrong.errors()])
    )


def _fault(error: Mapping[str, Any]) -> Fault:
    place = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"][1:]]
    return Fault("/" + "/".join(place) if place else "", str(error["type"]), str(error["msg"]))


async def _http(_: Request, wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, HTTPException)
    if wrong.status_code == 413:
        return _answer(TooLarge(f"at most {BODY_LIMIT} bytes"))
    if wrong.status_code == 404:
        return _answer(NotFound("there is nothing at this path"))
    problem = Problem(str(wrong.detail), code=f"http_{wrong.status_code}", headers=dict(wrong.headers or {}))
    problem.status, problem.title = wrong.status_code, str(wrong.detail)
    return _answer(problem)


class _Envelope:
    """Request ids, a limit on bodies, figures, and a problem instead of a stack trace."""

    def __init__(self, app: ASGIApp, house: str, metrics: Metrics, unlimited: tuple[str, ...]) -> None:
        self._app = app
        self._log = logger(house)
        self._unlimited = unlimited
        self._seconds = metrics.seconds(
            "mailmaker_http_request_seconds", "Time to answer HTTP requests.", ("method", "status")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = False

        async def reply(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                # Left by who knew the key: see common.web.rate.
                rate = scope["state"].get("rate", ())
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *rate]
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), reply)
        except Problem as wrong:
            await self._recover(wrong, scope, receive, reply, started)
        except Exception as wrong:
            self._log.error("request fell", request_id=request_id, path=scope["path"], exc_info=wrong)
            await self._recover(
                Problem("this is our fault; quote the request id"), scope, receive, reply, started
            )
        finally:
            self._seconds.labels(scope["method"], str(status)).observe(time.perf_counter() - began)

    async def _recover(
        self, problem: Problem, scope: Scope, receive: Receive, send: Send, started: bool
    ) -> None:
        if started:
            raise problem
        await _answer(problem)(scope, receive, send)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        if scope["path"].startswith(self._unlimited) and self._unlimited:
            return receive
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > BODY_LIMIT:
                    # FastAPI lets only an HTTPException through from the reading of a body.
                    raise HTTPException(413)
            return message

        return limited
