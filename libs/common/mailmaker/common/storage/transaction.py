"""common.storage.transaction: an effect, its events, its inbox row, its audit line and its answer: one commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
from mailmaker.common.contracts.event import Event
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call, RequestKey
from mailmaker.common.web.problem import Conflict, Invalid
from pydantic import BaseModel
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

Model = TypeVar("Model", bound=BaseModel)
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class AlreadyHeard(Exception):
    """This consumer has committed the effect of this event before: nothing is left to do."""


class ForeignTopic(TypeError):
    """A house staged an event of another house's topic."""


class StillRunning(Conflict):
    """The first call with this Idempotency-Key has not ended."""

    code = "idempotency_running"


class OtherBody(Invalid):
    """This Idempotency-Key came before with another request."""

    code = "idempotency_mismatch"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it reached a consumer."""

    consumer: str
    event_id: UUID


_OUTBOX = """
INSERT INTO outbox (account_id, topic, key, headers, value, staged_at)
SELECT a, t, k, h::jsonb, v, clock_timestamp()
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[]) WITH ORDINALITY AS e(a, t, k, h, v, n) ORDER BY n
"""
_HANDOVERS = """
INSERT INTO handovers (account_id, id, target, path, body, created_at, attempts, due_at)
SELECT a, i, t, p, b::jsonb, clock_timestamp(), 0, clock_timestamp()
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS e(a, i, t, p, b)
"""
_INBOX = """
INSERT INTO inbox (account_id, consumer, event_id, heard_at) VALUES ($1, $2, $3, clock_timestamp()) ON CONFLICT DO NOTHING
"""
_FIRST = """
SELECT body_hash, answer FROM idempotency
 WHERE account_id = $1 AND method = $2 AND path = $3 AND key = $4 AND made_at > now() - interval '24 hours'
