"""A whole pretraining configuration against the tables, before anything is decoded: every mistake at once."""

from __future__ import annotations

import torch

from mirclr.augment.attributes import head_problems
from mirclr.augment.table import EFFECTS, build_chain
from mirclr.config import PretrainConfig, ViewsConfig
from mirclr.errors import ConfigError
from mirclr.losses.leave_one_out import refusal
from mirclr.losses.table import LOSSES, build_loss
from mirclr.models.embedder import Embedder, features_only
from mirclr.models.table import FRONTENDS, build_head
from mirclr.training.learner import plan_of


def _attempt(problems: list[str], place: str, make: object, *args: object, **options: object) -> None:
    """Collect what `make` has to say against its arguments."""
    try:
        make(*args, **options)  # type: ignore[operator]  # any of the rooms' builders
    except (ValueError, TypeError) as error:
        problems.append(f"{place}: {error}")


def check_config(config: PretrainConfig, source: str) -> None:
    """Raises ConfigError listing every part that cannot be built; `source` names the file or command.

    What is built to see whether it can be draws random numbers of its own: a run begins the same, checked or not.
    """
    with torch.random.fork_rng(devices=[]):
        problems = _problems(config)
    if problems:
        raise ConfigError(source, problems)


def _problems(config: PretrainConfig) -> list[str]:
    problems: list[str] = []
    _attempt(problems, "frontend/encoder", Embedder, features_only(plan_of(config)))
    _attempt(problems, "projection", build_head, config.projection.name, 8, **config.projection.options)
    _attempt(problems, "loss", build_loss, config.loss.name, **config.loss.options)
    for domain in ("wave", "spec"):
        parts = [part.model_dump() for part in getattr(config.augment, domain)]
        _attempt(problems, f"augment.{domain}", build_chain, parts, domain, config.audio.sample_rate)
    problems += _without_bands(config)
    if config.cache.level == "mel" and not spectrogram_level(config):
        problems.append(
            "cache.level: 'mel' cannot serve effects on samples or a frontend that learns or gives samples; use 'auto'"
        )
    problems += _unread(config)
    return [*problems, *_heads(config)]


def _unread(config: PretrainConfig) -> list[str]:
    """What the objective needs and is not given, and what is given that it does not read."""
    if config.loss.name not in LOSSES:
        return []
    wants, name, labels, problems = LOSSES[config.loss.name].wants, config.loss.name, config.labels, []
    told = labels.dataset is not None or labels.teacher is not None
    if "labels" in wants and not told:
        problems.append(f"loss: {name} learns from labels; give labels.dataset or labels.teacher")
    if told and "labels" not in wants:
        usable = ", ".join(key for key, loss in LOSSES.items() if "labels" in loss.wants)
        problems.append(f"labels: {name} does not read them; those that do: {usable}")
    mixing = [part.name for part in (*config.augment.wave, *config.augment.spec) if _mixes_labels(part.name)]
    if mixing and name == "supcon":
        problems.append(f"augment: {mixing[0]} mixes labels, and supcon takes whole ones; use loss.name=gen_supcon")
    default = ViewsConfig()
    changed = [key for key in ("same_artist", "same_album") if getattr(config.views, key) != getattr(default, key)]
    if changed and "affinity" not in wants:
        problems.append(f"views.{changed[0]}: {name} takes no soft positives; use loss.name=soft_positives")
    return problems


def _heads(config: PretrainConfig) -> list[str]:
    """Why attributes cannot have spaces of their own in this run."""
    heads = config.views.heads
    if not heads:
        return []
    chains = {name: [part.model_dump() for part in getattr(config.augment, name)] for name in ("wave", "spec")}
    problems = [f"views.heads: {text}" for text in head_problems(chains, heads)]
    try:
        said = refusal(build_loss(config.loss.name, **config.loss.options))
    except ValueError:  # reported where it is built
        return problems
    return problems if said is None else [*problems, f"views.heads: loss {config.loss.name} cannot serve them: {said}"]


def _hears_samples(config: PretrainConfig) -> bool:
    """Whether the frontend passes samples on; an unknown one is reported where it is built."""
    return config.frontend.name in FRONTENDS and FRONTENDS[config.frontend.name].domain == "wave"


def _without_bands(config: PretrainConfig) -> list[str]:
    """What needs frequency bands where the frontend has none."""
    if not _hears_samples(config):
        return []
    name, problems = config.frontend.name, []
    if config.augment.spec:
        problems.append(
            f"augment.spec: frontend {name!r} gives samples, and these effects change spectrograms; set "
            "augment.spec=[] and choose effects on samples in augment.wave"
        )
    if config.views.local_bands < 1:
        problems.append(f"views.local_bands: frontend {name!r} gives samples, which have no bands; leave it at 1")
    return problems


def _mixes_labels(name: str) -> bool:
    return name in EFFECTS and EFFECTS[name].mixes_labels


def spectrogram_level(config: PretrainConfig) -> bool:
    """Whether training can read cached frames: spectra, no effect on samples, and nothing to learn before them."""
    fixed = not config.augment.wave and not config.frontend.options.get("trainable", False)
    return fixed and not _hears_samples(config) and config.cache.level != "samples"
