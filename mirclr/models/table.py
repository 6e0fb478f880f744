"""The tables of this room: a new frontend, encoder or head is one class and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mirclr.config import nearest
from mirclr.models.frontend import LogMel
from mirclr.models.heads import MLPProjection
from mirclr.models.resnet import ResidualEncoder

FRONTENDS: dict[str, type[nn.Module]] = {"logmel": LogMel}
ENCODERS: dict[str, type[nn.Module]] = {"resnet": ResidualEncoder}
HEADS: dict[str, type[nn.Module]] = {"mlp": MLPProjection}

# What the builder supplies itself; an option of this name in a configuration would be read by nobody.
_SUPPLIED = {"sample_rate", "inputs", "self"}


def options_of(maker: Callable[..., Any]) -> dict[str, Any]:
    """The options a class takes and their defaults."""
    parameters = inspect.signature(maker).parameters
    return {name: p.default for name, p in parameters.items() if name not in _SUPPLIED}


def mistakes(kind: str, table: Mapping[str, Callable[..., Any]], name: str, options: Mapping[str, Any]) -> list[str]:
    """Every mistake of a choice from a table, with did-you-mean; empty when it can be built."""
    if name not in table:
        return [f"{kind}.name: no {kind} {name!r}.{nearest(name, table)}"]
    known = options_of(table[name])
    return [f"{kind}.{key}: unknown option of {name!r}.{nearest(key, known)}" for key in options if key not in known]


def _build(kind: str, table: Mapping[str, type[nn.Module]], name: str, options: Mapping[str, Any], **given: Any) -> Any:
    wrong = mistakes(kind, table, name, options)
    if wrong:
        raise ValueError("; ".join(wrong))
    return table[name](**given, **options)


def build_frontend(name: str, sample_rate: int, **options: Any) -> LogMel:
    """A frontend for samples at `sample_rate` Hz. Raises ValueError on an unknown name or option, or a bad value."""
    frontend: LogMel = _build("frontend", FRONTENDS, name, options, sample_rate=sample_rate)
    return frontend


def build_encoder(name: str, **options: Any) -> ResidualEncoder:
    """An encoder with random weights from torch's generator. Raises ValueError as `build_frontend` does."""
    encoder: ResidualEncoder = _build("encoder", ENCODERS, name, options)
    return encoder


def build_head(name: str, inputs: int, **options: Any) -> MLPProjection:
    """A projection head for embeddings of `inputs` numbers. Raises ValueError as `build_frontend` does."""
    head: MLPProjection = _build("projection", HEADS, name, options, inputs=inputs)
    return head
