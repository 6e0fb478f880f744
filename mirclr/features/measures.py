"""What `mirclr.features.measurer` measures of a track and the library keeps beside its encoder's vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = {"timbre": 120, "rhythm": 37, "harmony": 24}
"""Values of each vector."""


@dataclass(frozen=True, eq=False)
class Measures:
    """`tempo` in beats a minute (NaN without a beat), `key` (a word of `synth_theory.KEYS`, None without a pitch),
    `energy` in LUFS (-70 is silence), and the vectors `timbre` (120,), `rhythm` (37,), `harmony` (24,), float32."""

    tempo: float
    key: str | None
    energy: float
    timbre: np.ndarray
    rhythm: np.ndarray
    harmony: np.ndarray
