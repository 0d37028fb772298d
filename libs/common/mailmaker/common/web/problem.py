"""common.web.problem: every error a caller sees (RFC 9457), with a stable code and JSON pointers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (JSON pointer), a stable code, and what to do."""

    pointer: str
    code: str
    detail: str


class FaultBody(BaseModel):
    """A fault as it is sent."""

    pointer: str
    code: str
    detail: str


class ProblemBody(BaseModel):
    """A problem as it is sent, `application/problem+json`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FaultBody]


class Problem(Exception):
    """The root of every house's error tree.

    Problem
    |-- Invalid           422  the request's fields are wrong; `faults` name them
    |-- NotFound          404  no such thing, or another account's
    |-- Conflict          409  it exists, but not in a state that allows this
    |-- Unavailable       503  something we stand on does not answer; try again (temporary)
    |-- RateLimited       429  too many requests of one key; in common.web.rate (temporary)
    """

    code = "internal"
    status = 500
    title = "Something broke on our side"
    temporary = False

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        faults: Sequence[Fault] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.code = code or self.code
        self.faults = tuple(faults)
        self.headers = headers or {}

    def body(self) -> ProblemBody:
        return ProblemBody(
            type=f"urn:mailmaker:problem:{self.code}",
            title=self.title,
            status=self.status,
            code=self.code,
            detail=self.detail,
            errors=[FaultBody(pointer=f.pointer, code=f.code, detail=f.detail) for f in self.faults],
        )


class Invalid(Problem):
    """The request cannot be read as what this door takes."""

    code = "invalid"
    status = 422
    title = "The request is not valid"


class NotFound(Problem):
    """No such thing for this account."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(Problem):
    """The thing is not in a state that allows this."""

    code = "conflict"
    status = 409
    title = "Not possible in this state"


class Unavailable(Problem):
    """Something we stand on does not answer in time."""

    code = "unavailable"
    status = 503
    title = "Not available at the moment"
    temporary = True


class Unauthorised(Problem):
    """No key, or a key we do not know."""

    code = "unauthorised"
    status = 401
    title = "A valid API key is needed"


class Forbidden(Problem):
    """A known key that may not do this."""

    code = "forbidden"
    status = 403
    title = "This key may not do this"
