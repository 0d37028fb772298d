"""common.ops.metrics: figures, `mailmaker_*`, base units, bounded labels (never a list, mailing or domain)."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_LABELS = {
    "account",
    "pool",
    "ip",
    "provider",
    "channel",
    "outcome",
    "reason_class",
    "door",
    "state",
    "service",
    "topic",
    "consumer",
    "reason",
    "result",
    "step",
    "phase",
    "method",
    "status",
}


class Metrics:
    """One registry a house; made by main and passed to who counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(_checked(name, labels), doc, labels, registry=self.registry)

    def gauge(self, name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(_checked(name, labels), doc, labels, registry=self.registry)

    def seconds(self, name: str, doc: str, labels: Sequence[str] = ()) -> Histogram:
        return Histogram(_checked(name, labels), doc, labels, buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)


def _checked(name: str, labels: Sequence[str]) -> str:
    if not name.startswith("mailmaker_") or name.endswith("_ms") or not set(labels) <= _LABELS:
        raise ValueError(f"metric {name}: prefix mailmaker_, base units, labels from the bounded set")
    return name
