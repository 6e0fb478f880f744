"""Every frontend, compression and normalisation trains to the end, and what it exports embeds a track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mirclr.config import CacheConfig, Part, PretrainConfig
from mirclr.errors import ConfigError
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.encoder_file import load_encoder
from mirclr.features.random_init import random_encoder
from mirclr.models.embedder import Embedder
from mirclr.models.table import COMPRESSIONS, FRONTENDS, NORMALISATIONS, build_frontend
from mirclr.reports import finish
from mirclr.training.check import check_config
from mirclr.training.learner import plan_of
from mirclr.training.material import prepare
from mirclr.training.pretrain import pretrain
from tests.support.tiny import tiny
from tests.support.tones import RATE, tone_folder, tone_track

FILTERS = {"n_fft": 256, "hop": 128}
SEMITONES = {"hop": 128, "n_bins": 36, "f_min": 150.0}
RAW = {"frontend": {"name": "raw"}, "encoder": {"name": "samplecnn", "width": 2}, "augment": {"spec": []}}
CASES: dict[str, dict[str, Any]] = {
    "logmel": {},
    "gammatone": {"frontend": {"name": "gammatone", **FILTERS, "n_bins": 16}},
    "cqt": {"frontend": {"name": "cqt", **SEMITONES}},
    "vqt": {"frontend": {"name": "vqt", **SEMITONES}},
    "raw": RAW,
    "raw, per clip": {**RAW, "normalise": {"name": "clip"}},
    "logmel, learning": {
        "frontend": {"name": "logmel", **FILTERS, "n_mels": 16, "backend": "nnaudio", "trainable": True}
    },
    "gammatone, learning": {"frontend": {"name": "gammatone", **FILTERS, "n_bins": 16, "trainable": True}},
    "cqt, learning": {"frontend": {"name": "cqt", **SEMITONES, "trainable": True}},
    "vqt, learning": {"frontend": {"name": "vqt", **SEMITONES, "trainable": True}},
    "pcen": {"compression": {"name": "pcen"}},
    "pcen, learning": {"compression": {"name": "pcen", "trainable": True}, "normalise": {"name": "fitted"}},
    "clip": {"normalise": {"name": "clip", "per_band": True}},
    "none": {"compression": {"name": "pcen"}, "normalise": {"name": "none"}},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """A track table and a cache folder, decoded once for the module."""
    folder = tmp_path_factory.mktemp("sound")
    return tone_folder(folder / "music", 6, 3.0), folder / "cache"


def train(sound: tuple[pd.DataFrame, Path], run: Path, **over: Any) -> tuple[PretrainConfig, EncoderExtractor]:
    config = tiny(sound[1], **{"budget": {"steps": 3}, **over})
    assert finish(pretrain(sound[0], config, run)).steps == 3
    return config, load_encoder(run, "cpu")


def test_every_entry_of_the_tables_is_trained() -> None:
    settings = [tiny(Path("cache"), **over) for over in CASES.values()]
    assert {s.frontend.name for s in settings} == set(FRONTENDS)
    assert {s.compression.name for s in settings} == set(COMPRESSIONS)
    assert {s.normalise.name for s in settings} == set(NORMALISATIONS)


@pytest.mark.parametrize("name", CASES)
def test_it_trains_to_the_end_and_what_it_exports_embeds(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path, name: str
) -> None:
    config, encoder = train(sound, tmp_path / "run", **CASES[name])
    vectors, starts = encoder.segments(tone_track(1, 3.0))
    assert vectors.shape == (3, encoder.dim)
    np.testing.assert_allclose(starts, [0.0, 1.0, 2.0], atol=0.03)
    assert np.isfinite(vectors).all()
    other, _ = encoder.segments(tone_track(2, 3.0))
    assert np.abs(other - vectors).max() > 1e-3
    twin = random_encoder(encoder, 0)
    assert np.isfinite(twin.segments(tone_track(1, 3.0))[0]).all()
    assert_moved(config, encoder, "learning" in name)


def assert_moved(config: PretrainConfig, encoder: EncoderExtractor, learning: bool) -> None:
    """Trained frontends and compressions left their start, every tensor of them; fixed ones have nothing to leave."""
    torch.manual_seed(config.seed)
    start, now = Embedder(plan_of(config)).state_dict(), encoder.embedder.state_dict()
    own = [key for key in now if key.startswith(("frontend.", "compress."))]
    assert bool(own) == learning
    assert not any(torch.equal(start[key], now[key]) for key in own)


@pytest.mark.parametrize("name", ["logmel", "gammatone", "cqt", "vqt"])
def test_frames_are_kept_and_learning_reads_samples(sound: tuple[pd.DataFrame, Path], name: str) -> None:
    assert finish(prepare(sound[0], tiny(sound[1], **CASES[name]))).level == "mel"
    assert finish(prepare(sound[0], tiny(sound[1], **CASES[f"{name}, learning"]))).level == "samples"


def test_the_kept_frames_are_those_of_the_frontends_own_options(sound: tuple[pd.DataFrame, Path]) -> None:
    for options in ({**SEMITONES}, {**SEMITONES, "f_min": 180.0}, {**SEMITONES, "bins_per_octave": 13}):
        material = finish(prepare(sound[0], tiny(sound[1], frontend={"name": "cqt", **options})))
        track = material.tracks["id"].iloc[0]
        index = next(k for k in range(6) if sound[0]["id"].iloc[k] == track)
        expected = build_frontend("cqt", RATE, **options).track(tone_track(index, 3.0)).T
        kept = torch.from_numpy(material.store.read(track).astype("float32"))
        assert float((kept - expected).abs().mean()) < 0.05


def refused(level: str = "auto", **over: Any) -> list[str]:
    config = tiny(Path("cache"), **over)
    with pytest.raises(ConfigError) as caught:
        check_config(config.model_copy(update={"cache": CacheConfig(level=level)}), "test")
    return caught.value.problems


def test_samples_without_bands_are_said_before_decoding() -> None:
    raw, encoder = {"frontend": {"name": "raw"}}, {"encoder": RAW["encoder"]}
    assert any("augment.spec: frontend 'raw' gives samples" in p and "augment.spec=[]" in p for p in refused(**raw))
    assert any("but encoder 'resnet' takes spectrograms" in p for p in refused(**raw, augment={"spec": []}))
    some = {**raw, **encoder, "augment": {"spec": []}}
    assert refused(**some, level="mel") == [
        "cache.level: 'mel' cannot serve effects on samples or a frontend that learns or gives samples; use 'auto'"
    ]
    assert len(refused(**some, compression={"name": "pcen"})) == 1
    assert any(
        "views.local_bands" in p for p in refused(**some, views={"local": 1, "local_bands": 0.5, "local_seconds": 0.5})
    )


def test_an_unnamed_part_is_the_default_with_other_options() -> None:
    config = tiny(Path("cache"), normalise={"per_band": False})
    assert config.normalise == Part(name="fitted", per_band=False)
    assert plan_of(config)["normalise"] == {"name": "fitted", "per_band": False}
