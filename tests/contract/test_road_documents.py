"""contract: the committed documents of the road are those that the code makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from mailmaker.common.contracts.asyncapi import asyncapi_document
from mailmaker.common.contracts.event import event_types
from mailmaker.common.contracts.strimzi import docs_table, topics_manifest
from mailmaker.common.contracts.topic import TOPICS

ROOT = Path(__file__).parents[2]


def test_asyncapi_is_what_the_code_says() -> None:
    assert (ROOT / "docs/asyncapi.json").read_text() == asyncapi_document(), "run `mailmaker asyncapi`"


def test_topics_manifest_is_what_the_code_says() -> None:
    assert (ROOT / "deploy/k8s/topics.yaml").read_text() == topics_manifest(), "run `mailmaker topics`"


def test_asyncapi_names_every_event_and_every_reference_leads_somewhere() -> None:
    document = json.loads(asyncapi_document())
    assert document["asyncapi"] == "3.0.0"
    assert set(document["components"]["messages"]) == set(event_types())
    assert [channel["address"] for channel in document["channels"].values()] == [
        topic.name for topic in TOPICS
    ]
    references = list(_references(document))
    assert references
    for reference in references:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_manifests_are_topics_that_kafka_takes() -> None:
    manifests = list(yaml.safe_load_all(topics_manifest()))
    assert [manifest["metadata"]["name"] for manifest in manifests] == [topic.name for topic in TOPICS]
    for manifest, topic in zip(manifests, TOPICS, strict=True):
        config = manifest["spec"]["config"]
        assert (manifest["apiVersion"], manifest["kind"]) == ("kafka.strimzi.io/v1", "KafkaTopic")
        assert config["cleanup.policy"] == ("compact" if topic.retention is None else "delete")
        assert ("retention.ms" in config) is (topic.retention is not None)


def test_the_docs_table_has_a_row_a_topic() -> None:
    assert all(f"| `{topic.name}` |" in docs_table() for topic in TOPICS)


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
