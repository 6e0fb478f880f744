"""A track to the answers of a frame-level head: windows of a clip's length, each frame from the one it is deepest
in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mirclr.models.embedder import Embedder
from mirclr.models.task_head import TaskHead

BLOCK = 16  # windows at once


def seconds_a_frame(embedder: Embedder) -> float:
    """How far apart the features of `Embedder.sequence` lie."""
    return embedder.encoder.frame_stride * embedder.frontend.hop / int(embedder.plan["sample_rate"])


def windows(total: int, clip: int, stride: int) -> np.ndarray:
    """First frames of windows that cover `total` frames, half over each other, all multiples of `stride`. Each is
    `clip` long, the last as long as the track goes on: less than `stride` longer, or shorter where all of it is."""
    hop = max(stride, clip // 2 // stride * stride)
    last = max(0, total - clip) // stride * stride
    return np.unique([*range(0, last, hop), last])


@torch.inference_mode()
def frame_features(embedder: Embedder, frames: Tensor, device: torch.device) -> Tensor:
    """Features `(ceil(N / frame_stride), C)` of a whole track, from the frontend's frames `(F, N)`, on `device`.

    Row k describes the moment `k * seconds_a_frame`. Each is taken from the window whose middle is nearest. Windows
    begin where the whole track's features would too (`Encoder.grid`), so in eval mode the two differ only by what lies
    beyond a window's ends. A track shorter than a window is repeated until it fills it, as clips are.
    """
    stride, clip, grid = embedder.encoder.frame_stride, embedder.clip_frames, embedder.encoder.grid
    total = frames.shape[1]
    first = windows(total, clip, grid if grid <= clip // 2 else stride)
    whole = [frames[:, start : start + clip] for start in first[:-1].tolist()]
    rows = [row for part in _blocks(whole) for row in embedder.sequence(part.to(device)).float()]
    end = frames[:, int(first[-1]) :]
    end = end if total >= clip else end[:, torch.arange(clip) % total]
    rows.append(embedder.sequence(end[None].to(device))[0].float())
    moments = np.arange(-(-total // stride)) * stride
    nearest = np.abs(moments[:, None] - (first + (clip - 1) / 2)).argmin(axis=1)
    inside = [(moments[nearest == k] - start) // stride for k, start in enumerate(first)]
    return torch.cat([row[torch.from_numpy(place)] for row, place in zip(rows, inside, strict=True)])


def _blocks(parts: list[Tensor]) -> list[Tensor]:
    """`(F, clip)` each as batches."""
    return [torch.stack(parts[k : k + BLOCK]) for k in range(0, len(parts), BLOCK)]


@torch.inference_mode()
def frame_scores(embedder: Embedder, head: TaskHead, frames: Tensor, device: torch.device) -> np.ndarray:
    """What a frame-level head says of a whole track: `(N', K)` float32 in 0..1. All in eval mode."""
    return head.scores(head(frame_features(embedder, frames, device)[None]))[0].cpu().numpy()
