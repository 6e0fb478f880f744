"""What a head is for: clicks whose tempo the effects change. Plain training forgets it; with a head it can be read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from mirclr.reports import finish
from mirclr.training.learner import Learner
from mirclr.training.material import prepare
from mirclr.training.run import make_source, new_learner
from mirclr.training.source import Loaded, Source
from tests.support.tiny import tiny
from tests.support.tones import RATE

TRACKS, STEPS = 16, 200
CHAIN = {"spec": [{"name": "time_warp", "max_rate": 1.6}, {"name": "spec_gain"}]}


def beats(number: int, seconds: float = 4.0) -> np.ndarray:
    """Six decaying blips a second, in two pitches of the track's own."""
    rng, time = np.random.default_rng(number), np.arange(800)
    blip = np.exp(-time / 150) * sum(np.sin(2 * np.pi * f * time / RATE) for f in rng.uniform(200, 3000, 2))
    out = 0.003 * rng.standard_normal(round(seconds * RATE))
    for start in np.arange(rng.uniform(0, 0.2), seconds - 0.2, 1 / 6):
        out[int(start * RATE) : int(start * RATE) + 800] += 0.3 * blip
    return out.astype(np.float32)


class Trained(NamedTuple):
    """A learner after `STEPS` steps and the source that it learned from."""

    learner: Learner
    source: Source

    def frames(self, epoch: int) -> tuple[Loaded, Tensor]:
        """A batch that was not trained on, `(V, B, F, N)`."""
        loaded = next(self.source.batches(epoch, 0, 0))
        return loaded, self.source.prepared(loaded, self.learner).frames


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder, rows = tmp_path_factory.mktemp("beats"), []
    for number in range(TRACKS):
        path = folder / f"{number:02}.flac"
        soundfile.write(path, beats(number), RATE)
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        rows.append({"id": digest, "path": str(path), "artist": None, "duration": 4.0})
    return pd.DataFrame(rows)


def trained(tracks: pd.DataFrame, cache: Path, *heads: str) -> Trained:
    settings = tiny(
        cache, augment=CHAIN, views={"heads": list(heads)}, optim={"batch": TRACKS}, loss={"name": "nt_xent"},
        encoder={"width": 8},
    )  # fmt: skip
    source = make_source(finish(prepare(tracks, settings)), settings)
    learner = new_learner(source, settings)
    for _, loaded in zip(range(STEPS), source.batches(0, 0, 0), strict=False):
        learner.step([source.prepared(loaded, learner)], 3e-3)
    learner.bare.eval()
    return Trained(learner, source)


@pytest.fixture(scope="module")
def plain(tracks: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tracks, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def headed(tracks: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tracks, tmp_path_factory.mktemp("cache"), "tempo")


@torch.no_grad()
def readable(run: Trained) -> float:
    """R squared of a ridge regression from the embedding to the logarithm of the tempo's change, on other tracks."""
    found = []
    for epoch in range(2000, 2012):
        loaded, frames = run.frames(epoch)
        rate = np.log(loaded.spec.parameters[0]["rate"][:TRACKS])
        found.append((run.learner.bare.embedder.features(frames[0]).numpy(), rate, loaded.planned.track[:, 0]))
    vectors, rates, track = (np.concatenate(part) for part in zip(*found, strict=True))
    known = track < 10
    probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 12))).fit(vectors[known], rates[known])
    return float(probe.score(vectors[~known], rates[~known]))


def test_plain_training_forgets_what_a_head_keeps_in_the_embedding(plain: Trained, headed: Trained) -> None:
    kept = readable(headed)
    assert kept > 0.1
    assert kept > readable(plain) + 0.3


@torch.no_grad()
def test_the_head_tells_the_same_tempo_from_another_and_the_shared_space_does_not(headed: Trained) -> None:
    gaps = []
    for epoch in range(1000, 1004):
        _, frames = headed.frames(epoch)
        z = headed.learner.model(frames.flatten(0, 1)).unflatten(0, (len(frames), -1)).unflatten(-1, (2, -1))
        query, another, same = functional.normalize(z, dim=-1)
        gaps.append(((query * same).sum(-1) - (query * another).sum(-1)).mean(0))
    shared, tempo = torch.stack(gaps).mean(0).tolist()
    assert tempo > 0.1
    assert abs(shared) < tempo / 5
