"""What others published on collections that mirclr knows, to set beside a report: theirs, never run here.

A figure stands here only where its authors' own repository or thread prints it and it was read there. Protocols differ:
MULE chooses a linear layer or an MLP for each task, MARBLE trains an MLP, CLMR fits a linear layer to every clip. So a
row says in which region the field is, not by how much one method beats another.
"""

from __future__ import annotations

from dataclasses import dataclass

MULE = "https://github.com/PandoraMedia/music-audio-representations (supporting_data/results, commit f90a472)"
CLMR = "https://github.com/Spijkervet/CLMR (README, commit 423414d)"
MERT = "https://github.com/a43992899/MARBLE/issues/7"


@dataclass(frozen=True)
class Published:
    """`value` of `measure` (named as in a report: accuracy, roc_auc, pr_auc, r2, weighted_score) that `model` reached,
    as `source` prints it.

    `protocol`: how it was judged; `of`: which label or target, where it is one of several.
    """

    model: str
    measure: str
    value: float
    protocol: str
    source: str
    of: str = ""


_MULE_PROBE, _MARBLE_PROBE = "frozen, probe chosen per task, published split", "frozen, MARBLE's probe, published split"
_MULE = {  # Musicset U-Large, Musicset U-Small, AudioSet U-Large, Musicset Supervised; means over tags are ours
    ("gtzan", "accuracy", ""): (0.734, 0.686, 0.672, 0.834),
    ("magnatagatune", "roc_auc", ""): (0.914, 0.905, 0.906, 0.917),
    ("magnatagatune", "pr_auc", ""): (0.404, 0.389, 0.391, 0.413),
    ("emomusic", "r2", "arousal"): (0.700, 0.668, 0.624, 0.726),
    ("emomusic", "r2", "valence"): (0.577, 0.389, 0.438, 0.566),
    ("giantsteps-key", "weighted_score", ""): (0.667, 0.508, 0.287, 0.286),
    ("nsynth-instrument", "accuracy", ""): (0.740, 0.714, 0.721, 0.731),
    ("nsynth-pitch", "accuracy", ""): (0.892, 0.824, 0.805, 0.793),
    ("mtg-jamendo-top50", "roc_auc", ""): (0.839, 0.828, 0.826, 0.843),
    ("mtg-jamendo-top50", "pr_auc", ""): (0.317, 0.292, 0.285, 0.321),
    ("mtg-jamendo-moodtheme", "roc_auc", ""): (0.780, 0.756, 0.765, 0.786),
    ("mtg-jamendo-moodtheme", "pr_auc", ""): (0.159, 0.139, 0.143, 0.162),
}
_MODELS = (
    "MULE Musicset U-Large", "MULE Musicset U-Small", "MULE AudioSet U-Large",
    "MULE Musicset, supervised",
)  # fmt: skip
_OTHERS: dict[str, tuple[Published, ...]] = {
    "magnatagatune": (
        Published("CLMR", "roc_auc", 0.887, "frozen, linear layer", CLMR),
        Published("CLMR", "pr_auc", 0.356, "frozen, linear layer", CLMR),
    ),
    "gtzan": (
        Published("MERT-95M, its paper", "accuracy", 0.786, _MARBLE_PROBE, MERT),
        Published("MERT-95M, a user's own run", "accuracy", 0.7689, _MARBLE_PROBE, MERT),
        Published("MERT-330M, its paper", "accuracy", 0.793, _MARBLE_PROBE, MERT),
        Published("MERT-330M, a user's own run", "accuracy", 0.7379, _MARBLE_PROBE, MERT),
    ),
}


def published(collection: str) -> tuple[Published, ...]:
    """What is known of `collection`; nothing for most, and for a table or folder of one's own."""
    mule = [
        Published(model, measure, value, _MULE_PROBE, MULE, of)
        for (name, measure, of), values in _MULE.items()
        if name == collection
        for model, value in zip(_MODELS, values, strict=True)
    ]
    return (*mule, *_OTHERS.get(collection, ()))
