"""bench.figures: repeated measurements, their medians, and how they are printed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ratio:
    """A measured thing over a yardstick, with every repetition of both. `goal` is a text a reader can check."""

    name: str
    unit: str
    ours: Sequence[float]
    yardstick: Sequence[float]
    goal: str
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What ours is made of, in a unit that the name of each part tells."""

    @property
    def value(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.yardstick)

    def text(self) -> str:
        parts = "".join(f"\n    {_shown(values)} {name}" for name, values in self.parts.items())
        return (
            f"{self.name}\n"
            f"  ours       {_shown(self.ours)} {self.unit}{parts}\n"
            f"  yardstick  {_shown(self.yardstick)} {self.unit}\n"
            f"  ratio      {self.value:.2f}   (goal: {self.goal})"
        )

    def json(self) -> str:
        return json.dumps({
            "name": self.name, "unit": self.unit, "ours": list(self.ours), "yardstick": list(self.yardstick),
            "ratio": round(self.value, 3), "goal": self.goal,
            "parts": {name: list(values) for name, values in self.parts.items()},
        })  # fmt: skip


def _shown(values: Sequence[float]) -> str:
    runs = " ".join(f"{value:.4g}" for value in values)
    return f"{statistics.median(values):.4g} (of {runs})" if len(values) > 1 else runs


@dataclass(frozen=True)
class Spread:
    """How long the same kind of question took, question by question, and over all of them."""

    name: str
    unit: str
    ours: Mapping[str, Sequence[float]]
    goal: str

    def at(self, percent: int) -> float:
        """The value that so many per cent of all measurements do not exceed."""
        every = sorted(value for values in self.ours.values() for value in values)
        return every[max(0, -(-len(every) * percent // 100) - 1)]

    def text(self) -> str:
        lines = [f"  {_shown(values)} {self.unit}   {name}" for name, values in self.ours.items()]
        last = f"  p50 {self.at(50):.3g} {self.unit}, p95 {self.at(95):.3g} {self.unit}   (goal: {self.goal})"
        return "\n".join([self.name, *lines, last])

    def json(self) -> str:
        return json.dumps({
            "name": self.name, "unit": self.unit, "ours": {name: list(values) for name, values in self.ours.items()},
            "p50": self.at(50), "p95": self.at(95), "goal": self.goal,
        })  # fmt: skip
