"""Robustness: what is left of a score when the test tracks are played badly?

The linear probe learns from the tracks as they are and answers for test tracks that were changed: noise, level, a lossy
codec, no treble, another key, another speed. The noise and gain are those of mir_ref (Plachouras, Alonso-Jimenez and
Bogdanov, 2023). Whole tracks are changed, at the encoder's sample rate, before they are cut into clips.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mirclr.augment.codec import MP3_RATES
from mirclr.errors import DatasetError
from mirclr.evaluation.bootstrap import interval
from mirclr.evaluation.changes import LOW_PASS_HZ, Change
from mirclr.evaluation.crossfit import linear_choice, linear_scores
from mirclr.evaluation.judge import Judge, Judged, Measure
from mirclr.evaluation.metrics import score_predictions
from mirclr.evaluation.sections import Section
from mirclr.evaluation.subject import Embed
from mirclr.evaluation.tables import table_of
from mirclr.evaluation.tasks import main_metric
from mirclr.features.extractor import Extractor
from mirclr.features.together import Together
from mirclr.reports import Work

UNCHANGED = "unchanged"
KBITS = 64
KBIT_RANGES = ((32_000, 32, 320), (16_000, 8, 160), (8_000, 8, 64))
"""(sample rate in Hz from which it holds, least and most kbit/s of MPEG layer III there)."""


def conditions(sample_rate: int) -> tuple[Change, ...]:
    """The changes at `sample_rate` Hz. MP3 is left out where MPEG lacks the rate, the low-pass where nothing is above
    it."""

    def line(attribute: str, amount: str, effect: str, fixed: Mapping[str, float], **options: float | str) -> Change:
        return Change(attribute, amount, effect, sample_rate, options, fixed)

    level = compression_of(KBITS, sample_rate)
    mp3: dict[str, float | str] = {"kind": "mp3", "min_compression": level, "max_compression": level}
    return (
        *(line("noise", f"{db} dB SNR", "noise", {"snr_db": db}, colour="white") for db in (15, 0)),
        line("gain", "-12 dB", "gain", {"db": -12}),
        *(line("MP3", f"{KBITS} kbit/s", "codec", {}, **mp3) for rate in MP3_RATES if rate == sample_rate),
        *(
            line("low-pass", f"{hertz / 1000:g} kHz", "low_pass", {"cutoff_hz": hertz, "order": 8})
            for hertz in (LOW_PASS_HZ,)
            if hertz < sample_rate / 2
        ),
        line("pitch", "+1 st", "pitch_shift", {"semitones": 1}),
        line("speed", "+5 %", "speed", {"rate": 1.05}),
    )


def compression_of(kbits: int, sample_rate: int) -> float:
    """libsndfile's compression level, 0..1, that means `kbits` kbit/s at a constant rate: its range, linearly."""
    least, most = next(((low, high) for rate, low, high in KBIT_RANGES if sample_rate >= rate), KBIT_RANGES[-1][1:])
    return float(np.clip((most - kbits) / (most - least), 0, 0.99))


class Playing:
    """A change of what is heard, computed once for all extractors that hear one sound in one thread."""

    def __init__(self, change: Change, seed: int) -> None:
        self.change, self.seed, self._last = change, seed, threading.local()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples, changed, same length."""
        heard: tuple[np.ndarray, np.ndarray] | None = getattr(self._last, "heard", None)
        if heard is None or heard[0] is not samples:
            heard = self._last.heard = samples, self.change(samples, self.seed)
        return heard[1]


class Played:
    """An extractor that hears everything through a change. Its vectors have a fingerprint of their own."""

    def __init__(self, extractor: Extractor, play: Playing) -> None:
        self.extractor, self.play = extractor, play
        self.name, self.dim, self.sample_rate = extractor.name, extractor.dim, extractor.sample_rate
        told = f"played 1 {extractor.fingerprint} {play.change!r} {play.seed}"
        self.fingerprint = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the extractor's."""
        return self.extractor.segments(self.play(samples))


