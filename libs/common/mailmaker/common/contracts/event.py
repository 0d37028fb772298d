"""common.contracts.event: what every event is: frozen, typed, on one topic, with its key."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.ids import new_id
from pydantic import BaseModel, ConfigDict, Field

CHUNK = 500
"""No event names more recipients or contacts than this."""


class UnknownEvent(LookupError):
    """A type this release does not know: a newer sender's. Receivers skip and count it."""


class Event(BaseModel):
    """A fact that has happened. Fields are only ever added; unknown ones from a newer sender are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[Topic]

    event_id: UUID = Field(default_factory=new_id)
    account_id: UUID
    occurred_at: datetime
    type: str

    def key(self) -> str:
        """The Kafka key: events with one key keep their order."""
        return str(self.account_id)

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


AnEvent = TypeVar("AnEvent", bound=Event)
_TYPES: dict[str, type[Event]] = {}


def declared(cls: type[AnEvent]) -> type[AnEvent]:
    """Class decorator: enters the event in the registry under its literal `type`."""
    name = cls.model_fields["type"].default
    if not isinstance(name, str) or name in _TYPES:
        raise TypeError(f"event {cls.__name__}: `type` must be a literal of its own")
    _TYPES[name] = cls
    return cls


def event_types() -> dict[str, type[Event]]:
    """Every declared event by its type. Complete once `mailmaker.common.contracts` is imported."""
    return dict(_TYPES)


def decode(type_name: str, value: bytes) -> Event:
    """The event of a record's bytes. Raises UnknownEvent, or pydantic.ValidationError for a broken one."""
    cls = _TYPES.get(type_name)
    if cls is None:
        raise UnknownEvent(type_name)
    return cls.model_validate_json(value)
