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
    """First frames of windows of `clip` that cover `total` frames, half over each other, all multiples of `stride`, so
    that their features lie on one grid. The last may run past the end, by less than `stride` where the track is long.
    """
    if total <= clip:
        return np.zeros(1, np.int64)
    hop = max(stride, clip // 2 // stride * stride)
    last = -(-(total - clip) // stride) * stride
    return np.unique([*range(0, last, hop), last])


@torch.inference_mode()
def frame_features(embedder: Embedder, frames: Tensor, device: torch.device) -> Tensor:
    """Features `(ceil(N / frame_stride), C)` of a whole track, from the frontend's frames `(F, N)`, on `device`.

    Row k describes the moment `k * seconds_a_frame`. In eval mode a frame of one window differs from that of another
    only by what lies beyond the window's ends, so each is taken from the window whose middle is nearest. A track
    shorter than a window is repeated until it fills it, as clips are.
    """
    stride, clip = embedder.encoder.frame_stride, embedder.clip_frames
    total = frames.shape[1]
    first = windows(total, clip, stride)
    filled = frames[:, torch.arange(int(first[-1]) + clip) % total]
    parts = torch.stack([filled[:, start : start + clip] for start in first.tolist()])
    features = torch.cat([embedder.sequence(part.to(device)).float() for part in parts.split(BLOCK)])
    moments = torch.arange(-(-total // stride))
    centres = torch.from_numpy(first).double() + (clip - 1) / 2
    place = (moments[:, None] * stride - centres[None]).abs().argmin(dim=1)
    inside = moments - torch.from_numpy(first)[place] // stride
    return features[place, inside.clamp(max=features.shape[1] - 1)]


@torch.inference_mode()
def frame_scores(embedder: Embedder, head: TaskHead, frames: Tensor, device: torch.device) -> np.ndarray:
    """What a frame-level head says of a whole track: `(N', K)` float32 in 0..1. All in eval mode."""
    return head.scores(head(frame_features(embedder, frames, device)[None]))[0].cpu().numpy()
