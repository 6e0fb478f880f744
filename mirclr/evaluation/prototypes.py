"""Few shots: every class is the centroid of its examples, and a track is of the class whose centroid is nearest.

MARBLE's few-shot task: Euclidean distance, vectors as they are. Nothing is trained and nothing chosen. Scores are a
softmax over minus the distances, which keeps their order (Snell, Swersky and Zemel, "Prototypical networks", NeurIPS
2017, with the distance in place of its square, so that they do not all become 0 and 1 in a thousand dimensions).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import expit, softmax


def prototype_scores(
    task: str, vectors: np.ndarray, targets: np.ndarray, new: np.ndarray, *, classes: int
) -> np.ndarray:
    """Scores `(M, K)` of `new` vectors from `(N, D)` `vectors` of known `targets`.

    multiclass: shares that add up to one, 0 for a class without an example. multilabel: for each label a logistic of
    the distance to the centroid of tracks without it minus that to the centroid of those with it; a label that all
    or none have scores its share. Raises ValueError on another task.
    """
    if task == "multiclass":
        known = np.unique(targets)
        centroids = np.stack([vectors[targets == c].mean(axis=0, dtype=np.float64) for c in known])
        out = np.zeros((len(new), classes))
        out[:, known] = softmax(-cdist(new.astype(np.float64), centroids), axis=1)
        return out
    if task != "multilabel":
        raise ValueError(f"centroids are of labels; task {task!r} has none")
    return np.stack([_label(vectors, targets[:, k] > 0.5, new) for k in range(classes)], axis=1)


def _label(vectors: np.ndarray, has: np.ndarray, new: np.ndarray) -> np.ndarray:
    if has.all() or not has.any():
        return np.full(len(new), float(has[0]))
    centroids = np.stack([vectors[part].mean(axis=0, dtype=np.float64) for part in (~has, has)])
    without, with_it = cdist(new.astype(np.float64), centroids).T
    return np.asarray(expit(without - with_it))
