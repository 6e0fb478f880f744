"""A whole pretraining configuration against the tables, before anything is decoded: every mistake at once."""

from __future__ import annotations

from mirclr.augment.table import build_chain
from mirclr.config import PretrainConfig
from mirclr.errors import ConfigError
from mirclr.losses.table import build_loss
from mirclr.models.embedder import Embedder
from mirclr.models.table import build_head
from mirclr.training.learner import plan_of


def _attempt(problems: list[str], place: str, make: object, *args: object, **options: object) -> None:
    """Collect what `make` has to say against its arguments."""
    try:
        make(*args, **options)  # type: ignore[operator]  # any of the rooms' builders
    except (ValueError, TypeError) as error:
        problems.append(f"{place}: {error}")


def check_config(config: PretrainConfig, source: str) -> None:
    """Raises ConfigError listing every part that cannot be built; `source` names the file or command."""
    problems: list[str] = []
    _attempt(problems, "frontend/encoder", Embedder, plan_of(config))
    _attempt(problems, "projection", build_head, config.projection.name, 8, **config.projection.options)
    _attempt(problems, "loss", build_loss, config.loss.name, **config.loss.options)
    for domain in ("wave", "spec"):
        parts = [part.model_dump() for part in getattr(config.augment, domain)]
        _attempt(problems, f"augment.{domain}", build_chain, parts, domain, config.audio.sample_rate)
    if config.cache.level == "mel" and not spectrogram_level(config):
        problems.append("cache.level: 'mel' cannot serve effects on samples or a trainable frontend; use 'auto'")
    if problems:
        raise ConfigError(source, problems)


def spectrogram_level(config: PretrainConfig) -> bool:
    """Whether training can read cached log-mel: no effect needs samples and the frontend does not learn."""
    fixed = not config.augment.wave and not config.frontend.options.get("trainable", False)
    return fixed and config.cache.level != "samples"
