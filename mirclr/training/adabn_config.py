"""Configuration of `mirclr adabn`: what is adapted, by how much, and what is heard of the folder; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mirclr.config import AugmentConfig, CacheConfig, PretrainConfig, Strict
from mirclr.training.finetune_config import plan_settings


class AdaBNConfig(Strict):
    """Everything `mirclr adabn` reads.

    `encoder`: a run folder, its encoder/, or a checkpoint. `share`: the weight of the target's statistics beside those
    the encoder has; 1 is AdaBN. `normalisation`: the fitted normalisation of the input is measured anew as well.
    `max_seconds`: what is heard of a long track, as in training.
    """

    encoder: Path
    share: float = Field(1.0, ge=0, le=1)
    normalisation: bool = True
    max_seconds: float | None = Field(120.0, gt=0)
    cache: CacheConfig = CacheConfig()
    device: Literal["auto", "cpu", "gpu"] = "auto"


def heard_settings(config: AdaBNConfig, plan: Mapping[str, Any]) -> PretrainConfig:
    """The data path of pretraining without effects: music as an encoder hears it in use."""
    return plan_settings(
        plan, config.max_seconds, cache=config.cache, augment=AugmentConfig(spec=()), device=config.device
    )
