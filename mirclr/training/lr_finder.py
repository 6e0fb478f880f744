"""The learning rate range test: a rate that rises from step to step, and where the loss fell fastest.

Smith, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186, section 3.3), with the rate rising
exponentially instead of linearly, because rates that are worth telling apart differ by factors.

The same few batches come round and round, crops and effects included. A contrastive loss differs more from draw to draw
than a hundred steps move it; so the rate is what differs between two rounds.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from mirclr.config import PretrainConfig
from mirclr.errors import TrainingError
from mirclr.files import write_atomic
from mirclr.reports import Progress, Work
from mirclr.training.check import check_config
from mirclr.training.device import make_fabric
from mirclr.training.labels import label_rows
from mirclr.training.material import prepare
from mirclr.training.run import make_source, new_learner
from mirclr.training.source import Source

LOWEST, HIGHEST, STEPS = 1e-5, 1.0, 100
SMOOTHING = 0.9  # a mean over about ten steps, half a decade of the default curve; less leaves the noise of batches
ROUND = 4  # batches; fewer than the smoothing looks back on, so that it averages over their differences
FEWEST_STEPS = 10  # before that the smoothed loss is the noise of single batches
TOLERANCE = 4.0


@dataclass(frozen=True)
class Curve:
    """What a range test saw: `rates`, `losses` and `smoothed` losses `(n,)` float64, n the steps until it stopped;
    `suggestion`, the rate of the steepest descent."""

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss was lowest: above it training does harm."""
        return float(self.rates[int(np.argmin(self.smoothed))])

    def write(self, path: Path) -> None:
        """The curve as a csv with the columns rate, loss, smoothed."""
        table = pd.DataFrame({"rate": self.rates, "loss": self.losses, "smoothed": self.smoothed})
        write_atomic(path, table.to_csv(index=False))


def smooth(losses: Sequence[float] | np.ndarray, decay: float = SMOOTHING) -> np.ndarray:
    """`(n,)` exponential moving average, divided by the weight it has seen so far (as Adam's, arXiv 1412.6980, sec. 3),
    so that it starts at the first loss and not at zero."""
    out, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = decay * mean + (1 - decay) * float(loss)
        out[step] = mean / (1 - decay ** (step + 1))
    return out


def diverged(losses: Sequence[float] | np.ndarray, smoothed: np.ndarray) -> bool:
    """Whether the last smoothed loss lies so far above the best that higher rates have nothing to tell.

    "Four times the best" has no meaning for an objective that can be negative or whose zero is arbitrary (DCL), so the
    height is measured in what the loss has moved since the start: above the best by `TOLERANCE` times the larger of the
    fall from the first loss to the best and, until then, the deviation of single losses from the smoothed curve. A loss
    that is no number has diverged at once.
    """
    if not math.isfinite(losses[-1]):
        return True
    if len(smoothed) < FEWEST_STEPS:
        return False
    where = int(np.argmin(smoothed))
    calm = slice(0, max(where + 1, FEWEST_STEPS))  # what comes after is rising, and its deviations rise with it
    noise = float(np.std(np.asarray(losses)[calm] - smoothed[calm]))
    moved = max(float(smoothed[0] - smoothed[where]), noise)
    return bool(smoothed[-1] > smoothed[where] + TOLERANCE * moved)


def steepest(rates: np.ndarray, smoothed: np.ndarray) -> float:
    """The rate at which the smoothed loss `(n,)` falls fastest over the logarithm of the rate.

    The first ten are passed over: their smoothed loss is that of a few batches, and jumps from batch to batch. Raises
    TrainingError where it never falls.
    """
    slopes = np.gradient(smoothed, np.log(rates))[FEWEST_STEPS:] if len(rates) > FEWEST_STEPS else np.zeros(1)
    where = int(np.argmin(slopes))
    if not slopes[where] < 0:
        raise TrainingError(
            f"the loss did not fall between learning rates {rates[0]:.2g} and {rates[-1]:.2g}: it diverged or has "
            "nothing to learn; begin lower, or look at the music and the settings"
        )
    return float(rates[FEWEST_STEPS + where])


def find_rate(
    tracks: pd.DataFrame,
    config: PretrainConfig,
    low: float = LOWEST,
    high: float = HIGHEST,
    steps: int = STEPS,
) -> Work[Curve]:
    """Train a throwaway learner of `config` for `steps` steps at rates from `low` up to `high`; stop when it diverges.

    `tracks` is a track table of mirclr.audio.scan. Raises ValueError on a range or a count of steps that is none,
    ConfigError as `check_config`, TrainingError when the loss never falls.
    """
    rates = rising(low, high, steps)
    check_config(config, "find-rate")
    fabric = make_fabric(config)
    material = yield from prepare(tracks, config)
    labels = yield from label_rows(material.tracks, config.labels, config.audio.max_seconds)
    source = make_source(replace(material, labels=labels), config)
    losses: list[float] = []
    with contextlib.closing(_losses(source, config, rates, fabric)) as seen:
        for loss in seen:
            losses.append(loss)
            yield Progress("range test", len(losses), steps, f"rate {rates[len(losses) - 1]:.1e}, loss {loss:.3f}")
            if diverged(losses, smooth(losses)):
                break
    return analysed(rates[: len(losses)], np.array(losses))


def rising(low: float, high: float, steps: int) -> np.ndarray:
    """`(steps,)` rates from `low` to `high`, each larger than the one before by the same factor."""
    if not 0 < low < high < math.inf:
        raise ValueError(f"low and high must be 0 < low < high, got low={low:g}, high={high:g}")
    if steps < 2 * FEWEST_STEPS:
        raise ValueError(f"steps must be at least {2 * FEWEST_STEPS}, got {steps}")
    return np.geomspace(low, high, steps)


def analysed(rates: np.ndarray, losses: np.ndarray) -> Curve:
    """The curve of `losses` seen at `rates`, without what was no number. Raises TrainingError as `steepest`."""
    kept = np.isfinite(losses)
    rates, losses = rates[kept], losses[kept]
    smoothed = smooth(losses)
    return Curve(rates, losses, smoothed, steepest(rates, smoothed) if len(rates) else _nothing())


def _nothing() -> float:
    raise TrainingError("the first loss was no number: begin lower, or use --set precision=32")


def _losses(source: Source, config: PretrainConfig, rates: np.ndarray, fabric: Fabric) -> Generator[float, None, None]:
    """The loss of one optimiser step at every rate, on a learner that is dropped afterwards."""
    learner, batches = new_learner(source, config, fabric), source.batches(0, 0, 0)
    rounds = itertools.cycle([next(batches) for _ in range(ROUND)])
    for rate in rates:
        some = [source.prepared(next(rounds), learner) for _ in range(config.optim.accumulate)]
        yield learner.step(some, float(rate))[0].item()
