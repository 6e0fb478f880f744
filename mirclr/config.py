"""Configuration: strict, typed, every mistake at once with its dotted path and the nearest right key.

A configuration is plain data (YAML or JSON). The rooms below the door receive values, never these objects.
`Part` is a choice from a room's table (`{name: resnet, width: 32}`); its options are checked against the signature
of the class it names, by the room that owns the table.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mirclr.errors import ConfigError

Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    """A section of a configuration: unknown keys are mistakes, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _unnamed_parts(cls, data: Any) -> Any:
        """`encoder: {width: 48}` is the default encoder with another width."""
        if not isinstance(data, Mapping):
            return data
        defaults = {key: field.default for key, field in cls.model_fields.items() if isinstance(field.default, Part)}
        unnamed = {k: d.name for k, d in defaults.items() if isinstance(data.get(k), Mapping) and "name" not in data[k]}
        return {**data, **{key: {"name": name, **data[key]} for key, name in unnamed.items()}}


class Part(BaseModel):
    """One entry of a room's table and its options, e.g. `{name: resnet, width: 32}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class EffectPart(Part):
    """An augmentation and the probability `p` in 0..1 with which one view gets it."""

    p: float = Field(1.0, ge=0, le=1)


class AudioConfig(Strict):
    """What is decoded: mono at `sample_rate` Hz; at most `max_seconds` of a file, as even excerpts (None: all)."""

    sample_rate: int = Field(16_000, ge=4_000, le=192_000)
    max_seconds: float | None = Field(120.0, gt=0)


class CacheConfig(Strict):
    """Where decoded sound is kept (None: the user's cache folder), made in how many processes (None: all cores)."""

    folder: Path | None = None
    workers: int | None = Field(None, ge=1)
    level: Literal["auto", "samples", "mel"] = "auto"


class ViewsConfig(Strict):
    """Crops of `seconds`, `count` per track, centres at least `min_distance_s` apart where the track is long enough.

    With probability `artist_positive` a positive comes from another track of the same artist; with `mask_same_artist`
    tracks of one artist are never each other's negatives.

    `local` further views of `local_seconds` see only a share `local_bands` of the frequency bands: sub-clips, and with
    less than all bands time-frequency patches, to be matched with the whole crops. `same_artist` and `same_album` say
    how alike two such tracks are, for objectives that take soft positives.

    `heads`: attributes (tempo, key, ...) with an embedding space of their own, in which views that the effects changed
    differently are told apart, while the shared space learns to ignore them.
    """

    seconds: float = Field(4.0, gt=0.1, le=60)
    count: int = Field(2, ge=2, le=16)
    min_distance_s: float = Field(0.0, ge=0)
    artist_positive: float = Field(0.5, ge=0, le=1)
    mask_same_artist: bool = True
    local: int = Field(0, ge=0, le=16)
    local_seconds: float = Field(1.5, gt=0.1, le=60)
    local_bands: float = Field(1.0, gt=0, le=1)
    same_artist: float = Field(0.3, ge=0, le=1)
    same_album: float = Field(0.6, ge=0, le=1)
    heads: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _local_is_shorter(self) -> ViewsConfig:
        if self.local and self.local_seconds > self.seconds:
            raise ValueError(f"local_seconds={self.local_seconds:g} must not exceed seconds={self.seconds:g}")
        return self


class LabelsConfig(Strict):
    """What supervised objectives learn from, beside the unlabelled rest of the folder.

    `dataset`: a labelled collection (a name in datasets.yaml, a folder per label, a table) whose files lie in the
    folder; of which only the training and validation part of `split` are told (by name, `fold5/2`, or the first of a
    rule, `fold5`). `teacher`: an encoder
    (a run folder), a table of vectors or tag probabilities (.npz, .csv, .parquet as `mirclr embed` writes them),
    "handcrafted" (MFCC, chroma and tempogram) or "mfcc". `teacher_weight`: the share of the teacher where a track has a
    label of its own.
    """

    dataset: str | None = None
    split: str | None = None
    teacher: str | None = None
    teacher_weight: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _split_of_something(self) -> LabelsConfig:
        if self.split is not None and self.dataset is None:
            raise ValueError("split is given without a dataset")
        return self


class StartConfig(Strict):
    """Where the weights come from (None: a random start): `source`, a run folder, an encoder, a checkpoint of mirclr or
    a safetensors file; `key_map`, YAML `theirs: ours`; `allow_partial`, take what fits and list the rest."""

    source: Path | None = None
    key_map: Path | None = None
    allow_partial: bool = False

    @model_validator(mode="after")
    def _of_something(self) -> StartConfig:
        if self.source is None and (self.key_map is not None or self.allow_partial):
            raise ValueError("key_map and allow_partial are about a source; give start.source")
        return self


class AugmentConfig(Strict):
    """Chains of effects on samples (`wave`) and on log-mel frames (`spec`), in order."""

    wave: tuple[EffectPart, ...] = ()
    spec: tuple[EffectPart, ...] = (
        EffectPart(name="background_mix", p=0.5),
        EffectPart(name="spec_eq", p=0.8),
        EffectPart(name="spec_gain", p=0.5),
        EffectPart(name="time_warp", p=0.5),
        EffectPart(name="frequency_shift", p=0.3),
        EffectPart(name="time_mask", p=0.5),
        EffectPart(name="frequency_mask", p=0.5),
    )


class OptimConfig(Strict):
    """An optimiser, linear warm-up over a fraction of the run, then cosine to zero. Norms and biases are not decayed.

    `momentum` is read by sgd and lars. A step learns from `accumulate` batches in turn. `encode_at_once`: clips whose
    activations are kept at a time; the gradient is that of the whole batch all the same (cached gradients), so that
    memory no longer limits the number of negatives. None keeps all.
    """

    optimiser: Literal["adamw", "adam", "sgd", "lars"] = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1)
    accumulate: int = Field(1, ge=1)
    encode_at_once: int | None = Field(None, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1)
    batch: int = Field(64, ge=2)
    clip_norm: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)


