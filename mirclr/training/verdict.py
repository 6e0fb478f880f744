"""What the numbers of a run mean, in words: trouble that ends it, and what more time would buy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mirclr.training.schedules import Plan
from mirclr.units import time_text


def not_a_number(loss: float, step: int, rate: float) -> str | None:
    """Why a loss that is no number ends the run, and what to try; None for a number."""
    if math.isfinite(loss):
        return None
    return (
        f"the loss became {loss} at step {step} (learning rate {rate:.2g}). The last checkpoint is from before that. "
        f"Try --set optim.learning_rate={rate / 3:.1g}, a larger loss.temperature, or --set precision=32"
    )


def outlook(reports: Sequence[Mapping[str, Any]], plan: Plan, elapsed_s: float, tracks: int, batch: int) -> str:
    """What the run did and whether more time would buy more, from the held-out curve of its second half.

    The rise is compared with its own noise: the standard error of the difference between the means of the third and
    the last quarter of the reports.
    """
    steps = reports[-1]["step"] if reports else 0
    seen = steps * batch / max(1, tracks)
    did = f"{steps} steps in {time_text(elapsed_s)}; every track was seen about {seen:.0f} times"
    if plan.cut:
        return (
            f"{did}, the most there is: more of so little music would be learned by heart (docs/training.md; "
            "most_passes=N changes it). More music would buy more"
        )
    scores = [r["held_out_reciprocal_rank"] for r in reports if "held_out_reciprocal_rank" in r]
    quarter = len(scores) // 4
    if quarter < 2:
        return f"{did}. Too few held-out reports to say what more time would buy"
    earlier, last = scores[-2 * quarter : -quarter], scores[-quarter:]
    rise, noise = _mean(last) - _mean(earlier), _standard_error(earlier, last)
    curve = f"held-out retrieval (MRR) went from {_mean(earlier):.3f} to {_mean(last):.3f} over the last half"
    if rise > 2 * noise:
        return f"{did}. {curve}, still rising: twice the time ({2 * steps} steps) would likely buy more"
    return f"{did}. {curve}, within its noise: more time would buy little; more music or a larger encoder might"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _standard_error(first: Sequence[float], second: Sequence[float]) -> float:
    """Of the difference of two means; at least one hundredth, so that a flat line is not 'rising' by a rounding."""
    variances = [sum((v - _mean(part)) ** 2 for v in part) / max(1, len(part) - 1) for part in (first, second)]
    return max(0.01, math.sqrt(variances[0] / len(first) + variances[1] / len(second)))
