"""Frame-level truth in training: annotations as targets of planned crops, and as what pieces of the store hold.

A store may hold only excerpts of a long track; an annotation counts in seconds of the whole file. Every piece is taught
and tested as the excerpt it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.augment.table import EFFECTS
from mirclr.datasets.tasks import Task
from mirclr.events.decode import decode
from mirclr.events.grid import on_grid, within
from mirclr.events.scores import score_events
from mirclr.features.frames import frame_scores, seconds_a_frame
from mirclr.models.embedder import Embedder
from mirclr.reports import Progress, Work
from mirclr.training.finetune_learner import Tunable
from mirclr.training.labelled import Labelled, Part
from mirclr.training.material import Material
from mirclr.training.views import Batch

Events = Mapping[str, np.ndarray]
_TINY = 1e-7


class Piece(NamedTuple):
    """One contiguous excerpt in the store: its first unit, its units, where it begins in the file (s)."""

    first: int
    units: int
    start_s: float


@dataclass(frozen=True)
class FrameTruth:
    """What the training crops hold: `events` of the training tracks in the order of `ids`, their `pieces`, seconds of a
    unit of the store (`unit_s`) and of a feature (`step_s`), input frames of a feature (`stride`)."""

    kind: Task
    events: Sequence[Events]
    pieces: Sequence[Sequence[Piece]]
    unit_s: float
    step_s: float
    stride: int

    @classmethod
    def of(cls, labelled: Labelled, embedder: Embedder) -> FrameTruth:
        """The truth of the training part."""
        material, rows = labelled.material, labelled.train.rows.tolist()
        pieces = [pieces_of(material, name) for name in labelled.train.ids]
        events = [labelled.collection.annotations[row] for row in rows]
        step_s, stride = seconds_a_frame(embedder), embedder.encoder.frame_stride
        return cls(labelled.collection.kind, events, pieces, material.step_s, step_s, stride)

    def batch(self, planned: Batch, frames: int) -> tuple[Tensor, Tensor]:
        """Targets `(B, N', K)` and weights `(B, N')` of crops of `frames` frames: 0 where a short piece is repeated."""
        count = -(-frames // self.stride)
        made = [
            self._crop(int(track), int(start), count)
            for track, start in zip(planned.track[:, 0], planned.start[:, 0], strict=True)
        ]
        targets, weights = (np.stack(part) for part in zip(*made, strict=True))
        return torch.from_numpy(targets), torch.from_numpy(weights)

    def _crop(self, track: int, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        piece = next(p for p in self.pieces[track] if p.first <= start < p.first + p.units)
        begin = piece.start_s + (start - piece.first) * self.unit_s
        left = (piece.first + piece.units - start) * self.unit_s
        there = np.arange(count) * self.step_s < left
        grid = on_grid(self.kind, self.events[track], begin, self.step_s, count)
        return grid, there.astype(np.float32)

    def rates(self) -> Tensor:
        """`(tracks, K)`: the mean target of each output over the frames of each training track."""
        rows = []
        for events, pieces in zip(self.events, self.pieces, strict=True):
            grids = [on_grid(self.kind, events, p.start_s, self.step_s, self._frames(p)) for p in pieces]
            rows.append(np.concatenate(grids).mean(axis=0))
        return torch.from_numpy(np.stack(rows))

    def _frames(self, piece: Piece) -> int:
        return max(1, round(piece.units * self.unit_s / self.step_s))


def pieces_of(material: Material, track: str) -> list[Piece]:
    """The excerpts of a track that the store holds."""
    return [Piece(int(first), int(units), float(start)) for first, units, start in material.store.spans(track)]


@dataclass(frozen=True)
class Heard:
    """Of one excerpt: the `track`'s place in its part, the `scores` `(N', K)` of its frames, and its `truth`."""

    track: int
    scores: np.ndarray
    truth: Events


def hear(model: Tunable, labelled: Labelled, part: Part, device: torch.device, stage: str) -> Work[list[Heard]]:
    """Every excerpt of a part by a model in eval mode."""
    heard = []
    for done, (name, row) in enumerate(zip(part.ids, part.rows.tolist(), strict=True), 1):
        events = labelled.collection.annotations[row]
        for piece, frames in _read(model.embedder, labelled.material, name):
            scores = frame_scores(model.embedder, model.head, frames, device)
            truth = within(events, piece.start_s, piece.units * labelled.material.step_s)
            heard.append(Heard(done - 1, scores, truth))
        yield Progress(stage, done, len(part))
    return heard


def _read(embedder: Embedder, material: Material, track: str) -> Iterator[tuple[Piece, Tensor]]:
    """The pieces of a track and the frontend's frames of each, `(F, N)`."""
    for piece in pieces_of(material, track):
        rows = torch.from_numpy(material.store.read(track, piece.first, piece.units).astype(np.float32))
        yield piece, embedder.frontend.track(rows / 32768) if material.level == "samples" else rows.T


def frame_loss(kind: Task, heard: Sequence[Heard], step_s: float) -> float:
    """Mean binary cross-entropy over the frames of all excerpts."""
    total = count = 0.0
    for each in heard:
        target = torch.from_numpy(on_grid(kind, each.truth, 0.0, step_s, len(each.scores)))
        score = torch.from_numpy(each.scores).clamp(_TINY, 1 - _TINY)
        total += float(functional.binary_cross_entropy(score, target, reduction="sum"))
        count += target.numel()
    return total / count


def score_heard(
    kind: Task, heard: Sequence[Heard], tracks: int, step_s: float, thresholds: np.ndarray
) -> dict[str, np.ndarray]:
    """Every measure of a kind for each of so many tracks, `(tracks,)`: the mean over its excerpts."""
    scores = [score_events(kind, each.truth, decode(kind, each.scores, step_s, thresholds)) for each in heard]
    place = np.array([each.track for each in heard])
    own = np.bincount(place, minlength=tracks)
    return {name: np.bincount(place, [s[name] for s in scores], minlength=tracks) / own for name in scores[0]}


def misplacing(kind: Task, names: Sequence[str]) -> list[str]:
    """Those of `names` of effects after which the events of a crop would not be where they are known to be."""
    moved = {"tempo", "order"} | ({"key", "pitch"} if kind == "notes" else set())
    effects = [EFFECTS[name] for name in names if name in EFFECTS]  # the chain's builder says which is none
    return [e.name for e in effects if e.mixes or e.mixes_labels or moved & set(e.changes)]
