"""common.commands.topics: the declared topics as manifests, as a table, as data, and on a broker."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import Any

from mailmaker.common.contracts.strimzi import docs_table, topics_manifest
from mailmaker.common.contracts.topic import TOPICS
from mailmaker.common.ops.settings import WrongSettings

manifest = topics_manifest
table = docs_table


def facts() -> list[dict[str, Any]]:
    """Each topic as data; `retention` in seconds, null where compacted."""
    return [
        asdict(topic) | {"retention": topic.retention.total_seconds() if topic.retention else None}
        for topic in TOPICS
    ]


def create() -> list[str]:
    """Makes what is missing on MAILMAKER_KAFKA; the names made. Raises WrongSettings."""
    from mailmaker.common.bus.kafka_topics import make_topics

    servers = os.environ.get("MAILMAKER_KAFKA", "")
    if not servers:
        raise WrongSettings("MAILMAKER_KAFKA: the broker to make the topics on is needed")
    return asyncio.run(make_topics(servers))
