"""Where every position of a journey or an arc should be: points on the way between tracks, or values of a curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.library.playlist_shapes import Making, Slots, Targets
from mirclr.library.transitions import TEMPO_OCTAVES

CURVES = {"rise": (0.0, 1.0), "fall": (1.0, 0.0), "peak": (0.0, 1.0, 0.0), "valley": (1.0, 0.0, 1.0)}
MEASURED = ("energy", "tempo")
LOUDER_DB = 6.0  # a difference of energy that costs as much as an opposite sound
OFF_CURVE = 2.0  # weight of a curve beside the likeness to the seeds
ENDS_OF_POOL = (0.05, 0.95)  # a named curve runs between these quantiles: the extremes are odd tracks


@dataclass(frozen=True)
class Arc:
    """A curve over the list. `measure`: energy or tempo. `points`: corners of the curve, evenly spread over the list,
    in LUFS or beats a minute; or, when `named`, quantiles of the tracks that may be chosen."""

    measure: str
    points: tuple[float, ...]
    named: bool

    @classmethod
    def parse(cls, text: str) -> Arc:
        """`energy=rise`, `tempo=peak`, `tempo=90,128,100`. Raises UsageError with what is known."""
        measure, _, curve = text.partition("=")
        if measure not in MEASURED:
            raise UsageError(f"arc {text!r}: no measure {measure!r}.{nearest(measure, MEASURED)}")
        if curve in CURVES:
            return cls(measure, CURVES[curve], True)
        try:
            points = tuple(float(point) for point in curve.split(","))
        except ValueError as error:
            raise UsageError(
                f"arc {text!r}: {curve!r} is none of {', '.join(CURVES)}, nor numbers like 90,120"
            ) from error
        if not np.isfinite(points).all() or (measure == "tempo" and min(points) <= 0):
            raise UsageError(f"arc {text!r}: every point must be a {'positive ' * (measure == 'tempo')}number")
        return cls(measure, points, False)


def way(units: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points at `shares` (n,) of the way through `units` (K, D), K >= 2, along great circles: (n, D) unit vectors.

    Equal shares are equal angles (Shoemake, "Animating rotation with quaternion curves", 1985, has the formula).
    """
    points = units.astype(np.float64)
    angles, marks = _legs(points)
    return np.stack([_between(points, angles, marks, at) for at in shares])


def journey(making: Making, waypoints: int, listed: bool) -> Targets:
    """Even steps in angle from each of the first `waypoints` given ones to the next; `listed`: they are in the list."""
    units = making.pool.unit[:waypoints].astype(np.float64)
    marks = _legs(units)[1]

    def targets(count: int) -> Slots:
        # Ends that are not in the list lie a step before it and a step behind it.
        shares = np.linspace(0, 1, count) if listed else np.linspace(0, 1, count + 2)[1:-1]
        cost = 1.0 - way(units, shares) @ making.pool.unit.T + making.handicap
        fixed = _stations(marks, count) if listed else {}
        return Slots(cost, _with_musts(fixed, making.listed[waypoints if listed else 0 :], cost))

    return targets


def _legs(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (K - 1,) angles between neighbours, and the (K,) shares of the way at which the points lie."""
    angles = np.array([np.arccos(np.clip(one @ other, -1, 1)) for one, other in pairwise(units)])
    whole = float(angles.sum())
    return angles, np.concatenate([[0.0], np.cumsum(angles)]) / whole if whole > 0 else np.linspace(0, 1, len(units))


def _between(units: np.ndarray, angles: np.ndarray, marks: np.ndarray, at: float) -> np.ndarray:
    """The unit vector at the share `at` of the way."""
    leg = min(int(np.searchsorted(marks, at, side="right")) - 1, len(angles) - 1)
    span = marks[leg + 1] - marks[leg]
    inside = (at - marks[leg]) / span if span > 0 else 0.0
    angle = angles[leg]
    if np.sin(angle) < 1e-6:  # the same direction, or opposite ones, between which there is no one way
        mixed = (1 - inside) * units[leg] + inside * units[leg + 1]
    else:
        mixed = np.sin((1 - inside) * angle) * units[leg] + np.sin(inside * angle) * units[leg + 1]
    length = float(np.linalg.norm(mixed))
    return mixed / length if length > 0 else units[leg]


def _stations(marks: np.ndarray, count: int) -> dict[int, int]:
    """Position to waypoint: where the waypoints stand in a list of `count`, in order and one a position."""
    places = np.round(marks * (count - 1)).astype(int)
    for which in range(1, len(places)):
        places[which] = max(places[which], places[which - 1] + 1)
    for which in range(len(places) - 1, -1, -1):
        places[which] = min(places[which], count - len(places) + which)
    return {int(place): which for which, place in enumerate(places)}


def _with_musts(fixed: dict[int, int], musts: Sequence[int], cost: np.ndarray) -> dict[int, int]:
    """`fixed` and every must at the free position where it costs least."""
    for must in musts:
        free = [at for at in range(len(cost)) if at not in fixed]
        fixed[free[int(np.argmin(cost[free, must]))]] = must
    return fixed


def arc(making: Making, curve: Arc, query: np.ndarray) -> Targets:
    """Positions along `curve`, among tracks like `query` (D,). The measure of every choosable track is known."""
    values = making.transitions.tempo if curve.measure == "tempo" else making.transitions.energy
    likeness = 1.0 - making.pool.unit @ (query / max(float(np.linalg.norm(query)), 1e-9)) + making.handicap
    apart = _apart(curve, values)

    def targets(count: int) -> Slots:
        corners = np.linspace(0, 1, len(curve.points))
        wanted = np.interp(np.linspace(0, 1, count), corners, curve.points)
        cost = OFF_CURVE * np.nan_to_num(apart(wanted)) + likeness[None, :]
        return Slots(cost, _with_musts({}, making.listed, cost))

    return targets


def _apart(curve: Arc, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Wanted values (n,) to how far each track is from each, (n, N); NaN where its value is unknown."""
    if curve.named:
        low, high = np.nanquantile(values, ENDS_OF_POOL)
        scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
        return lambda wanted: 4 * np.abs(wanted[:, None] - scaled[None, :])
    if curve.measure == "tempo":
        return lambda wanted: np.abs(np.log2(values)[None, :] - np.log2(wanted)[:, None]) / TEMPO_OCTAVES
    return lambda wanted: np.abs(values[None, :] - wanted[:, None]) / LOUDER_DB
