"""The tables of this room: a new frontend, encoder or head is one class and one line here."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from mirclr.models.compression import PCEN, Compression, Log
from mirclr.models.conv1d import BandsEncoder
from mirclr.models.crnn import RecurrentEncoder
from mirclr.models.depthwise import DepthwiseEncoder
from mirclr.models.encoder import Encoder
from mirclr.models.frontend import LogMel
from mirclr.models.frontend_base import Frontend
from mirclr.models.frontend_cqt import ConstantQ, VariableQ
from mirclr.models.frontend_gammatone import Gammatone
from mirclr.models.frontend_normalise import Normalisation, Normalise, NormaliseClip, Unnormalised
from mirclr.models.frontend_raw import Raw
from mirclr.models.heads import MLPProjection
from mirclr.models.resnet import ResidualEncoder
from mirclr.models.samplecnn import SampleEncoder
from mirclr.models.transformer import PatchTransformer
from mirclr.models.vgg import ShortChunkEncoder
from mirclr.tables import build, options_of

FRONTENDS: dict[str, type[Frontend]] = {
    "logmel": LogMel,
    "gammatone": Gammatone,
    "cqt": ConstantQ,
    "vqt": VariableQ,
    "raw": Raw,
}
COMPRESSIONS: dict[str, type[Compression]] = {"log": Log, "pcen": PCEN}
NORMALISATIONS: dict[str, type[Normalisation]] = {"fitted": Normalise, "clip": NormaliseClip, "none": Unnormalised}
ENCODERS: dict[str, type[Encoder]] = {
    "resnet": ResidualEncoder,
    "depthwise": DepthwiseEncoder,
    "vgg": ShortChunkEncoder,
    "conv1d": BandsEncoder,
    "crnn": RecurrentEncoder,
    "transformer": PatchTransformer,
    "samplecnn": SampleEncoder,
}
HEADS: dict[str, type[nn.Module]] = {"mlp": MLPProjection}


def build_frontend(name: str, sample_rate: int, **options: Any) -> Frontend:
    """A frontend for samples at `sample_rate` Hz. Raises ValueError on an unknown name or option, or a bad value."""
    frontend: Frontend = build("frontend", FRONTENDS, name, options, {"sample_rate": sample_rate})
    return frontend


def build_compression(name: str, bands: int, frame_rate: float, **options: Any) -> Compression:
    """A compression of `bands` at `frame_rate` frames a second. Raises ValueError as `build_frontend` does."""
    supplied = {"bands": bands, "frame_rate": frame_rate}
    compression: Compression = build("compression", COMPRESSIONS, name, options, supplied)
    return compression


def build_normalisation(name: str, bands: int, least: float, **options: Any) -> Normalisation:
    """A normalisation of `bands` of which none is divided by less than `least`. Raises ValueError as `build_frontend`
    does."""
    supplied = {"bands": bands, "least": least}
    normalisation: Normalisation = build("normalise", NORMALISATIONS, name, options, supplied)
    return normalisation


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


def model_rows() -> list[dict[str, str]]:
    """The tables for people: `kind`, `name`, `what` it is, `options` with their defaults, `source` where published."""
    supplied = ("sample_rate", "bands", "frame_rate", "inputs", "least_spread", "std_floor")
    kinds: dict[str, dict[str, Any]] = {
        "frontend": FRONTENDS,
        "compression": COMPRESSIONS,
        "normalise": NORMALISATIONS,
        "encoder": ENCODERS,
        "projection": HEADS,
    }
    return [
        {
            "kind": kind,
            "name": name,
            "what": inspect.cleandoc(made.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
            "options": ", ".join(f"{key}={value}" for key, value in options_of(made, supplied).items()) or "none",
            "source": getattr(made, "source", ""),
        }
        for kind, table in kinds.items()
        for name, made in table.items()
    ]