"""
_KEEP = """
INSERT INTO idempotency (account_id, method, path, key, body_hash, answer, made_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, clock_timestamp())
ON CONFLICT (account_id, method, path, key)
DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer, made_at = excluded.made_at
"""
_AUDIT = """
INSERT INTO audit (account_id, id, at, key_id, request_id, verb, subject)
SELECT a, i, clock_timestamp(), k, r, v, s
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) AS e(a, i, k, r, v, s)
"""


class Transaction:
    """One open transaction. What is staged here is written when the block ends, in the same commit."""

    def __init__(self, house: str, account_id: UUID, driver: asyncpg.Connection) -> None:
        self.account_id = account_id
        self._house = house
        self._driver = driver
        self._events: list[Event] = []
        self._handovers: list[tuple[UUID, UUID, str, str, str]] = []
        self._call: Call | None = None
        self._verb = ""
        self._subject = ""
        self._audited: list[tuple[UUID, UUID, UUID, str, str, str]] = []
        self._first: object | None = None

    @property
    def driver(self) -> asyncpg.Connection:
        """The asyncpg connection inside this transaction: for COPY and for the hot paths' prepared statements.

        The pool's codec gives json and jsonb columns as Python objects, and takes them as JSON text.
        """
        return self._driver

    async def execute(self, statement: Executable, params: Params = None) -> Result[Any]:
        """Runs a Core statement or `text()` with bound values; with several sets of them, once for each. For statements
        that are not asked often: what runs all the time goes to `driver` as it is."""
        written = cast("SQLCompiler", cast("ClauseElement", statement).compile(dialect=_DIALECT))
        prepared = await self._driver.prepare(str(written))
        rows: list[asyncpg.Record] = []
        for values in [params] if params is None or isinstance(params, Mapping) else params:
            bound = written.construct_params(dict(values or {})) or {}
            rows = await prepared.fetch(*[bound[name] for name in written.positiontup or ()])
        names = [attribute.name for attribute in prepared.get_attributes()]
        return IteratorResult(SimpleResultMetaData(names), iter([tuple(row) for row in rows]))

    def stage(self, *events: Event) -> None:
        """Puts events into the outbox with this commit. Refuses another house's topic."""
        for event in events:
            if event.topic.owner != self._house:
                raise ForeignTopic(f"{self._house} does not own {event.topic.name}")
        self._events.extend(events)

    def hand_over(self, target: str, path: str, item: BaseModel, *, account_id: UUID | None = None) -> None:
        """Leaves a body for another house's internal door with this commit; a worker sends it until it is answered."""
        owner = account_id or self.account_id
        self._handovers.append((owner, new_id(), target, path, item.model_dump_json()))

    async def hear(self, heard: Heard) -> bool:
        """Writes the inbox row. False when it is there already."""
        done = await self._driver.execute(_INBOX, self.account_id, heard.consumer, heard.event_id)
        return bool(done.endswith("1"))

    async def begin_call(self, call: Call, verb: str) -> None:
        """Ties the transaction to an API call: its audit line, and the first answer if its Idempotency-Key has one."""
        self._call, self._verb = call, verb
        if call.once is None:
            return
        key = call.once
        name = f"{call.account_id} {key.method} {key.path} {key.key}"
        if not await self._driver.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 7))", name):
            raise StillRunning("the first call with this Idempotency-Key is still running; try again")
        row = await self._driver.fetchrow(_FIRST, call.account_id, key.method, key.path, key.key)
        if row is None:
            return
        if bytes(row["body_hash"]) != key.body_hash:
            raise OtherBody("this Idempotency-Key was used with another request")
        self._first = row["answer"]

    def replayed(self, model: type[Model]) -> Model | None:
        """The first answer of this call's Idempotency-Key; secrets in it are null."""
        return None if self._first is None else model.model_validate(self._first)

    def subject(self, name: object) -> None:
        """What the audit line is about: an id, never an address."""
        self._subject = str(name)

    def audited(self, call: Call, verb: str, name: object) -> None:
        """One more line of the audit trail: a transaction that several API calls share writes one for each."""
        self._audited.append((self.account_id, new_id(), call.key_id, call.request_id, verb, str(name)))

    async def keep(self, answer: Model, secrets: Sequence[str] = ()) -> Model:
        """Remembers the answer for repeats of this Idempotency-Key; named fields are kept as null."""
        if self._call is not None and self._call.once is not None:
            await self._remember(self._call, self._call.once, answer, secrets)
        return answer

    async def _remember(self, call: Call, key: RequestKey, answer: BaseModel, secrets: Sequence[str]) -> None:
        kept = answer.model_dump(mode="json")
        for name in secrets:
            kept[name] = None
        await self._driver.execute(
            _KEEP, call.account_id, key.method, key.path, key.key, key.body_hash, json.dumps(kept)
        )

    async def flush(self) -> None:
        """Writes what was staged, last, so that outbox numbers are taken after the rows they tell about are locked."""
        if self._call is not None and self._first is None:
            self.audited(self._call, self._verb, self._subject)
        if self._audited:
            await self._driver.execute(_AUDIT, *map(list, zip(*self._audited, strict=True)))
        await self.write_staged()

    async def write_staged(self) -> None:
        """Writes the hand-overs and events staged so far: for who stages so many that they should not wait in memory.
        The rows they tell about must have been written before."""
        if self._handovers:
            await self._driver.execute(
                _and_ring(_HANDOVERS, f"{self._house}_handovers"),
                *map(list, zip(*self._handovers, strict=True)),
            )
            self._handovers.clear()
        if self._events:
            trace = _trace(self._call)
            rows = [_outbox_row(event, trace) for event in self._events]
            await self._driver.execute(
                _and_ring(_OUTBOX, f"{self._house}_outbox"), *map(list, zip(*rows, strict=True))
            )
            self._events.clear()


def _and_ring(insert: str, bell: str) -> str:
    """The insert and its NOTIFY in one round trip; who listens hears it once the transaction commits."""
    return f"WITH written AS ({insert}) SELECT pg_notify('{bell}', '')"


def _trace(call: Call | None) -> str:
    """The W3C traceparent of this commit: an API call's request id is its trace id."""
    request = call.request_id.replace("-", "") if call is not None else ""
    trace = request if len(request) == 32 else new_id().hex
    return f"00-{trace}-{new_id().hex[-16:]}-01"


def _outbox_row(event: Event, trace: str) -> tuple[UUID, str, str, str, bytes]:
    """CloudEvents 1.0 attributes travel as record headers (Kafka protocol binding, binary mode)."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event.event_id),
        "ce_type": event.type,
        "ce_source": f"/mailmaker/{event.topic.owner}",
        "ce_time": event.occurred_at.astimezone(UTC).isoformat(),
        "content-type": "application/json",
        "traceparent": trace,
    }
    return event.account_id, event.topic.name, event.key(), json.dumps(headers), event.encode()


__all__ = ["AlreadyHeard", "ForeignTopic", "Heard", "OtherBody", "StillRunning", "Transaction"]
