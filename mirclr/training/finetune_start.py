"""Where fine-tuning begins: a configuration and a collection checked, an encoder with its weights, a fresh head.

Everything that can be wrong is found here, before a file is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mirclr.config import PretrainConfig
from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split
from mirclr.datasets.tasks import FRAMEWISE
from mirclr.errors import ConfigError
from mirclr.features.encoder_file import load_encoder
from mirclr.losses.alignment import build_alignment
from mirclr.models.embedder import Embedder
from mirclr.models.task_head import TaskHead
from mirclr.training.check import check_config
from mirclr.training.device import make_fabric
from mirclr.training.finetune_config import FinetuneConfig, data_settings, plan_data
from mirclr.training.finetune_learner import Tuner
from mirclr.training.frame_truth import misplacing
from mirclr.training.labelled import chosen_split
from mirclr.training.transfer import TransferReport, transfer


@dataclass(frozen=True)
class Loaded:
    """An `embedder`; whether its weights came from somewhere (`trained`), and its input normalisation too
    (`normalised`); what it says of itself (`notes`); the `report` where weights were moved into another plan."""

    embedder: Embedder
    trained: bool
    normalised: bool
    notes: tuple[str, ...] = ()
    report: TransferReport | None = None


@dataclass(frozen=True)
class Start:
    """Ready to be decoded for: the `tuner`, the `settings` of the data path, the `split` of the collection."""

    tuner: Tuner
    loaded: Loaded
    settings: PretrainConfig
    split: Split


def begin(collection: Collection, config: FinetuneConfig) -> Start:
    """Check and build everything that needs no sound.

    Raises ConfigError with every mistake of the configuration, UsageError on a split that is not there, CheckpointError
    on an encoder that cannot be loaded or transferred.
    """
    problems = list(_contradictions(collection, config))
    if problems:
        raise ConfigError("finetune", problems)
    split = chosen_split(collection, config.split, config.seed)
    torch.manual_seed(config.seed)
    try:
        loaded = _loaded(config)
    except (ValueError, TypeError) as error:
        raise ConfigError("finetune", [f"plan: {error}"]) from error
    settings = data_settings(config, loaded.embedder.plan)
    check_config(settings, "finetune")
    try:
        framewise = collection.kind in FRAMEWISE
        inputs = loaded.embedder.encoder.channels if framewise else loaded.embedder.dim
        head = _head(collection, config, inputs)
        tuner = Tuner(loaded.embedder, head, config, make_fabric(settings), loaded.trained)
    except ValueError as error:
        raise ConfigError("finetune", [str(error)]) from error
    return Start(tuner, loaded, settings, split)


def _contradictions(collection: Collection, config: FinetuneConfig) -> Iterator[str]:
    """Options that do not fit together, or not to the collection."""
    if config.encoder is None and config.plan is None:
        yield "encoder: give an encoder to start from (--encoder RUN), or a plan to start untrained (--from-scratch)"
    both = config.encoder is not None and config.plan is not None
    for name in ("key_map", "allow_partial"):
        if getattr(config, name) and not both:
            yield f"{name}: is for moving the weights of an encoder into a plan; give both"
    if config.freeze and config.mode == "head":
        yield "freeze: mode 'head' keeps the whole encoder as it is; leave it out"
    if config.balanced and collection.task != "multiclass":
        yield f"balanced: is for one label a track, {collection.name} is {collection.task}"
    yield from _misaligned(config)
    yield from _framewise(collection, config)
    try:
        _head(collection, config, 1)
    except ValueError as error:
        yield f"{collection.name}: {error}"


def _misaligned(config: FinetuneConfig) -> Iterator[str]:
    """What is wrong with the alignment that is asked for."""
    if config.adapt is None:
        if config.target is not None:
            yield "target: nothing is aligned with it; choose how (--adapt coral or mmd)"
        return
    if config.target is None:
        yield f"adapt: {config.adapt.name} aligns with the music of a folder; give one (--target FOLDER)"
    if config.mode == "head":
        yield "adapt: mode 'head' keeps the encoder as it is, and its embeddings where they are; use full or lora"
    try:
        build_alignment(config.adapt.name, **config.adapt.options)
    except (ValueError, TypeError) as error:
        yield f"adapt: {error}"


def _framewise(collection: Collection, config: FinetuneConfig) -> Iterator[str]:
    """What tasks of frames cannot have."""
    if collection.kind not in FRAMEWISE:
        return
    if config.adapt is not None:
        yield f"adapt: aligns vectors of clips; {collection.kind} are read from frames"
    for chain, parts in (("wave", config.augment.wave), ("spec", config.augment.spec)):
        for name in misplacing(collection.kind, [part.name for part in parts]):
            yield f"augment.{chain}: after {name} the {collection.kind} are not where the truth has them; leave it out"


def _head(collection: Collection, config: FinetuneConfig, inputs: int) -> TaskHead:
    """A head for the collection's labels. Raises ValueError where they are not what such a head can learn."""
    framewise = collection.kind in FRAMEWISE
    options = {**config.head.model_dump(), "framewise": framewise}
    head = TaskHead(inputs, len(collection.vocabulary), collection.task, **options)
    head.check_targets(torch.from_numpy(collection.targets))
    return head


def _loaded(config: FinetuneConfig) -> Loaded:
    if config.plan is None:
        extractor = load_encoder(_source(config), "cpu")
        return Loaded(extractor.embedder.bare(), trained=True, normalised=True, notes=extractor.notes)
    embedder = Embedder(plan_data(config.plan))
    if config.encoder is None:
        return Loaded(embedder, trained=False, normalised=False)
    report = transfer(embedder, _source(config), config.key_map, config.allow_partial)
    told = f"{len(report.loaded)} tensors of {config.encoder} transferred, {len(report.missing)} untrained"
    fitted = {name for name in embedder.state_dict() if name.startswith("normalise.")}
    return Loaded(embedder, True, fitted <= {*report.loaded}, (told,), report)


def _source(config: FinetuneConfig) -> Path:
    assert config.encoder is not None, "checked before"
    return config.encoder


def story_notes(
    loaded: Loaded, config: FinetuneConfig, collection: str, split: str, steps: int, tracks: int, aside: int = 0
) -> list[Any]:
    """What a reader of a report must know of the exported encoder; `aside`: tracks of the target folder."""
    how = {"head": "only a head was trained", "full": "all weights", "lora": f"LoRA of rank {config.lora.rank}"}
    notes = [
        *loaded.notes,
        f"fine-tuned ({how[config.mode]}) {steps} steps on {tracks} labelled tracks of {collection}, split {split}: on "
        "that collection only the test part of that split is new to it",
    ]
    if config.adapt is not None:
        which = f"{config.adapt.name}, weight {config.adapt.weight:g}"
        notes.append(f"aligned ({which}) with the sound of {aside} tracks of {config.target}")
    return notes
