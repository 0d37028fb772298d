"""common.contracts.asyncapi: the AsyncAPI 3.0 document of every topic and event, made from the registry."""

from __future__ import annotations

import json
from typing import Any

from mailmaker.common import contracts
from mailmaker.common.contracts.event import Event, event_types
from mailmaker.common.contracts.strimzi import REPLICAS, topic_config
from mailmaker.common.contracts.topic import TOPICS, Topic
from pydantic.json_schema import models_json_schema

__all__ = ["asyncapi_document"]

Json = dict[str, Any]

_HEADERS: Json = {
    "type": "object",
    "description": "CloudEvents 1.0, Kafka protocol binding, binary content mode.",
    "required": [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_accountid",
        "content-type",
    ],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "The event's id: apply each once."},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_accountid": {"type": "string", "format": "uuid"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context, where the cause was traced."},
    },
}


def asyncapi_document() -> str:
    """docs/asyncapi.json, sorted and indented: the same code always gives the same bytes."""
    assert contracts.__all__  # importing the package is what declares the events
    events = dict(sorted(event_types().items()))
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mail-Maker events",
            "version": "1.0.0",
            "description": "Facts that the houses tell each other. At least once, in order per key; fields are only "
            "ever added, and a breaking change is a topic of the next version beside the old one.",
        },
        "defaultContentType": "application/json",
        "channels": {_slug(topic.name): _channel(topic, events) for topic in TOPICS},
        "operations": {f"tell-{_slug(topic.name)}": _operation(topic, events) for topic in TOPICS},
        "components": {
            "messages": {_slug(name): _message(name, cls) for name, cls in events.items()},
            "schemas": {**_schemas(events), "Headers": _HEADERS},
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _of(topic: Topic, events: dict[str, type[Event]]) -> list[str]:
    return [_slug(name) for name, cls in events.items() if cls.topic is topic]


def _channel(topic: Topic, events: dict[str, type[Event]]) -> Json:
    config = topic_config(topic)
    kafka: Json = {
        "cleanup.policy": [config["cleanup.policy"]],
        "max.message.bytes": int(config["max.message.bytes"]),
    }
    if "retention.ms" in config:
        kafka["retention.ms"] = int(config["retention.ms"])
    return {
        "address": topic.name,
        "description": topic.doc,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _of(topic, events)},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "replicas": REPLICAS,
                "topicConfiguration": kafka,
                "bindingVersion": "0.5.0",
            }
        },
        "x-owner": topic.owner,
    }


def _operation(topic: Topic, events: dict[str, type[Event]]) -> Json:
    channel = _slug(topic.name)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"{topic.owner} tells.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in _of(topic, events)],
    }


def _message(name: str, cls: type[Event]) -> Json:
    return {
        "name": name,
        "title": cls.__name__,
        "summary": " ".join((cls.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{cls.__name__}"},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": cls.topic.key}, "bindingVersion": "0.5.0"}
        },
    }


def _schemas(events: dict[str, type[Event]]) -> Json:
    _, schema = models_json_schema(
        [(cls, "serialization") for cls in events.values()], ref_template="#/components/schemas/{model}"
    )
    return dict(sorted(schema["$defs"].items()))


def _slug(name: str) -> str:
    """A key of the document: letters, digits, dots, dashes and underscores only."""
    return name.replace("/", "-")
