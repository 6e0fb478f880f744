"""Exported encoders: what is read is what was written, and anything else is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mirclr.errors import CheckpointError
from mirclr.features.encoder import EncoderExtractor, fingerprint_of, pick_device
from mirclr.features.encoder_file import PLAN, WEIGHTS, load_encoder, save_encoder
from mirclr.features.random_init import random_encoder
from mirclr.models.embedder import Embedder

SMALL = {
    "sample_rate": 8000,
    "clip_seconds": 0.5,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}


@pytest.fixture
def embedder() -> Embedder:
    torch.manual_seed(3)
    made = Embedder(SMALL)
    made.normalise.fit([torch.randn(2, 16, 50) * 3 - 4])
    return made


def sound(seconds: float = 2.0) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(round(8000 * seconds)).astype(np.float32) * 0.1


def test_written_and_read_gives_the_same_vectors(embedder: Embedder, tmp_path: Path) -> None:
    save_encoder(tmp_path / "run" / "encoder", embedder, {"name": "mine", "notes": ["a note"]})
    for place in (tmp_path / "run", tmp_path / "run" / "encoder"):
        read = load_encoder(place)
        assert (read.name, read.notes, read.dim) == ("mine", ("a note",), embedder.dim)
        assert read.fingerprint == fingerprint_of(embedder)
        segments, starts = read.segments(sound())
        assert segments.shape == (4, embedder.dim)
        assert starts.tolist() == sorted(starts.tolist())
        expected, _ = EncoderExtractor(embedder, name="x").segments(sound())
        np.testing.assert_array_equal(segments, expected)


@pytest.mark.parametrize("length", [1, 100, 3999, 4000, 4001])
def test_sound_of_any_length_has_a_finite_vector(embedder: Embedder, length: int) -> None:
    segments, _ = EncoderExtractor(embedder, name="x").segments(sound()[:length])
    assert len(segments) >= 1
    assert np.isfinite(segments).all()


def test_vectors_do_not_depend_on_the_batch_they_are_computed_in(embedder: Embedder) -> None:
    one, _ = EncoderExtractor(embedder, name="x", batch=1).segments(sound())
    all_at_once, _ = EncoderExtractor(embedder, name="x", batch=64).segments(sound())
    np.testing.assert_allclose(one, all_at_once, atol=1e-5, rtol=1e-4)


def test_the_fingerprint_changes_with_any_weight_and_any_option(embedder: Embedder) -> None:
    before = fingerprint_of(embedder)
    assert fingerprint_of(Embedder({**SMALL, "clip_seconds": 1.0})) != before
    with torch.no_grad():
        next(embedder.encoder.parameters()).view(-1)[0] += 1e-6
    assert fingerprint_of(embedder) != before


def test_the_untrained_twin_keeps_the_normalisation_and_nothing_else(embedder: Embedder) -> None:
    like = EncoderExtractor(embedder, name="x")
    twin, again, other = random_encoder(like, 7), random_encoder(like, 7), random_encoder(like, 8)
    assert twin.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(twin.embedder.normalise.mean, embedder.normalise.mean)
    weights = (e.encoder.state_dict()["stem.0.weight"] for e in (twin.embedder, embedder))
    assert not torch.equal(*weights)


def test_making_a_twin_leaves_torchs_generator_alone(embedder: Embedder) -> None:
    like = EncoderExtractor(embedder, name="x")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    random_encoder(like, 7)
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_encoder_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no encoder here .*pretrain -o"):
        load_encoder(tmp_path)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_one_flipped_bit_is_noticed(embedder: Embedder, tmp_path: Path) -> None:
    save_encoder(tmp_path, embedder, {})
    flip(tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors: its bytes are not those"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x80\x04\x95pickle"])
def test_something_else_in_place_of_the_weights_is_refused(embedder: Embedder, tmp_path: Path, content: bytes) -> None:
    save_encoder(tmp_path, embedder, {})
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "encoder format 99, this mirclr reads 1"),
        ({"plan": {**SMALL, "encoder": {"name": "resnet", "width": 8, "stages": 2}}}, "does not fit the model"),
        ({"plan": {**SMALL, "encoder": {"name": "other"}}}, "no encoder 'other'"),
        ({"plan": "nonsense"}, "not an encoder's description"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    embedder: Embedder, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    save_encoder(tmp_path, embedder, {})
    about = json.loads((tmp_path / PLAN).read_text())
    (tmp_path / PLAN).write_text(json.dumps({**about, **change}))
    with pytest.raises(CheckpointError, match=said):
        load_encoder(tmp_path)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        assert pick_device("gpu").type == "cuda"
    else:
        with pytest.raises(ValueError, match="torch sees no GPU"):
            pick_device("gpu")
