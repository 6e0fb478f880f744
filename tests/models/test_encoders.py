"""One contract for every encoder and head in the tables, and how a track is cut into clips."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.features.onnx_file import difference, trace
from mirclr.models.convolution import norm_conv
from mirclr.models.embedder import Embedder
from mirclr.models.encoder import Encoder
from mirclr.models.table import ENCODERS, HEADS, build_encoder, build_head
from mirclr.tables import options_of

SMALL: dict[str, dict[str, Any]] = {
    "crnn": {"width": 4, "hidden": 8},
    "transformer": {"width": 8, "heads": 2, "depth": 2},
}
"""What makes an encoder small; `width` alone where nothing is said."""
QUIET = {"mask": 0.0, "dropout": 0.0}


def small(name: str, **options: Any) -> Encoder:
    torch.manual_seed(0)
    known = options_of(ENCODERS[name])
    given = SMALL.get(name, {"width": 4}) | {key: value for key, value in options.items() if key in known}
    return build_encoder(name, **given)


def sounds(encoder: Encoder, batch: int, length: int, seed: int = 1) -> Tensor:
    """`length` frames, or as many times the frame stride of samples."""
    shape = (batch, 1, length * encoder.frame_stride) if encoder.domain == "wave" else (batch, 64, length)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def weights(encoder: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


@pytest.mark.parametrize("name", ENCODERS)
class TestEveryEncoder:
    @pytest.mark.parametrize("frames", [0, 1, 7, 64, 301])
    def test_any_length_gives_one_finite_vector_and_a_sequence_of_the_stated_sizes(
        self, name: str, frames: int
    ) -> None:
        encoder = small(name).eval()
        clips = sounds(encoder, 3, 301)[:, :, : max(frames, encoder.min_frames)]
        out, sequence = encoder(clips), encoder.sequence(clips)
        assert out.shape == (3, encoder.dim)
        assert sequence.shape == (3, math.ceil(clips.shape[2] / encoder.frame_stride), encoder.channels)
        assert torch.isfinite(out).all()
        assert torch.isfinite(sequence).all()

    def test_input_that_is_too_short_or_of_another_shape_is_refused(self, name: str) -> None:
        encoder = small(name)
        least, rows = encoder.min_frames, 1 if encoder.domain == "wave" else 64
        with pytest.raises(ValueError, match=rf"input of {least - 1} \w+: {type(encoder).__name__} needs {least}"):
            encoder(torch.zeros(2, rows, least - 1))
        with pytest.raises(ValueError, match=r"takes \(B, \w+, N\), got \(2, 50\)"):
            encoder.sequence(torch.zeros(2, 50))

    def test_in_eval_a_vector_does_not_depend_on_its_neighbours(self, name: str) -> None:
        encoder = small(name, mask=0.5, dropout=0.5).eval()
        clips = sounds(encoder, 5, 50)
        for read in (encoder.forward, encoder.sequence):
            alone = torch.cat([read(clip[None]) for clip in clips])
            torch.testing.assert_close(read(clips), alone, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(read(clips.flip(0)).flip(0), alone, atol=1e-5, rtol=1e-4)

    def test_gradient_reaches_every_weight(self, name: str) -> None:
        encoder = small(name, **QUIET).train()
        encoder(sounds(encoder, 6, 50)).square().sum().backward()
        silent = [key for key, p in encoder.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
        assert silent == []

    def test_two_sounds_have_two_vectors(self, name: str) -> None:
        encoder = small(name).eval()
        out = encoder(sounds(encoder, 2, 50))
        assert (out[0] - out[1]).abs().max() > 1e-3

    def test_its_depths_hold_every_parameter_once(self, name: str) -> None:
        encoder = small(name)
        held = [id(p) for part in encoder.depths() for p in part.parameters()]
        assert sorted(held) == sorted(id(p) for p in encoder.parameters())
        assert all(list(part.parameters()) for part in encoder.depths())

    @pytest.mark.parametrize("place", [0.25, 0.5, 0.8])
    def test_a_moment_is_heard_where_it_is(self, name: str, place: float) -> None:
        encoder = small(name).eval()
        quiet = 0.1 * sounds(encoder, 1, 512)
        at, stride = round(place * quiet.shape[2]), encoder.frame_stride
        loud = quiet.clone()
        loud[:, :, at : at + stride] += 5 * sounds(encoder, 1, stride, seed=2)[:, :, :stride]
        change = (encoder.sequence(loud) - encoder.sequence(quiet)).abs().sum(dim=2)
        assert abs(int(change.argmax()) - at / stride) <= 2

    def test_the_layout_in_memory_does_not_matter(self, name: str) -> None:
        encoder = small(name).eval()
        clips = sounds(encoder, 3, 50)
        expected, along = encoder(clips), encoder.sequence(clips)
        scattered = clips.transpose(1, 2).contiguous().transpose(1, 2)
        encoder.to(memory_format=torch.contiguous_format)
        torch.testing.assert_close(encoder(scattered), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encoder.sequence(scattered), along, atol=1e-5, rtol=1e-4)

    def test_its_weights_come_from_torchs_generator(self, name: str) -> None:
        first, again = weights(small(name)), weights(small(name))
        torch.manual_seed(1)
        other = weights(build_encoder(name, **SMALL.get(name, {"width": 4})))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_dropout_is_for_training_and_drawn_from_torchs_generator(self, name: str) -> None:
        encoder = small(name, dropout=0.3, mask=0.0)
        clips = sounds(encoder, 4, 50)
        with torch.no_grad():
            torch.manual_seed(3)
            one, two = encoder.train()(clips), encoder(clips)
            torch.manual_seed(3)
            torch.testing.assert_close(encoder(clips), one)
            assert not torch.allclose(one, two)
            torch.testing.assert_close(encoder.eval()(clips), encoder(clips))
        with pytest.raises(ValueError, match=r"encoder\.dropout must be a number from 0 to below 1, got 1"):
            build_encoder(name, dropout=1)

    def test_without_dropout_and_mask_training_draws_nothing(self, name: str) -> None:
        encoder = small(name, **QUIET).train()
        before = torch.get_rng_state()
        encoder(sounds(encoder, 4, 50))
        assert torch.equal(torch.get_rng_state(), before)

    def test_onnx_computes_what_torch_computes(self, name: str) -> None:
        encoder = small(name).eval()
        content = trace(encoder, sounds(encoder, 2, 50), "frames", opset=17)
        others = [sounds(encoder, batch, length) for batch, length in ((1, 61), (3, 7), (2, 128))]
        error = difference(content, encoder, [*others, sounds(encoder, 1, 50)[:, :, : encoder.min_frames]])
        assert error is not None
        assert error < 1e-4


@pytest.mark.parametrize("name", [name for name, encoder in ENCODERS.items() if encoder.domain == "spec"])
@pytest.mark.parametrize("bands", [1, 5, 80, 84, 96, 128])
def test_any_number_of_bands(name: str, bands: int) -> None:
    encoder = build_encoder(name, bands=bands, **SMALL.get(name, {"width": 4})).eval()
    out = encoder(torch.randn(2, bands, 40))
    assert out.shape == (2, encoder.dim)
    assert (out[0] - out[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", HEADS)
def test_every_head_projects_to_its_size_and_learns(name: str) -> None:
    head = build_head(name, 24, dim=8)
    out = head(torch.randn(6, 24))
    assert out.shape == (6, 8)
    out.square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())


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


def test_a_strided_kernel_of_one_cell_is_a_convolution_like_any_other() -> None:
    torch.manual_seed(1)
    conv, maps = norm_conv(4, 8, 1, (2, 3))[0], torch.randn(3, 4, 7, 11)
    torch.testing.assert_close(conv(maps), functional.conv2d(maps, conv.weight, stride=(2, 3)), rtol=0, atol=0)


def test_narrow_blocks_write_nowhere_but_into_their_own_memory() -> None:
    """In a process of its own, whose heap is laid out so that glibc sees what was overwritten and aborts."""
    code = """
import torch
from mirclr.models.convolution import ResidualBlock
block = ResidualBlock(4, 8, 2).to(memory_format=torch.channels_last)
for _ in range(60):
    block(torch.randn(5, 4, 4, 16).to(memory_format=torch.channels_last).requires_grad_()).sum().backward()
    between = [torch.randn(size) for size in (3, 17, 129, 1025)]
"""
    strict = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_MMAP_MAX_": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=strict, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