class BudgetConfig(Strict):
    """How long to train: `steps` optimiser steps or `minutes` of wall clock; exactly one of the two."""

    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_budget(self) -> BudgetConfig:
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give steps or minutes, not both")
        return self


class PretrainConfig(Strict):
    """Everything `mirclr pretrain` reads.

    `vector`: what the exported encoder gives, its features or their projection, the space that was trained (`mirclr
    finetune` begins with the features); `most_passes`: a budget in minutes ends after so many epochs, since a little
    music is learned by heart in the end (docs/training.md; None: never); `hold_out`: share of tracks kept for the
    held-out retrieval curve; `workers`: threads that read ahead (0: none); `threads`: threads of torch (None: its own
    choice).
    """

    seed: int = Field(0, ge=0)
    audio: AudioConfig = AudioConfig()
    cache: CacheConfig = CacheConfig()
    views: ViewsConfig = ViewsConfig()
    labels: LabelsConfig = LabelsConfig()
    start: StartConfig = StartConfig()
    augment: AugmentConfig = AugmentConfig()
    frontend: Part = Part(name="logmel")
    compression: Part = Part(name="log")
    normalise: Part = Part(name="fitted")
    encoder: Part = Part(name="resnet")
    projection: Part = Part(name="mlp")
    vector: Literal["features", "projection"] = "projection"
    loss: Part = Part(name="dcl")
    optim: OptimConfig = OptimConfig()
    budget: BudgetConfig = BudgetConfig()
    most_passes: int | None = Field(400, ge=1)
    hold_out: float = Field(0.1, ge=0, lt=1)
    precision: Literal["auto", "32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = Field(None, ge=1)
    workers: int = Field(1, ge=0)
    tensorboard: bool = False


def nearest(word: str, known: Iterable[str]) -> str:
    """' Did you mean X?' for the closest known word, or ' Known: ...' when nothing is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(names)}."


# libyaml's parser where the wheel has it: ten times faster on the 800 lines of datasets.yaml.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _NumberLoader(_SafeLoader):  # type: ignore[misc, valid-type]
    """YAML 1.1 reads `3e-4` as text; here it is the number it looks like. A key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for twice in (key for position, key in enumerate(keys) if key in keys[:position]):
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


_NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, source: str) -> Any:
    """Plain data from YAML or JSON text. Raises ConfigError with line and column; constructs no objects."""
    try:
        return yaml.load(text, Loader=_NumberLoader)  # a SafeLoader subclass: builds plain data only
    except yaml.YAMLError as error:
        raise ConfigError(source, [" ".join(str(error).split())]) from error


def read_yaml(path: Path) -> Any:
    """`parse_yaml` of a file. Raises ConfigError when it cannot be read."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section an annotation holds, also inside `Section | None`, `tuple[Section, ...]`, `dict[str, Section]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section_in(arg))), None)


def _fields_at(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys allowed where a validation error happened; list positions and names of entries are passed over."""
    for part in place:
        annotation = model.model_fields[str(part)].annotation if part in model.model_fields else None
        model = _section_in(annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _problem(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    place = error["loc"]
    dotted = ".".join(str(p) for p in place) or "(top level)"
    if error["type"] == "extra_forbidden":
        return f"{dotted}: unknown key.{nearest(str(place[-1]), _fields_at(model, place[:-1]))}"
    # A whole section would drown the message.
    told = error["type"] != "missing" and not isinstance(error["input"], Mapping)
    given = f" (got {error['input']!r})" if told and place else ""
    return f"{dotted}: {error['msg']}{given}"


def problems_of(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Every mistake of a pydantic error, one line each with its dotted path."""
    return [_problem(model, dict(e)) for e in error.errors()]


def validate(model: type[Model], data: Any, source: str) -> Model:
    """`data` as a `model`. Raises ConfigError with every mistake at once; `source` names the file or command."""
    try:
        return model.model_validate(data if data is not None else {})
    except ValidationError as error:
        raise ConfigError(source, problems_of(model, error)) from error


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top, section by section; lists and scalars are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        # A part with another name is another thing: none of the old one's options survive. Options that stand without a
        # name were given for the part that is named here.
        renamed = both and "name" in value and "name" in out[key] and value["name"] != out[key]["name"]
        out[key] = merged(out[key], value) if both and not renamed else value
    return out


def parse_set(pairs: Sequence[str]) -> dict[str, Any]:
    """`["a.b=3e-4"]` to `{"a": {"b": 0.0003}}`; values are read as YAML. Raises ConfigError on a pair without `=`."""
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError("--set", [f"{pair!r}: write it as section.key=value"])
        nested: Any = parse_yaml(value, f"--set {key}")
        for part in reversed(key.split(".")):
            nested = {part: nested}
        out = merged(out, nested)
    return out


def dump(model: BaseModel) -> str:
    """The configuration as indented JSON, defaults included."""
    return json.dumps(model.model_dump(mode="json"), indent=2, sort_keys=False) + "\n"
