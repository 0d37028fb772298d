"""common.contracts.strimzi: the Kubernetes manifests and the docs table of the topics, made from the registry."""

from __future__ import annotations

from datetime import timedelta

from mailmaker.common.contracts.topic import TOPICS, Topic

MAX_BYTES = 4 * 1024 * 1024
REPLICAS = 3

_HEAD = "# Generated from mailmaker.common.contracts by `mailmaker topics`; compared in a contract test.\n"
_MANIFEST = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: mailmaker
    app.kubernetes.io/part-of: mailmaker
    mailmaker.io/owner: {owner}
spec:
  partitions: {partitions}
  replicas: {replicas}
  config:
{config}
"""


def topic_config(topic: Topic, *, min_insync_replicas: int = 2) -> dict[str, str]:
    """Kafka's settings of a topic."""
    kept = (
        {"cleanup.policy": "compact", "max.compaction.lag.ms": _millis(timedelta(days=7))}
        if topic.retention is None
        else {"cleanup.policy": "delete", "retention.ms": _millis(topic.retention)}
    )
    return {**kept, "max.message.bytes": str(MAX_BYTES), "min.insync.replicas": str(min_insync_replicas)}


def topics_manifest() -> str:
    """deploy/k8s/topics.yaml: one Strimzi KafkaTopic a topic."""
    return _HEAD + "---\n".join(map(_manifest, TOPICS))


def docs_table() -> str:
    """The topics as a Markdown table."""
    rows = [f"| `{t.name}` | {t.owner} | {t.key} | {_kept(t)} | {t.partitions} | {t.doc} |" for t in TOPICS]
    return (
        "\n".join(["| topic | owner | key | kept | partitions | says |", "|---|---|---|---|---|---|", *rows])
        + "\n"
    )


def _manifest(topic: Topic) -> str:
    config = "\n".join(
        f"    {name}: {value if value.isdigit() else _quoted(value)}"
        for name, value in topic_config(topic).items()
    )
    return _MANIFEST.format(
        name=topic.name, owner=topic.owner, partitions=topic.partitions, replicas=REPLICAS, config=config
    )


def _quoted(text: str) -> str:
    return f'"{text}"'


def _kept(topic: Topic) -> str:
    return "compacted" if topic.retention is None else f"{topic.retention.days} d"


def _millis(span: timedelta) -> str:
    return str(int(span.total_seconds() * 1000))
