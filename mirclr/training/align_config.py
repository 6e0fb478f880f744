"""Configuration of `mirclr align`: strict, with every default, and free of torch so that `--help` stays instant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from mirclr.config import BudgetConfig, Strict, nearest
from mirclr.datasets.texts import FIELDS

RESERVED = ("audio", "text")


class TextConfig(Strict):
    """How text is read: `fields` of the tags and the texts that are used; `drop_words`, the probability with which a
    word is left out of a step; the rest as mirclr.models.text.HashedText."""

    fields: tuple[str, ...] = FIELDS
    drop_words: float = Field(0.3, ge=0, lt=1)
    buckets: int = Field(2**13, ge=2, le=2**22)
    width: int = Field(64, ge=1, le=4096)
    shortest: int = Field(3, ge=1, le=16)
    longest: int = Field(5, ge=1, le=16)

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        for name in fields:
            if name not in FIELDS:
                raise ValueError(f"no field {name!r}.{nearest(name, FIELDS)}")
        if not fields or len(set(fields)) < len(fields):
            raise ValueError("name at least one field, and each once")
        return fields


class SpaceConfig(Strict):
    """Sizes of mirclr.models.joint: features of a modality (`width`), the intermediate representation (`common`), the
    hidden layers of the shared head (`hidden`), the projection (`dim`); `dropout` of every modality's input.

    The authors' sizes for four small modalities: 64 for representation and projection, 512 for the head's layers.
    """

    width: int = Field(256, ge=1)
    common: int = Field(64, ge=1)
    hidden: int = Field(256, ge=1)
    dim: int = Field(64, ge=2)
    dropout: float = Field(0.5, ge=0, lt=1)


class AlignOptim(Strict):
    """AdamW, linear warm-up over a fraction of the run, then cosine to zero; `ema_decay` of the averaged weights, which
    are judged and exported."""

    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1)
    batch: int = Field(128, ge=2)
    clip_norm: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)


class AlignLoss(Strict):
    """Options of mirclr.losses.gmc.GMC."""

    temperature: float = Field(0.1, gt=0)
    pooled: bool = False


class AlignConfig(Strict):
    """Everything `mirclr align` reads.

    `encoder`: a run folder, its encoder/, or a checkpoint; `texts`: a table of descriptions; `vectors`: further
    modalities by name, files as `mirclr embed` writes them. `hold_out`: share of the tracks, as whole artists, that the
    reports ask for; `max_seconds` of a track that are heard (None: all), as `mirclr index` does; `workers`: threads
    that embed (None: all cores); `threads`: threads of torch (None: its own choice).
    """

    seed: int = Field(0, ge=0)
    encoder: Path | None = None
    texts: Path | None = None
    vectors: dict[str, Path] = Field({})
    hold_out: float = Field(0.2, ge=0, lt=1)
    max_seconds: float | None = Field(120.0, gt=0)
    text: TextConfig = TextConfig()
    space: SpaceConfig = SpaceConfig()
    loss: AlignLoss = AlignLoss()
    optim: AlignOptim = AlignOptim()
    budget: BudgetConfig = BudgetConfig()
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=1)

    @field_validator("vectors")
    @classmethod
    def _names(cls, vectors: dict[str, Path]) -> dict[str, Path]:
        for name in vectors:
            if name in RESERVED or not re.fullmatch(r"[A-Za-z]\w*", name):
                raise ValueError(f"{name!r}: name it with letters, digits and _, and neither {' nor '.join(RESERVED)}")
        return vectors
