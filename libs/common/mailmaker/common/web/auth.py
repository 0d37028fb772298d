"""common.web.auth: who calls, and whether they may: API keys with scopes, the operator's key, the houses' service token."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import Depends, Request
from mailmaker.common.contracts.internal import KeyRow
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.web.call import Call, RequestKey
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import Fault, Forbidden, Invalid, Unauthorised, Unavailable
from mailmaker.common.web.rate import limit
from mailmaker.common.web.scopes import SCOPES

MAX_KEY = 255
STREAMED = ("multipart/form-data", "application/x-ndjson", "application/jsonl", "application/x-jsonlines")
"""Bodies that are never held whole: their doors hash them as they pass."""
_READS = ("GET", "HEAD", "OPTIONS")


class ViewStale(Unavailable):
    """Key changes have not been confirmed for too long to trust the view."""

    code = "keys_stale"


class AccountClosed(Forbidden):
    """The account is closed: its keys open nothing, save that a "no" is still recorded."""

    code = "account_closed"
    title = "The account is closed"


class AccountNotOpen(Forbidden):
    """The account is suspended: it may read, not write."""

    code = "account_suspended"
    title = "The account is not open"


@dataclass(frozen=True)
class May:
    """The dependency of a route that an account's key may call. `scope` is read by the route-table test."""

    scope: str
    records_a_no: bool = False

    async def __call__(self, request: Request) -> Call:
        keyring: KeyRing = request.app.state.keyring
        if keyring.stale and not self.records_a_no:
            raise ViewStale(
                "key changes cannot be confirmed at the moment; try again", headers={"Retry-After": "1"}
            )
        secret = _bearer(request)
        if _is_operator(request, secret):
            raise Forbidden("an account's key is needed here, not the operator's", code="account_key_needed")
        row = await _known(keyring, secret)
        limit(request, row.key_id, counted=not self.records_a_no)
        if self.scope not in row.scopes:
            raise Forbidden(f"this key lacks the scope {self.scope}", code="scope_missing")
        account = await keyring.account(row.account_id)
        if account is None:
            raise Unauthorised("the key's account is not known")
        if account.state == "closed" and not self.records_a_no:
            raise AccountClosed("the account is closed; ask the platform's operator")
        if account.state != "open" and request.method not in _READS and not self.records_a_no:
            raise AccountNotOpen(f"the account is {account.state}")
        return Call(
            row.account_id,
            account.number,
            row.key_id,
            request.state.request_id,
            scopes=frozenset(row.scopes),
            list_ids=None if row.list_ids is None else frozenset(row.list_ids),
            once=await _request_key(request),
        )


@dataclass(frozen=True)
class MayOperate:
    """The dependency of a route for the platform's operator."""

    scope: str = "operator"

    async def __call__(self, request: Request) -> Call:
        if not _is_operator(request, _bearer(request)):
            raise Forbidden("the operator's key is needed here", code="operator_only")
        limit(request, NOBODY)
        return Call(
            NOBODY, 0, NOBODY, request.state.request_id, operator=True, once=await _request_key(request)
        )


@dataclass(frozen=True)
class OneOf:
    """The dependency of a route that both an account's key and the operator's may read."""

    scope: str

    async def __call__(self, request: Request) -> Call:
        if _is_operator(request, _bearer(request)):
            return await MayOperate()(request)
        return await May(self.scope)(request)


def may(scope: str, *, records_a_no: bool = False) -> Any:
    """`Annotated[Call, may("lists:write")]`. A route that records a "no" works on a stale view and a suspended account,
    and has no rate limit."""
    if scope not in SCOPES:
        raise ValueError(f"no such scope: {scope}")
    return Depends(May(scope, records_a_no))


def may_operate() -> Any:
    """`Annotated[Call, may_operate()]`."""
    return Depends(MayOperate())


def may_or_operate(scope: str) -> Any:
    """`Annotated[Call, may_or_operate("account:read")]`: check `call.operator`."""
    return Depends(OneOf(scope))


async def internal_only(request: Request) -> None:
    """The dependency of every /internal route: the houses' service token."""
    shared: Shared = request.app.state.shared
    if not hmac.compare_digest(_bearer(request).encode(), shared.service_token.get_secret_value().encode()):
        raise Unauthorised("the service token is needed here")


def request_key(request: Request, body_hash: bytes) -> RequestKey | None:
    """The RequestKey of a request whose body a door hashed itself (uploads)."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise Invalid(
            "the Idempotency-Key is not valid",
            faults=[
                Fault("/Idempotency-Key", "idempotency_key.invalid", f"1 to {MAX_KEY} printable characters")
            ],
        )
    return RequestKey(request.method, request.url.path, key, body_hash)


async def _request_key(request: Request) -> RequestKey | None:
    if request.method != "POST" or request.headers.get("content-type", "").lower().startswith(STREAMED):
        return None
    if "idempotency-key" not in request.headers:
        return None
    text = request.url.query.encode() + b"\0" + await request.body()
    return request_key(request, hashlib.sha256(text).digest())


async def _known(keyring: KeyRing, secret: str) -> KeyRow:
    try:
        row = await keyring.by_secret(secret)
    except Unreachable as wrong:
        raise ViewStale("this key is not known here and its owner does not answer; try again") from wrong
    if row is None or row.revoked or (row.expires_at is not None and row.expires_at <= datetime.now(UTC)):
        raise Unauthorised(
            "the key is not known, was revoked, or has expired", headers={"WWW-Authenticate": "Bearer"}
        )
    return row


def _is_operator(request: Request, secret: str) -> bool:
    shared: Shared = request.app.state.shared
    wanted = shared.operator_key_hash.get_secret_value()
    return bool(wanted) and hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), wanted)


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorised("send `Authorization: Bearer <key>`", headers={"WWW-Authenticate": "Bearer"})
    return secret.strip()


def check_list(call: Call, list_id: UUID) -> None:
    """Refuses a key that is limited to other lists."""
    if call.list_ids is not None and list_id not in call.list_ids:
        raise Forbidden("this key may not touch this list", code="list_not_allowed")
