"""Frame features of whole tracks: every encoder that can, in windows, is what it is all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.features.frames import frame_features, frame_scores, seconds_a_frame, windows
from mirclr.models.embedder import Embedder
from mirclr.models.table import ENCODERS
from mirclr.models.task_head import TaskHead

SMALL = {"resnet": {"size": "nano"}, "transformer": {"width": 32, "depth": 1, "heads": 2}}
CPU = torch.device("cpu")


def embedder(name: str, **options: object) -> Embedder:
    torch.manual_seed(0)
    wave = ENCODERS[name].domain == "wave"
    frontend = {"name": "raw"} if wave else {"name": "logmel", "n_fft": 512, "hop": 128, "n_mels": 32}
    plan = {
        "sample_rate": 8_000,
        "clip_seconds": 4.0 if wave else 1.0,
        "frontend": frontend,
        "normalise": {"name": "none"},
        "encoder": {"name": name, **SMALL.get(name, {}), **options},
    }
    return Embedder(plan).eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_features_of_every_moment_of_a_track(name: str) -> None:
    made = embedder(name)
    frames = made.frontend.track(torch.randn(68_000) * 0.1)
    out = frame_features(made, frames, CPU)
    assert out.shape == (-(-frames.shape[1] // made.encoder.frame_stride), made.encoder.channels)
    assert torch.isfinite(out).all()
    assert len(out) * seconds_a_frame(made) == pytest.approx(68_000 / 8_000, abs=seconds_a_frame(made) + 0.02)


@pytest.mark.parametrize("name", ["resnet", "conv1d"])
def test_windows_are_the_whole_away_from_its_ends(name: str) -> None:
    """Where the view of a feature is shorter than a quarter of a window, windows change nothing."""
    options = {"stages": 2, "stem": [4, 1]} if name == "resnet" else {"stages": 2, "stride": 1}
    made = embedder(name, **options)
    frames = made.frontend.track(torch.randn(40_000) * 0.1)
    torch.testing.assert_close(frame_features(made, frames, CPU), made.sequence(frames[None])[0], atol=1e-4, rtol=1e-4)


def test_a_track_shorter_than_a_window_is_repeated_into_it() -> None:
    made = embedder("resnet")
    frames = made.frontend.track(torch.randn(3_000) * 0.1)
    filled = frames.repeat(1, 10)[:, : made.clip_frames]
    expected = made.sequence(filled[None])[0]
    out = frame_features(made, frames, CPU)
    torch.testing.assert_close(out, expected[: len(out)])
    head = TaskHead(made.encoder.channels, 2, "multilabel", framewise=True).eval()
    scores = frame_scores(made, head, frames, CPU)
    assert scores.shape == (len(out), 2)
    np.testing.assert_allclose(scores, 0.5)


@pytest.mark.parametrize(
    ("total", "clip", "stride"), [(50, 100, 4), (100, 100, 4), (101, 100, 4), (1000, 62, 4), (999, 60, 1)]
)
def test_windows_cover_everything_on_one_grid(total: int, clip: int, stride: int) -> None:
    first = windows(total, clip, stride)
    assert (first % stride == 0).all()
    assert first[0] == 0
    assert max(clip, total) - stride < first[-1] + clip <= max(clip, total)
    assert (np.diff(first) <= max(stride, clip // 2)).all()
