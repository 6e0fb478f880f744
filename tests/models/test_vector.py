"""What an embedder gives: the encoder's features or their projection, with the same weights behind both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mirclr.features.encoder import EncoderExtractor
from mirclr.features.encoder_file import load_encoder, save_encoder
from mirclr.features.random_init import random_encoder
from mirclr.models.embedder import Embedder
from mirclr.training.transfer import transfer

PLAN: dict[str, Any] = {
    "sample_rate": 8000,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}
PROJECTED = {**PLAN, "projection": {"name": "mlp", "hidden": 8, "dim": 5}, "vector": "projection"}


def embedder(plan: dict[str, Any], seed: int = 0) -> Embedder:
    torch.manual_seed(seed)
    return Embedder(plan).eval()


def frames() -> torch.Tensor:
    return torch.randn(3, 16, 60, generator=torch.Generator().manual_seed(1))


def test_a_projection_is_that_of_the_features_scaled_to_length_one() -> None:
    made = embedder(PROJECTED)
    assert (made.dim, made.encoder.dim) == (5, 24)
    assert made.project is not None
    by_hand = made.project(made.features(frames()))
    torch.testing.assert_close(made.from_spectrogram(frames()), by_hand / by_hand.norm(dim=1, keepdim=True))


def test_features_are_given_where_they_are_asked_for_and_by_the_bare_embedder() -> None:
    made = embedder({**PROJECTED, "vector": "features"})
    bare = made.bare()
    assert (made.dim, bare.dim, bare.project) == (24, 24, None)
    assert "projection" not in bare.plan
    assert not any(module.training for module in bare.modules()), "in the mode it was in"
    torch.testing.assert_close(made.from_spectrogram(frames()), made.features(frames()), rtol=0, atol=0)
    torch.testing.assert_close(bare.eval().from_spectrogram(frames()), made.features(frames()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("over", "said"),
    [({"vector": "projections"}, "vector must be one of features, projection"), ({"projection": None}, "needs a proj")],
)
def test_a_plan_that_contradicts_itself_is_refused(over: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Embedder({**PROJECTED, **over})


def test_it_is_written_and_read_with_its_projection_and_its_untrained_twin_gives_features(tmp_path: Path) -> None:
    made = embedder(PROJECTED)
    save_encoder(tmp_path, made, {"name": "x"})
    read = load_encoder(tmp_path, "cpu")
    torch.testing.assert_close(
        read.embedder.from_spectrogram(frames()), made.from_spectrogram(frames()), rtol=0, atol=0
    )
    twin = random_encoder(EncoderExtractor(made, name="x", device="cpu"), seed=0)
    assert (read.dim, twin.dim) == (5, 24)


@pytest.mark.parametrize(("dim", "arrives"), [(5, True), (6, False)])
def test_a_projection_comes_along_where_it_fits_and_is_listed_where_it_does_not(
    tmp_path: Path, dim: int, arrives: bool
) -> None:
    save_encoder(tmp_path, embedder(PROJECTED), {"name": "x"})
    here = embedder({**PROJECTED, "projection": {"name": "mlp", "hidden": 8, "dim": dim}}, seed=1)
    report = transfer(here, tmp_path, None, False)
    assert any(name.startswith("project.") for name in report.loaded) == arrives
    assert any(name.startswith("project.") for name in report.dropped) != arrives
    assert not report.partial


def test_weights_without_a_projection_leave_it_as_it_began(tmp_path: Path) -> None:
    save_encoder(tmp_path, embedder(PLAN), {"name": "x"})
    here = embedder(PROJECTED, seed=1)
    before = here.state_dict()["project.1.weight"].clone()
    assert not transfer(here, tmp_path, None, False).partial
    torch.testing.assert_close(here.state_dict()["project.1.weight"], before, rtol=0, atol=0)