@dataclass(frozen=True)
class Worn:
    """Vectors `(N, D)` of the tested tracks by row and change; tracks that are never tested have zeros."""

    vectors: Mapping[str, Mapping[str, np.ndarray]]


def wear(judge: Judge, tracks: pd.DataFrame, extractors: Mapping[str, Extractor], embed: Embed) -> Work[Worn]:
    """Embed the changed test tracks. `tracks` are the judged ones, in the problem's numbering.

    Raises DatasetError when a track that could be read before cannot be read now.
    """
    rows, _ = judge.problem.tested()
    rows = np.unique(rows)
    asked = tracks.iloc[rows].reset_index(drop=True)
    out: dict[str, dict[str, np.ndarray]] = {name: {} for name in extractors}
    for rate in sorted({e.sample_rate for e in extractors.values()}):
        members = {name: e for name, e in extractors.items() if e.sample_rate == rate}
        plays = {change.name: Playing(change, judge.seed) for change in conditions(rate)}
        played = {f"{name}\0{told}": Played(e, play) for told, play in plays.items() for name, e in members.items()}
        team = Together(played)
        done = yield from embed(team, asked)
        if len(done.quarantine):
            raise DatasetError(f"{done.quarantine['path'].iloc[0]}: could be read before and cannot be read now")
        for key, vectors in team.split(done.vectors).items():
            name, _, change = key.partition("\0")
            whole = np.zeros((len(tracks), vectors.shape[1]), np.float32)
            whole[rows] = vectors
            out[name][change] = whole
    return Worn(out)


def judge_worn(judge: Judge, vectors: np.ndarray, worn: Mapping[str, np.ndarray]) -> Judged:
    """The main measure of the linear probe under `"CHANGE.metric"` and under `"unchanged.metric"`."""
    versions = {UNCHANGED: vectors, **worn}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in versions}
    for split in judge.problem.splits:
        penalty = linear_choice(judge.problem, vectors, split).penalty
        new = np.concatenate([version[split.test] for version in versions.values()])
        scores = linear_scores(judge.problem, vectors, split, penalty, new)
        for name, part in zip(versions, np.split(scores, len(versions)), strict=True):
            parts[name].append(part)
    metric, measures, draws = main_metric(judge.problem.task), {}, {}
    weights = np.concatenate([judge.every, judge.artists])
    for name, answers in parts.items():
        key = f"{name}.{metric}"
        values = score_predictions(judge.problem.task, judge.truth, np.concatenate(answers), weights)[metric]
        measures[key], draws[key] = Measure(float(values[0]), *interval(values[1:])), values[1:]
    return Judged(measures, draws)


def drops(judged: Judged) -> Judged:
    """How much each change takes away, paired over the same draws of artists; below zero where it helps."""
    key = next(iter(judged.measures))
    whole, drawn = judged.measures[key].value, judged.draws[key]
    measures = {
        name: Measure(whole - m.value, *interval(drawn - judged.draws[name]))
        for name, m in judged.measures.items()
        if name != key
    }
    return Judged(measures, {})


def robustness_sections(judge: Judge, judged: Mapping[str, Judged]) -> Sequence[Section]:
    """The scores under every change, and what each takes away. Rows of other sample rates may lack a change."""
    metric = main_metric(judge.problem.task)
    shared = [key for key in next(iter(judged.values())).measures if all(key in j.measures for j in judged.values())]
    lines = {key.rpartition(".")[0]: key for key in shared}
    fallen = {name: drops(j) for name, j in judged.items()}
    notes = (f"{metric} of the linear probe, trained on the tracks as they are; only test tracks are changed",)
    return (
        Section("robustness", "Robustness", *table_of("change", lines, judged), notes, "bars"),
        Section(
            "robustness-drop",
            "Robustness: what each change takes away",
            *table_of("change", {told: key for told, key in lines.items() if told != UNCHANGED}, fallen),
            (f"{metric} unchanged minus changed, intervals paired over artists",),
            "bars",
        ),
    )
