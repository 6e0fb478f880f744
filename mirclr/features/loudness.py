"""Integrated loudness of ITU-R BS.1770-4: how loud music is to people, pauses left out, in LUFS.

K-weighting by the filters' analogue parameters (a high shelf for the head, a high-pass for the ear), so that it holds
at any rate; at 48 kHz these are the Recommendation's own coefficients (Mansbridge, Finn and Reiss, "Implementation and
evaluation of autonomous multi-track fader control", AES 132, 2012). Blocks of 400 ms a quarter apart; an absolute gate
at -70 LUFS, then a relative one 10 LU below the mean of what is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SILENCE = -70.0  # LUFS, the absolute gate: what the Recommendation does not measure is told as this
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
EAR_HZ, EAR_Q = 38.13547087602444, 0.5003270373238773
BLOCK_S, STEP_S = 0.4, 0.1
RELATIVE = -10.0


def loudness(pieces: Sequence[np.ndarray], sample_rate: int) -> float:
    """LUFS of mono pieces `(T,)` each, together; `SILENCE` when nothing passes the gate.

    Mono is one channel of weight 1: a full-scale sine at 997 Hz reads -3.01. Pieces shorter than a block are one block.
    """
    power = np.concatenate([_blocks(piece, sample_rate) for piece in pieces])
    heard = power[power > _power(SILENCE)]
    if not heard.size:
        return SILENCE
    heard = heard[heard > heard.mean() * 10 ** (RELATIVE / 10)]
    return max(SILENCE, float(-0.691 + 10 * np.log10(heard.mean())))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def _blocks(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean squares of the K-weighted blocks of a piece."""
    from scipy.signal import sosfilt

    weighted = sosfilt(_k_weighting(sample_rate), samples.astype(np.float64))
    step, per_block = round(STEP_S * sample_rate), round(BLOCK_S / STEP_S)
    steps = max(per_block, len(weighted) // step)
    if len(weighted) < steps * step:
        return np.array([np.mean(weighted**2)])
    energy = np.square(weighted[: steps * step]).reshape(steps, step).mean(axis=1)
    return np.convolve(energy, np.full(per_block, 1 / per_block), mode="valid")


def _k_weighting(sample_rate: int) -> np.ndarray:
    """`(2, 6)` second-order sections."""
    return np.stack([_shelf(sample_rate), _high_pass(sample_rate)])


def _shelf(rate: int) -> np.ndarray:
    turn = np.tan(np.pi * min(SHELF_HZ, 0.49 * rate) / rate)
    high = 10 ** (SHELF_DB / 20)
    band = high**0.4996667741545416
    below = 1 + turn / SHELF_Q + turn**2
    b = [high + band * turn / SHELF_Q + turn**2, 2 * (turn**2 - high), high - band * turn / SHELF_Q + turn**2]
    return np.array([*b, below, 2 * (turn**2 - 1), 1 - turn / SHELF_Q + turn**2]) / below


def _high_pass(rate: int) -> np.ndarray:
    turn = np.tan(np.pi * EAR_HZ / rate)
    below = 1 + turn / EAR_Q + turn**2
    return np.array([1.0, -2.0, 1.0, 1.0, 2 * (turn**2 - 1) / below, (1 - turn / EAR_Q + turn**2) / below])
