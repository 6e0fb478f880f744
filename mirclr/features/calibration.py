"""What the outputs of a head are worth: confidences that mean how often an answer is right, and when to say nothing.

A network's probabilities are usually too sure of themselves (Guo, Pleiss, Sun and Weinberger, "On calibration of modern
neural networks", ICML 2017). Each output is stretched and shifted before it becomes a probability: one label of several
by one temperature (their section 4.2), several labels each by a slope and an offset of its own (Platt, "Probabilistic
outputs for support vector machines", 1999). Both are fitted where the head has not been trained
(`mirclr.evaluation.calibration`), and kept with it.

A quantity has no probability by itself. Of it the question is whether the true value is above `high`, what counts as
much of it, and the answer is calibrated like a label's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, softmax

PARTS = ("scale", "shift", "high", "precision", "min_confidence", "story")


@dataclass(frozen=True)
class Calibration:
    """`scale`, `shift` (K,): what outputs are multiplied by, then raised by. `high` (K,): for quantities, in their own
    unit. `min_confidence`: the least confidence at which answers were right in a share `precision` of the cases, None
    where none was. `story`: how it was measured, JSON for people."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    high: tuple[float, ...] | None = None
    precision: float = 0.8
    min_confidence: float | None = None
    story: Mapping[str, Any] = field(default_factory=dict)

    def confidences(self, task: str, outputs: np.ndarray) -> np.ndarray:
        """`(N, K)` outputs of a head (for quantities in units of their deviation) to confidences in 0..1: they sum to
        1 where one label of several is right."""
        raised = outputs * np.array(self.scale) + np.array(self.shift)
        return np.asarray(softmax(raised, axis=1) if task == "multiclass" else expit(raised))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in PARTS}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], outputs: int) -> Calibration:
        """What `to_json` wrote. Raises ValueError, KeyError or TypeError unless it fits a head of so many outputs."""
        numbers = {name: tuple(float(v) for v in data[name]) for name in ("scale", "shift")}
        high = None if data["high"] is None else tuple(float(v) for v in data["high"])
        least = None if data["min_confidence"] is None else float(data["min_confidence"])
        values = [*numbers["scale"], *numbers["shift"], *(high or ()), float(data["precision"]), least or 0.0]
        if {len(each) for each in (*numbers.values(), high or numbers["scale"])} != {outputs}:
            raise ValueError(f"calibration: {outputs} outputs need as many scales, shifts and high values")
        if not np.isfinite(values).all():
            raise ValueError("calibration: a number in it is not finite")
        return cls(**numbers, high=high, precision=values[-2], min_confidence=least, story=dict(data["story"]))
