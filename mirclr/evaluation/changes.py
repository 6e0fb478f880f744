"""The changes an invariance card is made of: a small table, each applied by an effect of mirclr.augment.

A change fixes some parameters of its effect; the others (the bells of an equaliser, the seed of a noise) are drawn. To
add a change, add its line to `changes_for`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from mirclr.augment.codec import MP3_RATES
from mirclr.augment.effect import Effect
from mirclr.augment.table import build_chain
from mirclr.seeds import generator

TEMPO = (-12, -6, -3, 3, 6, 12)  # %: a DJ's nudge, a live version, as far as a listener accepts the same recording
KEY = (-6, -2, -1, 1, 2, 6)  # semitones: a tuning, a singer's transposition, the farthest key there is
LOUDNESS = (-12, -6, 6, 12)  # dB: masterings; decades of the loudness war
EQ = (6, 12)  # dB at most of one bell: a tone control, a bad loudspeaker
BITRATE = {"high": 0.5, "low": 0.95}  # share of a codec's range; MP3 at 16 kHz: 96 and 16 kbit/s
LOW_PASS_HZ = 4000  # wideband telephony and old records
SNR_DB = 20  # a worn record: noise that is heard and disturbs nobody


@dataclass(frozen=True)
class Change:
    """One line of the table: `amount` of an `attribute`, as people write it, by the effect called `effect`.

    `options` of the effect; `fixed`: those of its parameters that are not drawn. `sample_rate` in Hz.
    """

    attribute: str
    amount: str
    effect: str
    sample_rate: int
    options: Mapping[str, float | str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Attribute and amount, e.g. `tempo +3 %`."""
        return f"{self.attribute} {self.amount}"

    @cached_property
    def _effect(self) -> Effect:
        return build_chain([{"name": self.effect, **self.options}], "wave", self.sample_rate).steps[0].effect

    def __call__(self, samples: np.ndarray, seed: int = 0) -> np.ndarray:
        """`(T,)` float32 samples, changed, same length.

        What is drawn depends on `seed`, the change and the sound, so not on the order in which tracks are heard.
        """
        effect = self._effect
        rng = generator(seed, self.name, zlib.crc32(samples.tobytes()))
        drawn = effect.parameters(rng.random((1, effect.draws)))
        drawn |= {key: np.full_like(drawn[key], value) for key, value in self.fixed.items()}
        batch = torch.from_numpy(np.ascontiguousarray(samples))[None]
        values = {k: torch.from_numpy(v) for k, v in drawn.items()}
        floats = {k: v.to(batch.dtype) if v.is_floating_point() else v for k, v in values.items()}
        return np.asarray(effect.apply(batch, floats)[0].numpy())


def changes_for(sample_rate: int) -> tuple[Change, ...]:
    """Every change at that sample rate (Hz), grouped by attribute, amounts rising.

    The codec is MP3 where MPEG has the rate, else Ogg Vorbis. The low-pass is left out where the sample rate is one.
    """
    codec = "mp3" if sample_rate in MP3_RATES else "ogg"

    def line(attribute: str, amount: str, effect: str, fixed: Mapping[str, float], **options: float | str) -> Change:
        return Change(attribute, amount, effect, sample_rate, options, fixed)

    return (
        *(line("tempo", f"{x:+d} %", "time_stretch", {"rate": 1 + x / 100}) for x in TEMPO),
        *(line("key", f"{x:+d} st", "pitch_shift", {"semitones": x}, max_semitones=abs(x)) for x in KEY),
        *(line("loudness", f"{x:+d} dB", "gain", {"db": x}) for x in LOUDNESS),
        *(line("eq", f"±{x} dB", "random_eq", {}, max_db=x) for x in EQ),
        *(
            line("bitrate", f"{codec} {word}", "codec", {}, kind=codec, min_compression=x, max_compression=x)
            for word, x in BITRATE.items()
        ),
        *(
            line("low-pass", f"{hertz / 1000:g} kHz", "low_pass", {"cutoff_hz": hertz, "order": 8})
            for hertz in (LOW_PASS_HZ,)
            if hertz < sample_rate / 2
        ),
        line("noise", f"{SNR_DB} dB SNR", "noise", {"snr_db": SNR_DB}, colour="pink"),
    )
