"""The untrained twin of an encoder: a row every report needs, since a random convnet is a real rival on small data."""

from __future__ import annotations

import torch

from mirclr.features.encoder import EncoderExtractor
from mirclr.models.embedder import Embedder, features_only


def random_encoder(like: EncoderExtractor, seed: int) -> EncoderExtractor:
    """The architecture, frontend and input normalisation of `like` with random weights drawn from `seed`.

    It keeps the normalisation that was fitted on the training data: without it the twin would be weaker for a reason
    that has nothing to do with learning. It gives the encoder's features even where `like` gives projections, so that
    it is the same rival whatever the vector of `like`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = Embedder(features_only(like.embedder.plan))
    twin.normalise.load_state_dict(like.embedder.normalise.state_dict())
    return EncoderExtractor(twin, name=f"random-init (seed {seed})", device=str(like.device))
