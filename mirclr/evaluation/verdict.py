"""Did pretraining help? A paired comparison of two rows, in a number, an interval and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mirclr.evaluation.bootstrap import LEVEL, interval, p_value
from mirclr.evaluation.judge import Judged

Outcome = Literal["helped", "did not help", "better", "worse", "cannot tell"]

# How a measure is spoken of: its name for people, and whether it is a share (printed in percent and points).
SPOKEN: dict[str, tuple[str, bool]] = {
    "accuracy": ("accuracy", True),
    "balanced_accuracy": ("balanced accuracy", True),
    "top3_accuracy": ("top-3 accuracy", True),
    "macro_f1": ("macro F1", False),
    "roc_auc": ("macro ROC-AUC", False),
    "pr_auc": ("macro PR-AUC", False),
    "weighted_score": ("weighted key score", True),
    "acc1": ("Accuracy 1", True),
    "acc2": ("Accuracy 2", True),
    "p_score": ("P-score", True),
    "onset_f": ("onset F-measure", False),
    "onset_precision": ("onset precision", False),
    "onset_recall": ("onset recall", False),
    "beat_f": ("beat F-measure", False),
    "cmlt": ("CMLt", False),
    "amlt": ("AMLt", False),
    "downbeat_f": ("downbeat F-measure", False),
    "note_f": ("note F-measure", False),
    "note_precision": ("note precision", False),
    "note_recall": ("note recall", False),
    "note_offset_f": ("note F-measure with offsets", False),
    "multipitch_accuracy": ("multi-pitch accuracy", False),
    "r2": ("R²", False),
    "r": ("Pearson r", False),
    "mae": ("MAE", False),
    "rmse": ("RMSE", False),
    "same_track_r1": ("same-track R@1", True),
    "artist_r1": ("same-artist R@1", True),
    "artist_map": ("same-artist mAP", True),
    "label_p10": ("artist-filtered precision@10", True),
}
# What a comparison asks: its outcome above, below and around zero, and each in words for `ours` and `rival`.
Story = tuple[tuple[Outcome, str], tuple[Outcome, str], tuple[Outcome, str]]
PRETRAINING: Story = (
    ("helped", "Pretraining helped against {rival}"),
    ("did not help", "Pretraining did not help against {rival}, it is worse"),
    ("cannot tell", "Cannot tell whether pretraining helped against {rival}"),
)
ROWS: Story = (
    ("better", "{ours} is better than {rival}"),
    ("worse", "{ours} is worse than {rival}"),
    ("cannot tell", "Cannot tell whether {ours} or {rival} is better"),
)
LOW_IS_GOOD = ("mae", "rmse")


@dataclass(frozen=True)
class Comparison:
    """`ours` minus `rival` on `measure` (`linear.accuracy`), paired over draws of artists.

    `difference` with its 95 % interval `low` to `high` and two-sided `p`; `outcome` and the same in a `sentence`.
    """

    measure: str
    ours: str
    rival: str
    our_value: float
    rival_value: float
    difference: float
    low: float
    high: float
    p: float
    outcome: Outcome
    sentence: str


def compare(
    measure: str, ours: tuple[str, Judged], rival: tuple[str, Judged], story: Story = PRETRAINING
) -> Comparison:
    """Compare two named rows judged on the same draws of artists, in the words of `story`."""
    (our_name, us), (rival_name, them) = ours, rival
    drawn = us.draws[measure] - them.draws[measure]
    low, high = interval(drawn)
    values = us.measures[measure].value, them.measures[measure].value
    above, below = (-high, -low) if measure.partition(".")[2] in LOW_IS_GOOD else (low, high)
    outcome, told = story[0] if above > 0 else story[1] if below < 0 else story[2]
    numbers = (values[0] - values[1], low, high, p_value(drawn))
    sentence = _sentence(measure, told.format(ours=our_name, rival=rival_name), (our_name, *values), numbers)
    return Comparison(measure, our_name, rival_name, *values, *numbers, outcome, sentence)


def value_text(measure: str, value: float) -> str:
    """`66.0 %` for shares, `0.812` for the rest, nothing for an undefined value."""
    if math.isnan(value):
        return ""
    share = SPOKEN[measure.partition(".")[2]][1]
    return f"{100 * value:.1f} %" if share else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: no "-0.000"


def spread_text(measure: str, value: float) -> str:
    """A deviation or an end of an interval in the unit of `value_text`, without its sign: `1.2`, `0.012`."""
    return f"{100 * value:.1f}" if SPOKEN[measure.partition(".")[2]][1] else f"{value:.3f}"


def _sentence(
    measure: str, told: str, values: tuple[str, float, float], numbers: tuple[float, float, float, float]
) -> str:
    """What was `told`, with the name and value of ours, the value of the rival, difference, interval and p."""
    spoken, share = SPOKEN[measure.partition(".")[2]]
    name, our_value, rival_value = values
    *edges, p = numbers
    change, low, high = (f"{100 * x:+.1f}" if share else f"{x:+.3f}" for x in edges)
    return (
        f"{told}: {spoken} of {name} {value_text(measure, our_value)} against {value_text(measure, rival_value)}, "
        f"difference {change}{' points' if share else ''} "
        f"({100 * LEVEL:.0f} % interval {low} to {high}, p = {max(p, 0.001):.3f})."
    )
