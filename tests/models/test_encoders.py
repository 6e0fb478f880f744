"""One contract for every encoder and head in the tables, and the residual network's own arithmetic."""

from __future__ import annotations

import pytest
import torch

from mirclr.models.embedder import Embedder
from mirclr.models.resnet import ResidualEncoder, pooled
from mirclr.models.table import ENCODERS, HEADS, build_encoder, build_head
from mirclr.tables import options_of


def small(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_encoder(name, width=4) if "width" in options_of(ENCODERS[name]) else build_encoder(name)


@pytest.mark.parametrize("name", ENCODERS)
class TestEveryEncoder:
    @pytest.mark.parametrize("frames", [1, 7, 64, 301])
    def test_any_length_gives_one_finite_vector_of_the_stated_size(self, name: str, frames: int) -> None:
        encoder = small(name).eval()
        out = encoder(torch.randn(3, 64, max(frames, encoder.min_frames)))
        assert out.shape == (3, encoder.dim)
        assert torch.isfinite(out).all()

    def test_in_eval_a_vector_does_not_depend_on_its_neighbours(self, name: str) -> None:
        encoder, clips = small(name).eval(), torch.randn(5, 64, 50)
        alone = torch.cat([encoder(clip[None]) for clip in clips])
        torch.testing.assert_close(encoder(clips), alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encoder(clips.flip(0)).flip(0), alone, atol=1e-5, rtol=1e-4)

    def test_gradient_reaches_every_weight(self, name: str) -> None:
        encoder = small(name).train()
        encoder(torch.randn(6, 64, 50)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())

    def test_two_sounds_have_two_vectors(self, name: str) -> None:
        out = small(name).eval()(torch.randn(2, 64, 50))
        assert (out[0] - out[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", HEADS)
def test_every_head_projects_to_its_size_and_learns(name: str) -> None:
    head = build_head(name, 24, dim=8)
    out = head(torch.randn(6, 24))
    assert out.shape == (6, 8)
    out.square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_every_stage_is_exported_as_mean_and_maximum() -> None:
    assert ResidualEncoder(width=4, stages=3).dim == 2 * (4 + 8 + 16)
    maps = torch.arange(12.0).reshape(1, 2, 2, 3)
    torch.testing.assert_close(pooled(maps), torch.tensor([[2.5, 8.5, 5.0, 11.0]]))


def test_the_default_size_is_what_its_documentation_says() -> None:
    count = sum(p.numel() for p in ResidualEncoder().parameters())
    assert 1.15e6 < count < 1.25e6


@pytest.mark.parametrize(
    ("options", "said"),
    [({"width": 0}, "encoder.width"), ({"stem": [4]}, "two strides"), ({"blocks": 2.0}, "encoder.blocks")],
)
def test_options_out_of_range_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_encoder("resnet", **options)


def test_mistakes_name_the_nearest_right_word() -> None:
    with pytest.raises(ValueError, match=r"no encoder 'resnt'\. Did you mean 'resnet'\?"):
        build_encoder("resnt")
    with pytest.raises(ValueError, match=r"unknown option 'widht'\. Did you mean 'width'\?"):
        build_encoder("resnet", widht=3)
    with pytest.raises(ValueError, match=r"unknown option 'hiden'.*unknown option 'size'"):
        build_head("mlp", 8, hiden=3, size=4)


PLAN = {
    "sample_rate": 8000,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}


@pytest.mark.parametrize(
    ("frames", "count"), [(1, 1), (61, 1), (62, 1), (69, 1), (70, 2), (131, 2), (132, 3), (620, 10)]
)
def test_clips_cover_a_track_evenly_from_its_first_frame_to_its_last(frames: int, count: int) -> None:
    embedder = Embedder(PLAN)
    assert embedder.clip_frames == 62
    track = torch.arange(frames).float().expand(16, frames)
    clips, starts = embedder.clips(track)
    assert clips.shape == (count, 16, 62)
    assert clips[0, 0, 0] == 0
    assert len(set(range(frames)) - set(clips[:, 0].flatten().long().tolist())) <= 62 // 8
    if count > 1 or frames <= 62:
        assert clips[-1, 0].max() == frames - 1
    if frames >= 62:
        assert torch.equal(clips[:, 0, 0].long(), starts)


def test_a_short_track_is_repeated_not_padded() -> None:
    clips, _ = Embedder(PLAN).clips(torch.tensor([[1.0, 2.0, 3.0]]).expand(16, 3))
    assert clips[0, 0, :7].tolist() == [1, 2, 3, 1, 2, 3, 1]
