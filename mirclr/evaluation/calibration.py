"""Fitting confidences on answers to tracks that a head was not trained on, and measuring what they are worth.

A *claim* is one answer that can be right or wrong: of one label of several the most confident one, else every label of
every track. A *hit* is a claim that is right. Expected calibration error: claims are sorted into `BINS` bins of equal
width by confidence, and in each the share of hits is compared with the mean confidence,

    ECE = sum over bins of |bin| / claims * |hits / |bin| - mean confidence|

(Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., ICML 2017, equation 3). It is 0 for a perfect calibration and
infinitely many claims; with few claims a bin's share of hits is rough and the error is never 0: `perfect_errors` says
how large it is then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from mirclr.features.calibration import Calibration

BINS = 15  # as Guo et al.
FEWEST_CLAIMS = 10  # a share of hits among fewer says little
FEWEST_EACH = 10  # a label with fewer examples, or counterexamples, is stretched and shifted as all labels together
WIDEST = 100.0  # temperatures from 1 / WIDEST to WIDEST


@dataclass(frozen=True)
class Claims:
    """`confidence` and `hit` (N, C): C claims for each of N tracks."""

    confidence: np.ndarray
    hit: np.ndarray


def claims_of(task: str, confidences: np.ndarray, truth: np.ndarray) -> Claims:
    """The claims of `(N, K)` confidences. `truth`: `(N,)` class numbers, or `(N, K)` bool, what is there."""
    if task != "multiclass":
        return Claims(confidences, truth.astype(bool))
    return Claims(confidences.max(axis=1, keepdims=True), (confidences.argmax(axis=1) == truth)[:, None])


def fit_calibration(task: str, outputs: np.ndarray, truth: np.ndarray) -> Calibration:
    """Scales and shifts for `(N, K)` outputs of heads on tracks that they were not trained on.

    One label of several: one temperature, by the least log loss. Else for each label a slope of at least 0 and an
    offset, by the least log loss against Platt's smoothed targets, which keep few examples from certainty.
    """
    labels = outputs.shape[1]
    if task == "multiclass":
        return Calibration((_inverse_temperature(outputs, truth),) * labels, (0.0,) * labels)
    together = _platt(outputs.ravel(), truth.ravel())
    few = np.minimum(truth.sum(axis=0), (~truth).sum(axis=0)) < FEWEST_EACH
    pairs = [together if few[k] else _platt(outputs[:, k], truth[:, k]) for k in range(labels)]
    return Calibration(tuple(scale for scale, _ in pairs), tuple(shift for _, shift in pairs))


def _inverse_temperature(outputs: np.ndarray, truth: np.ndarray) -> float:
    """1 / T of the temperature T with the least log loss."""

    def loss(log_scale: float) -> float:
        return float(-log_softmax(outputs * np.exp(log_scale), axis=1)[np.arange(len(truth)), truth].mean())

    edge = float(np.log(WIDEST))
    return float(np.exp(minimize_scalar(loss, bounds=(-edge, edge), method="bounded").x))


def _platt(outputs: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(slope, offset); the examples count as (n + 1) / (n + 2), the m counterexamples as 1 / (m + 2)."""
    there = int(truth.sum())
    wanted = np.where(truth, (there + 1) / (there + 2), 1 / (len(truth) - there + 2))
    unit = float(outputs.std()) or 1.0

    def loss(pair: np.ndarray) -> tuple[float, np.ndarray]:
        z = pair[0] * outputs / unit + pair[1]
        off = expit(z) - wanted
        return float((np.logaddexp(0, z) - wanted * z).mean()), np.array([(off * outputs / unit).mean(), off.mean()])

    slope, offset = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    return float(slope / unit), float(offset)


def least_confidence(claims: Claims, precision: float) -> float | None:
    """The lowest confidence such that of the claims at or above it a share `precision` are hits; None where there is
    no such confidence that at least `FEWEST_CLAIMS` claims reach."""
    confidence = claims.confidence.ravel()
    order = np.argsort(-confidence, kind="stable")
    ordered, hits = confidence[order], np.cumsum(claims.hit.ravel()[order])
    last = np.append(ordered[:-1] > ordered[1:], True)  # equal confidences are taken together
    count = np.arange(1, len(ordered) + 1)
    good = np.flatnonzero(last & (count >= FEWEST_CLAIMS) & (hits >= precision * count))
    return float(ordered[good[-1]]) if len(good) else None


def calibration_error(claims: Claims, weights: np.ndarray) -> np.ndarray:
    """`(B,)` expected calibration errors under `(B, N)` weights of tracks; nan for a draw without a track."""
    bins = np.minimum((claims.confidence * BINS).astype(int), BINS - 1)
    gap = np.zeros((len(bins), BINS))
    np.add.at(gap, (np.arange(len(bins))[:, None], bins), claims.hit - claims.confidence)
    total = weights.sum(axis=1, dtype=np.float64) * bins.shape[1]
    return _share(np.abs(weights.astype(np.float64) @ gap).sum(axis=1), total)


def perfect_errors(claims: Claims, draws: int, random: np.random.Generator) -> np.ndarray:
    """`(draws,)` calibration errors that these confidences would have if they were exactly right: what few claims alone
    bring about."""
    one = np.ones((1, len(claims.confidence)))
    luck = (Claims(claims.confidence, random.random(claims.hit.shape) < claims.confidence) for _ in range(draws))
    return np.array([calibration_error(each, one)[0] for each in luck])


def given_shares(claims: Claims, least: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(B,)` precision of the claims at or above `least` `(N,)`, and `(B,)` the share of tracks with such a claim."""
    given = claims.confidence >= least[:, None]
    drawn = weights.astype(np.float64)
    right = _share(drawn @ (given & claims.hit).sum(axis=1), drawn @ given.sum(axis=1))
    return right, _share(drawn @ given.any(axis=1), drawn.sum(axis=1))


def reliability(claims: Claims) -> list[dict[str, float]]:
    """What the error is the sum of: for each bin that has claims, how many, their mean confidence and share of hits."""
    confidence, hit = claims.confidence.ravel(), claims.hit.ravel()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "from": b / BINS,
            "claims": int((bins == b).sum()),
            "confidence": round(float(confidence[bins == b].mean()), 4),
            "hits": round(float(hit[bins == b].mean()), 4),
        }
        for b in np.unique(bins).tolist()
    ]


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
