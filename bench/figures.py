"""bench.figures: repeated measurements, their medians, and how they are printed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """A measured thing over a yardstick, with every repetition of both. `goal` is a text a reader can check."""

    name: str
    unit: str
    ours: Sequence[float]
    yardstick: Sequence[float]
    goal: str

    @property
    def value(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.yardstick)

    def text(self) -> str:
        return (
            f"{self.name}\n"
            f"  ours       {_shown(self.ours)} {self.unit}\n"
            f"  yardstick  {_shown(self.yardstick)} {self.unit}\n"
            f"  ratio      {self.value:.2f}   (goal: {self.goal})"
        )

    def json(self) -> str:
        return json.dumps({
            "name": self.name, "unit": self.unit, "ours": list(self.ours), "yardstick": list(self.yardstick),
            "ratio": round(self.value, 3), "goal": self.goal,
        })  # fmt: skip


def _shown(values: Sequence[float]) -> str:
    runs = " ".join(f"{value:.4g}" for value in values)
    return f"{statistics.median(values):.4g} (of {runs})" if len(values) > 1 else runs
