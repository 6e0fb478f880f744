"""Answers for whole tracks: the mean over clips that cover a track evenly, as every embedding of a track is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirclr.datasets.tasks import Task, learned, spoken
from mirclr.models.embedder import Embedder
from mirclr.reports import Progress, Work
from mirclr.training.finetune_learner import Tunable
from mirclr.training.material import Material

BLOCK = 64  # clips at once


@torch.inference_mode()
def clips_of(
    embedder: Embedder, material: Material, track: str, device: torch.device, most: int | None = None
) -> Tensor:
    """The clips of a track `(S, F, clip_frames)` on `device`; with `most`, so many of them, evenly spaced."""
    parts = []
    for start, length, *_ in material.store.spans(track):
        rows = torch.from_numpy(material.store.read(track, start, length).astype(np.float32))
        frames = embedder.frontend.track(rows / 32768) if material.level == "samples" else rows.T
        parts.append(embedder.clips(frames)[0].to(device))
    clips = torch.cat(parts)
    if most is None or len(clips) <= most:
        return clips
    return clips[torch.linspace(0, len(clips) - 1, most).round().long()]


@torch.inference_mode()
def score_tracks(
    model: Tunable, material: Material, ids: Sequence[str], device: torch.device, stage: str, most: int | None = None
) -> Work[np.ndarray]:
    """Scores `(M, K)` of tracks by a model in eval mode: the mean over the scores of their clips."""
    scores = []
    for done, track in enumerate(ids, 1):
        clips = clips_of(model.embedder, material, track, device, most)
        answers = [model.head.scores(model(part)) for part in clips.split(BLOCK)]
        scores.append(torch.cat(answers).double().mean(dim=0).cpu().numpy())
        yield Progress(stage, done, len(ids))
    return np.stack(scores)


def measure_rows(paths: Sequence[str], values: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Rows of predictions.csv for tasks of frames: what each track reached in every measure."""
    return [
        {"path": os.fspath(path), "measure": name, "value": value}
        for k, path in enumerate(paths)
        for name, value in ((name, each[k]) for name, each in values.items())
    ]


def prediction_rows(
    task: Task, vocabulary: Sequence[str], paths: Sequence[str], truth: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    """Rows of predictions.csv. Multiclass: the answer and its probability; else one row per label or target."""
    if learned(task) == "multiclass":
        named = zip(paths, truth, scores.argmax(axis=1), scores.max(axis=1), strict=True)
        return [
            {"path": os.fspath(path), "true": vocabulary[t], "predicted": vocabulary[p], "probability": share}
            for path, t, p, share in named
        ]
    each = ((path, *row) for path, ts, ss in zip(paths, spoken(task, truth), spoken(task, scores), strict=True)
            for row in zip(vocabulary, ts, ss, strict=True))  # fmt: skip
    return [{"path": os.fspath(path), "label": k, "true": t, "predicted": s} for path, k, t, s in each]
