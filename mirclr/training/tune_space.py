"""What a tuning may change: a search space as plain data, checked whole before the first trial.

    optim.learning_rate: {low: 3.0e-4, high: 1.0e-2, log: true}
    optim.batch: {choices: [32, 64, 128, 256]}

A key is a dotted key of the configuration of `mirclr pretrain`, or `augment.strength`: a factor that scales the
probability p of every effect (at most to 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field, ValidationError, model_validator

from mirclr.config import AugmentConfig, PretrainConfig, Strict, merged, nearest, problems_of, validate
from mirclr.errors import ConfigError
from mirclr.losses.table import LOSSES
from mirclr.models.table import ENCODERS
from mirclr.tables import options_of
from mirclr.training.check import check_config

if TYPE_CHECKING:
    from optuna.trial import Trial

Value: TypeAlias = bool | int | float | str | None
STRENGTH = "augment.strength"
# Sections that are the frame of the search, not what is searched; and what would change the held-out question itself.
FRAME = ("seed", "budget", "cache", "labels", "hold_out", "device", "threads", "workers", "tensorboard")
MOVES_THE_QUESTION = ("views.seconds", "audio")
BATCHES = (32, 64, 128, 256)


class Range(Strict):
    """Numbers from `low` to `high`, both included; `log`: factors are searched evenly; `int`: whole numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = Field(False, alias="int")

    @model_validator(mode="after")
    def _a_range(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low={self.low:g} must be below high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low > 0, got {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"int needs whole numbers, got low={self.low:g}, high={self.high:g}")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that tell whether the range can be built."""
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    def suggest(self, trial: Trial, key: str) -> Value:
        """The trial's value."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


class Choices(Strict):
    """One of at least two different values, without an order between them."""

    choices: tuple[Value, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _different(self) -> Choices:
        if len({repr(value) for value in self.choices}) < len(self.choices):
            raise ValueError("a value is given twice")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that tell whether the choices can be built: all."""
        return self.choices

    def suggest(self, trial: Trial, key: str) -> Value:
        """The trial's value."""
        chosen: Value = trial.suggest_categorical(key, list(self.choices))
        return chosen


Space: TypeAlias = dict[str, Range | Choices]


def default_space(base: PretrainConfig, tracks: int, held_out: bool) -> Space:
    """What is worth searching around `base` on a folder of `tracks` tracks.

    A setting that the objective or the encoder of `base` does not take is left out, and so are batches larger than the
    folder. `held_out`: whether trials are judged by held-out retrieval; then the length of a crop is not searched.
    """
    batches = tuple(size for size in BATCHES if size <= tracks)
    encoder = options_of(ENCODERS[base.encoder.name])
    offered: dict[str, tuple[bool, Range | Choices]] = {
        "optim.learning_rate": (True, Range(low=3e-4, high=1e-2, log=True)),
        "optim.batch": (len(batches) > 1, Choices.model_construct(choices=batches)),
        "optim.weight_decay": (True, Range(low=1e-4, high=1e-1, log=True)),
        "loss.temperature": (
            "temperature" in options_of(LOSSES[base.loss.name]), Range(low=0.05, high=0.5, log=True)),
        "encoder.width": ("width" in encoder, Choices(choices=(16, 24, 32, 48, 64))),
        "encoder.dropout": ("dropout" in encoder, Range(low=0, high=0.3)),
        STRENGTH: (bool(base.augment.wave or base.augment.spec), Range(low=0, high=1.5)),
        "views.seconds": (not held_out, Range(low=2, high=8)),
    }  # fmt: skip
    return {key: searched for key, (fits, searched) in offered.items() if fits}


def read_space(data: Any, base: PretrainConfig, held_out: bool, source: str) -> Space:
    """`data` as a space around `base`. Raises ConfigError with every mistake at once; `source` names the file."""
    if not isinstance(data, Mapping) or not data:
        raise ConfigError(source, ["a space is one or more lines like `optim.learning_rate: {low: 3e-4, high: 1e-2}`"])
    problems: list[str] = []
    space = {str(key): found for key, spec in data.items() if (found := _entry(str(key), spec, problems))}
    for key, searched in space.items():
        problems += (
            _out_of_bounds(key, held_out) or _strength_mistakes(key, searched) or _mistakes(key, searched, base, source)
        )
    if problems:
        raise ConfigError(source, problems)
    return space


def _entry(key: str, spec: Any, problems: list[str]) -> Range | Choices | None:
    kind = Choices if isinstance(spec, Mapping) and "choices" in spec else Range
    try:
        return kind.model_validate(spec)
    except ValidationError as error:
        problems += [f"{key}: {problem.removeprefix('(top level): ')}" for problem in problems_of(kind, error)]
        return None


def _out_of_bounds(key: str, held_out: bool) -> list[str]:
    """Why a key that pretrain knows may not be searched."""
    if key.partition(".")[0] in FRAME:
        return [f"{key}: is the frame of every trial and cannot be searched; give it with --set"]
    if held_out and key.startswith(MOVES_THE_QUESTION):
        return [f"{key}: changes how hard the held-out question is, so trials could not be compared; use --labels"]
    return []


def _strength_mistakes(key: str, searched: Range | Choices) -> list[str]:
    """What is wrong with the one key that is no key of the configuration, or with what was meant to be it."""
    section, _, rest = key.partition(".")
    known = (*AugmentConfig.model_fields, STRENGTH.partition(".")[2])
    if section == "augment" and rest not in known:
        return [f"{key}: unknown key.{nearest(rest, known)}"]
    numbers = [value for value in searched.ends if isinstance(value, int | float) and value >= 0]
    if key == STRENGTH and len(numbers) < len(searched.ends):
        return [f"{key}: is a factor of probabilities: numbers from 0 up"]
    return []


def _mistakes(key: str, searched: Range | Choices, base: PretrainConfig, source: str) -> list[str]:
    """What is wrong with a key: values that are no configuration, or none that can be built around `base`.

    A value that alone cannot be built may be fine beside others of the space, so a trial decides about it.
    """
    invalid: list[str] = []
    unbuildable: list[str] = []
    for value in searched.ends:
        try:
            config = applied(base, {key: value})
        except ConfigError as error:
            invalid += error.problems
        else:
            unbuildable += [f"{key}: {problem}" for problem in _unbuildable(config, source)[:1]]
    return list(dict.fromkeys(invalid or (unbuildable if len(unbuildable) == len(searched.ends) else [])))


def _unbuildable(config: PretrainConfig, source: str) -> list[str]:
    try:
        check_config(config, source)
    except ConfigError as error:
        return error.problems
    return []


def applied(base: PretrainConfig, values: Mapping[str, Any]) -> PretrainConfig:
    """`base` with a trial's values. Raises ConfigError on what is no configuration."""
    over: dict[str, Any] = {}
    for key, value in values.items():
        if key != STRENGTH:
            over = merged(over, _nested(key, value))
    data = merged(base.model_dump(mode="json"), over)
    if STRENGTH in values:
        data = merged(data, {"augment": dict(_scaled(data["augment"], values[STRENGTH]))})
    return validate(PretrainConfig, data, "trial")


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def _scaled(chains: Mapping[str, Any], strength: float) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Both chains with every probability times `strength`, at most 1."""
    for domain in ("wave", "spec"):
        yield domain, [{**effect, "p": min(1.0, effect["p"] * strength)} for effect in chains[domain]]


def plain(space: Space) -> dict[str, Any]:
    """The space as it could stand in a file."""
    return {key: searched.model_dump(mode="json", by_alias=True) for key, searched in space.items()}
