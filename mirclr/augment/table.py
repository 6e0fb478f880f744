"""The table of augmentations: one line per effect; the chain builder, the docs and the contract tests read it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mirclr.augment.biquads import AllPass, ParametricEq
from mirclr.augment.chain import Chain, Step
from mirclr.augment.codec import Codec
from mirclr.augment.dynamics import Clip, Compressor
from mirclr.augment.echoes import Delay, Reverb
from mirclr.augment.effect import Effect
from mirclr.augment.filters import BandPass, HighPass, LowPass, RandomEq
from mirclr.augment.mixing import BackgroundMix, WaveMix
from mirclr.augment.placement import PhaseRotation, Reverse, TimeShift
from mirclr.augment.rate import PitchShift, Resample, Speed, TimeStretch
from mirclr.augment.spec_crop import ResizeCrop
from mirclr.augment.spec_mixing import CutMix, SpecMixup
from mirclr.augment.spec_patch import PatchMask
from mirclr.augment.spec_time import LinearFader, SpecReverse, SpecRoll
from mirclr.augment.spec_warp import FrequencyWarp, TimeBend
from mirclr.augment.spectrogram import FrequencyMask, FrequencyShift, SpecGain, TimeMask, TimeWarp
from mirclr.augment.spectrum_shape import SpecEq, SpecHighPass, SpecLowPass
from mirclr.augment.waveform import Gain, Noise, Polarity
from mirclr.config import nearest
from mirclr.tables import options_of, unknown_options

EFFECTS: dict[str, type[Effect]] = {
    effect.name: effect
    for effect in (
        Gain,
        Polarity,
        Noise,
        LowPass,
        HighPass,
        BandPass,
        RandomEq,
        ParametricEq,
        WaveMix,
        Delay,
        Reverb,
        Compressor,
        Clip,
        Codec,
        Resample,
        Speed,
        TimeStretch,
        PitchShift,
        TimeShift,
        Reverse,
        PhaseRotation,
        AllPass,
        BackgroundMix,
        SpecMixup,
        CutMix,
        SpecEq,
        SpecGain,
        SpecLowPass,
        SpecHighPass,
        LinearFader,
        TimeWarp,
        TimeBend,
        SpecRoll,
        SpecReverse,
        FrequencyShift,
        FrequencyWarp,
        ResizeCrop,
        TimeMask,
        FrequencyMask,
        PatchMask,
    )
}
"""Every augmentation by name. To add one, write the class and add its line here."""


def _part_problems(part: Mapping[str, Any], domain: str) -> list[str]:
    """Everything wrong with a part but the ranges of its options."""
    name, p = part.get("name"), part.get("p", 1.0)
    if not isinstance(name, str) or name not in EFFECTS:
        usable = [key for key, effect in EFFECTS.items() if effect.domain == domain]
        return [f"unknown effect {name!r}.{nearest(str(name), usable)}"]
    effect, problems = EFFECTS[name], []
    if effect.domain != domain:
        problems.append(f"{name} works in the {effect.domain!r} domain, not in {domain!r}")
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        problems.append(f"{name}: p must be a number in 0..1, got {p!r}")
    return problems + unknown_options(name, effect, _options(part))


def _options(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in ("name", "p")}


def _step(part: Mapping[str, Any], sample_rate: int) -> Step:
    effect, options = EFFECTS[part["name"]], _options(part)
    if "sample_rate" in options_of(effect):
        options.setdefault("sample_rate", sample_rate)
    return Step(effect(**options), float(part.get("p", 1.0)))


def build_chain(parts: Sequence[Mapping[str, Any]], domain: str, sample_rate: int = 16_000) -> Chain:
    """The chain of parts like `{"name": "time_mask", "p": 0.5, "max_fraction": 0.25}`; `p` defaults to 1.

    `domain` is "wave" or "spec"; `sample_rate` in Hz goes to the effects that have frequencies in Hz.
    Raises ValueError with every mistake in every part, one a line.
    """
    if domain not in ("wave", "spec"):
        raise ValueError(f"domain must be 'wave' or 'spec', got {domain!r}")
    steps, problems = [], []
    for place, part in enumerate(parts):
        found = _part_problems(part, domain)
        try:
            steps += [] if found else [_step(part, sample_rate)]
        except ValueError as error:
            found = [str(error)]
        problems += [f"effect {place + 1}: {text}" for text in found]
    if problems:
        raise ValueError("\n".join(problems))
    return Chain(tuple(steps))


def effect_rows() -> list[dict[str, str]]:
    """The table for people: `name`, `domain`, `changes`, `options` (with defaults and ranges) and `what` it does."""
    return [
        {
            "name": effect.name,
            "domain": effect.domain,
            "changes": ", ".join(effect.changes) or "nothing",
            "options": "; ".join(_option_text(f.name, f.default, f.metadata) for f in fields(effect)),
            "what": inspect.cleandoc(effect.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
        }
        for effect in EFFECTS.values()
    ]


def _option_text(name: str, default: Any, rule: Mapping[str, Any]) -> str:
    span = "/".join(rule["choices"]) or f"{rule['low']:g}..{rule['high']:g}"
    return f"{name}={default} ({span}; {rule['why']})"
