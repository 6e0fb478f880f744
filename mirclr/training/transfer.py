"""Weights from elsewhere into an encoder: another plan of ours, or any safetensors state dict through a key map.

What arrives and what does not is told, tensor by tensor. Less than everything is refused unless it is asked for.
Nothing is unpickled: a file of another kind is no state dict here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mirclr.config import read_yaml
from mirclr.errors import CheckpointError, ConfigError
from mirclr.features.described import read_tensors
from mirclr.features.encoder_file import load_encoder
from mirclr.models.embedder import Embedder

SHOWN = 8
Rule = tuple[re.Pattern[str], str | None]


@dataclass(frozen=True)
class TransferReport:
    """Names of tensors: `loaded`; `missing`, ours that got nothing; `unexpected`, theirs that have no place here;
    `misshapen`, ours whose counterpart has another shape, with both; `dropped`, theirs that the key map leaves out."""

    source: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether anything did not find its place."""
        return bool(self.missing or self.unexpected or self.misshapen)

    def lines(self, most: int | None = None) -> list[str]:
        """What did not find its place, a line each, for people; at most so many names of each kind."""
        told = [f"{self.source}: {len(self.loaded)} tensors loaded"]
        kinds = (
            ("missing there", self.missing),
            ("without a place here", self.unexpected),
            ("of another shape", self.misshapen),
        )
        for what, names in kinds:
            told += [f"{what}: {name}" for name in names[:most]]
            told += [f"{what}: {len(names) - most} more"] if most is not None and len(names) > most else []
        return told

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return asdict(self)


def transfer(embedder: Embedder, source: Path, key_map: Path | None, allow_partial: bool) -> TransferReport:
    """Copy into `embedder` every tensor of `source` that fits one of its own, by name and shape.

    `source`: a run folder, its `encoder/`, a checkpoint of ours, or a safetensors file of any origin. `key_map`: YAML,
    `theirs: ours`. A name on the left that is one of theirs is that one; otherwise it is a regular expression that has
    to match a whole name, with its groups as `\\1` on the right. The first that matches counts, names that none matches
    stay, and those mapped to nothing (`fc.*: null`) are left out on purpose. A projection comes along where it fits;
    if not, it is left out likewise, and without one ours begins at random: objectives make their own.

    Raises CheckpointError when the source cannot be read, when nothing fits, and, unless `allow_partial`, when anything
    does not; ConfigError on a key map that is not one. Then `embedder` is as it was.
    """
    theirs = _tensors(source)
    renamed, dropped = _renamed(theirs, key_map)
    ours = embedder.state_dict()
    fits = {name: t for name, t in renamed.items() if name in ours and ours[name].shape == t.shape}
    projection = {name for name in renamed if _of_a_projection(name)}
    if not projection <= fits.keys():  # half of one is none
        renamed, fits = ({n: t for n, t in part.items() if n not in projection} for part in (renamed, fits))
        dropped += projection
    # Only batch norm that averages over all batches reads its count, and older state dicts lack it.
    wanted = [name for name in ours if name not in renamed and not _optional(name)]
    report = TransferReport(
        source=str(source),
        loaded=tuple(sorted(fits)),
        missing=tuple(sorted(wanted)),
        unexpected=tuple(sorted(renamed.keys() - ours.keys())),
        misshapen=tuple(
            f"{name}: {tuple(t.shape)} there, {tuple(ours[name].shape)} here"
            for name, t in sorted(renamed.items())
            if name in ours and name not in fits
        ),
        dropped=tuple(sorted(dropped)),
    )
    if not fits or (report.partial and not allow_partial):
        raise CheckpointError(_refusal(report))
    embedder.load_state_dict({**ours, **fits})
    return report


def _of_a_projection(name: str) -> bool:
    return name.startswith("project.")


def _optional(name: str) -> bool:
    return name.endswith("num_batches_tracked") or _of_a_projection(name)


def _refusal(report: TransferReport) -> str:
    advice = "map their names with a key map" if not report.loaded else (
        "map their names with a key map, or take what fits with --allow-partial"
    )  # fmt: skip
    return "\n  ".join([f"the weights do not fit the encoder; {advice}", *report.lines(SHOWN)])


def _tensors(source: Path) -> dict[str, Tensor]:
    """The tensors of a source: one of our encoders, verified, or a safetensors file as it is."""
    if source.is_file():
        tensors, metadata = read_tensors(source)
        if "encoder" not in metadata:
            return tensors
    return load_encoder(source, "cpu").embedder.state_dict()


def _renamed(theirs: Mapping[str, Tensor], key_map: Path | None) -> tuple[dict[str, Tensor], list[str]]:
    """Their tensors under our names, and the names that the map leaves out. ConfigError where two get one name."""
    rules = _rules(key_map, theirs) if key_map else []
    out: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    dropped = []
    for name, tensor in theirs.items():
        ours = _name_here(name, rules)
        if ours is None:
            dropped.append(name)
        elif ours in out:
            raise ConfigError(str(key_map), [f"{origin[ours]!r} and {name!r} both become {ours!r}"])
        else:
            out[ours], origin[ours] = tensor, name
    return out, dropped


def _name_here(name: str, rules: list[Rule]) -> str | None:
    for pattern, ours in rules:
        found = pattern.fullmatch(name)
        if found:
            return None if ours is None else found.expand(ours)
    return name


def _rules(path: Path, theirs: Mapping[str, Tensor]) -> list[Rule]:
    """The rules of a key map, exact names before patterns. Raises ConfigError with every mistake at once."""
    data = read_yaml(path)
    if not isinstance(data, Mapping) or not all(isinstance(v, str | None) for v in data.values()):
        raise ConfigError(str(path), ["a key map is `theirs: ours`, both names of tensors (ours may be null)"])
    exact: list[Rule] = []
    patterns: list[Rule] = []
    problems = []
    for left, right in data.items():
        here = str(left) in theirs
        try:
            pattern = re.compile(re.escape(str(left)) if here else str(left))
            pattern.sub(right or "", "")  # a group that the left side lacks is found without a match
        except (re.error, IndexError) as error:
            problems.append(f"{left}: {right}: not a regular expression and its replacement: {error}")
            continue
        (exact if here else patterns).append((pattern, right))
    if problems:
        raise ConfigError(str(path), problems)
    return exact + patterns
