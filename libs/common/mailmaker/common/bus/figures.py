"""common.bus.figures: what is counted on the road, one set a house."""

from __future__ import annotations

from mailmaker.common.ops.metrics import Metrics


class Figures:
    """Made once a house and given to its courier, consumers and hand-over worker."""

    def __init__(self, metrics: Metrics) -> None:
        self.outbox_oldest = metrics.gauge(
            "mailmaker_outbox_oldest_seconds", "Age of the oldest event that the bus has not acknowledged."
        )
        self.published = metrics.counter(
            "mailmaker_events_published_total", "Events that the bus has acknowledged.", ("topic",)
        )
        self.heard = metrics.counter(
            "mailmaker_events_heard_total",
            "Events that reached a consumer: applied, repeated, unknown, parked, behind or discarded.",
            ("consumer", "topic", "result"),
        )
        self.dead_letters = metrics.counter(
            "mailmaker_dead_letter_total", "Events kept as dead letters.", ("consumer", "topic")
        )
        self.handover_oldest = metrics.gauge(
            "mailmaker_handover_oldest_seconds", "Age of the oldest hand-over that is not answered."
        )
        self.handed_over = metrics.counter(
            "mailmaker_handovers_total",
            "Items handed to another house: answered, refused or unreachable.",
            ("result",),
        )


def uncounted() -> Figures:
    """Figures that nobody reads, for tests and tools."""
    return Figures(Metrics())
