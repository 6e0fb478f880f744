"""The tables of this room: a new frontend, encoder or head is one class and one line here."""

from __future__ import annotations

from typing import Any

from torch import nn

from mirclr.models.encoder import Encoder
from mirclr.models.frontend import LogMel
from mirclr.models.heads import MLPProjection
from mirclr.models.resnet import ResidualEncoder
from mirclr.tables import build, options_of

FRONTENDS: dict[str, type[nn.Module]] = {"logmel": LogMel}
ENCODERS: dict[str, type[Encoder]] = {"resnet": ResidualEncoder}
HEADS: dict[str, type[nn.Module]] = {"mlp": MLPProjection}


def build_frontend(name: str, sample_rate: int, **options: Any) -> LogMel:
    """A frontend for samples at `sample_rate` Hz. Raises ValueError on an unknown name or option, or a bad value."""
    frontend: LogMel = build("frontend", FRONTENDS, name, options, {"sample_rate": sample_rate})
    return frontend


def build_encoder(name: str, *, bands: int = 64, **options: Any) -> Encoder:
    """An encoder of frames of `bands` numbers, with random weights from torch's generator.

    Raises ValueError as `build_frontend` does.
    """
    takes_bands = name in ENCODERS and "bands" in options_of(ENCODERS[name])
    encoder: Encoder = build("encoder", ENCODERS, name, options, {"bands": bands} if takes_bands else {})
    return encoder


def build_head(name: str, inputs: int, **options: Any) -> MLPProjection:
    """A projection head for embeddings of `inputs` numbers. Raises ValueError as `build_frontend` does."""
    head: MLPProjection = build("projection", HEADS, name, options, {"inputs": inputs})
    return head
