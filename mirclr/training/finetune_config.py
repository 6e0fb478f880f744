"""Configuration of `mirclr finetune`: strict, with every default, and free of torch so that `--help` stays instant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mirclr.config import (
    AudioConfig,
    AugmentConfig,
    BudgetConfig,
    CacheConfig,
    EffectPart,
    Part,
    PretrainConfig,
    Strict,
    ViewsConfig,
)

Mode = Literal["head", "full", "lora"]
PARTS = ("frontend", "compression", "normalise", "encoder")


class PlanConfig(Strict):
    """An encoder without weights: clips of `seconds` at `sample_rate` Hz, and the parts they go through."""

    sample_rate: int = Field(16_000, ge=4_000, le=192_000)
    seconds: float = Field(4.0, gt=0.1, le=60)
    frontend: Part = Part(name="logmel")
    compression: Part = Part(name="log")
    normalise: Part = Part(name="fitted")
    encoder: Part = Part(name="resnet")


class HeadConfig(Strict):
    """Sizes of `hidden` layers (none: linear, the most that some hundred tracks can fill), dropout before every linear
    layer, label smoothing (one label of several only)."""

    hidden: tuple[int, ...] = ()
    dropout: float = Field(0.2, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class LoraConfig(Strict):
    """`rank` and `alpha` of mirclr.models.lora; `norms`: scales and shifts of normalisation layers train too.

    Hu et al. find ranks of 4 to 8 enough (section 7.2), and keep alpha fixed; twice the rank is its usual place.
    """

    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0)
    norms: bool = False


class TuneAugment(AugmentConfig):
    """Effects in training. The default is milder than that of pretraining, which may destroy what it likes as long as a
    track can be told from others: here the label has to survive. Level and equalisation (another recording) and masks
    (another moment) leave genre, tags and mood alone; other music underneath, other tempo and other key might not."""

    spec: tuple[EffectPart, ...] = (
        EffectPart(name="spec_eq", p=0.5),
        EffectPart(name="spec_gain", p=0.5),
        EffectPart(name="time_mask", p=0.5),
        EffectPart(name="frequency_mask", p=0.5),
    )


class TuneOptim(Strict):
    """AdamW, linear warm-up, cosine to zero. `learning_rate` is the head's; the depth at distance d from it has
    `learning_rate * layer_decay ** d` (None: 0.75 for a trained encoder, 1 for an untrained one)."""

    learning_rate: float = Field(1e-3, gt=0)
    layer_decay: float | None = Field(None, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    batch: int = Field(32, ge=2)
    clip_norm: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)


class AlignPart(Part):
    """An alignment of mirclr.losses.alignment and its options, e.g. `{name: mmd, kernels: 3}`, with `weight` beside the
    loss of the labels, on so many clips of the target in a step (`batch`; None: as many as of the source).

    Deep CORAL takes the weight at which both terms end up about equal; 1 is a place to look from. 0 aligns nothing, but
    batch norm hears the target all the same: what is beyond that is the alignment's.
    """

    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    batch: int | None = Field(None, ge=2)


class FinetuneConfig(Strict):
    """Everything `mirclr finetune` reads.

    `encoder`: where the weights come from; `plan`: an encoder to build. With `encoder` alone it goes on as it is, with
    `plan` alone it starts untrained, with both the weights are moved into the plan (mirclr.training.transfer) by
    `key_map`, in part only with `allow_partial`.

    `split`: a split of the collection by name (None: the first). `mode`: "head" (the encoder stays), "full" or "lora".
    `freeze`: how many of the encoder's first depths stay as they are. `balanced`: every class equally often.
    `patience`: reports without a better validation score before training ends (None: never).

    `target`: a folder of music without labels, that the embeddings of the collection are aligned with as `adapt` says.
    The rest: PretrainConfig.
    """

    seed: int = Field(0, ge=0)
    encoder: Path | None = None
    plan: PlanConfig | None = None
    key_map: Path | None = None
    allow_partial: bool = False
    split: str | None = None
    mode: Mode = "full"
    freeze: int = Field(0, ge=0)
    head: HeadConfig = HeadConfig()
    lora: LoraConfig = LoraConfig()
    balanced: bool = False
    target: Path | None = None
    adapt: AlignPart | None = None
    patience: int | None = Field(12, ge=1)
    max_seconds: float | None = Field(120.0, gt=0)
    cache: CacheConfig = CacheConfig()
    augment: TuneAugment = TuneAugment()
    optim: TuneOptim = TuneOptim()
    budget: BudgetConfig = BudgetConfig()
    precision: Literal["auto", "32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = Field(None, ge=1)
    workers: int = Field(1, ge=0)
    tensorboard: bool = False


def plan_data(plan: PlanConfig) -> dict[str, Any]:
    """The plan of an embedder (mirclr.models.embedder) as plain data."""
    parts: dict[str, Part] = {key: getattr(plan, key) for key in PARTS}
    named = {key: {"name": part.name, **part.options} for key, part in parts.items()}
    return {"sample_rate": plan.sample_rate, "clip_seconds": plan.seconds, **named}


def data_settings(config: FinetuneConfig, plan: Mapping[str, Any]) -> PretrainConfig:
    """The same data path as pretraining has, for an embedder's `plan`."""
    return plan_settings(
        plan,
        config.max_seconds,
        seed=config.seed,
        cache=config.cache,
        augment=AugmentConfig(wave=config.augment.wave, spec=config.augment.spec),
        precision=config.precision,
        device=config.device,
        threads=config.threads,
        workers=config.workers,
    )


def plan_settings(plan: Mapping[str, Any], max_seconds: float | None, **rest: Any) -> PretrainConfig:
    """What the data path reads, with rate, clips and frontend of an embedder's `plan`; `rest`: other sections."""
    return PretrainConfig(
        audio=AudioConfig(sample_rate=plan["sample_rate"], max_seconds=max_seconds),
        views=ViewsConfig(seconds=plan["clip_seconds"]),
        **{key: Part(**plan[key]) for key in PARTS if key in plan},
        **rest,
    )
