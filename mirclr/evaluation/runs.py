"""Run folders of `mirclr pretrain` as rows of a report: which differ only in their seed, and what each has heard."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mirclr.audio.cache import default_folder
from mirclr.datasets.collection import Collection
from mirclr.errors import UsageError
from mirclr.evaluation.answer_memory import AnswerMemory
from mirclr.evaluation.card import Report
from mirclr.evaluation.exams import Exams
from mirclr.evaluation.given import read_tables
from mirclr.evaluation.protocols import Where
from mirclr.evaluation.report import evaluate
from mirclr.features.encoder_file import load_encoder
from mirclr.features.segment_cache import SegmentCache
from mirclr.reports import Work

if TYPE_CHECKING:
    from mirclr.features.encoder import EncoderExtractor

CONFIG, TRACKS = "config.json", "tracks.csv"


@dataclass(frozen=True)
class Runs:
    """`encoders` by row name, `folders` of their runs (None: an encoder without one), `families` by row name."""

    encoders: dict[str, EncoderExtractor]
    folders: dict[str, Path | None]
    families: dict[str, str]


def evaluate_runs(
    collection: Collection,
    paths: Sequence[Path],
    *,
    vectors: Sequence[Path] = (),
    exams: Exams | None = None,
    previous: Path | None = None,
    random_seeds: int = 3,
    seed: int = 0,
    device: str = "auto",
) -> Work[Report]:
    """`evaluate` for encoders on disk (see `open_runs`) and files of `vectors` (see `read_tables`), the encoder
    `previous` a rival of them all.

    Segment vectors and answers are kept in the cache folder (`kept_exams`), unless `exams` says otherwise. Raises what
    all three raise.
    """
    tables = read_tables(vectors, collection)
    runs = open_runs([*paths, *([previous] if previous else [])], device)
    for name, encoder in runs.encoders.items():
        encoder.notes = (*encoder.notes, *heard(runs.folders[name], collection))
    names = list(runs.encoders)
    trained = {name: runs.encoders[name] for name in names[: len(paths)]}
    earlier = {f"previous: {name}": runs.encoders[name] for name in names[len(paths) :]}
    report = yield from evaluate(
        collection,
        trained,
        families=_families({name: runs.folders[name] for name in trained}),
        previous=earlier,
        random_seeds=random_seeds,
        seed=seed,
        tables=tables,
        exams=exams or kept_exams(),
    )
    return report


def kept_exams(
    protocols: Sequence[str] = (), *, label_efficiency: bool = False, robustness: bool = False, seed: int = 0
) -> Exams:
    """Exams that keep what they compute under `embeddings/` and `answers/` of the cache folder, and train on the GPU
    where there is one."""
    from mirclr.features.encoder import pick_device

    folder, where = default_folder(), Where(seed, str(pick_device("auto")))
    cache, memory = SegmentCache(folder / "embeddings"), AnswerMemory(folder / "answers")
    return Exams(tuple(protocols), label_efficiency, robustness, where, cache, memory)


def open_runs(paths: Sequence[Path], device: str = "auto") -> Runs:
    """Load encoders from run folders, encoder folders or checkpoints.

    Runs trained on the same tracks with the same configuration but for the seed are one family. A row is called as
    the encoder calls itself, or by its path where two call themselves the same.
    Raises CheckpointError on an encoder that cannot be loaded, UsageError on one given twice.
    """
    given = [os.path.abspath(path) for path in paths]
    twice = sorted({path for path in given if given.count(path) > 1})
    if twice:
        raise UsageError(f"the encoder {twice[0]} is given twice")
    loaded = [load_encoder(path, device) for path in paths]
    own = [encoder.name for encoder in loaded]
    names = [str(path) if own.count(name) > 1 else name for name, path in zip(own, paths, strict=True)]
    folders = {name: run_folder(path) for name, path in zip(names, paths, strict=True)}
    return Runs(dict(zip(names, loaded, strict=True)), folders, _families(folders))


def run_folder(path: Path) -> Path | None:
    """The run folder that a run folder, its `encoder/` or one of its checkpoints belongs to; None without one."""
    return next((f for f in (path, path.parent, path.parent.parent) if (f / CONFIG).is_file()), None)


def _families(folders: Mapping[str, Path | None]) -> dict[str, str]:
    """The family of every row; one encoder alone is its own."""
    members: dict[str, list[str]] = {}
    for name, folder in folders.items():
        members.setdefault(_recipe(folder) if folder else name, []).append(name)
    several = [names for names in members.values() if len(names) > 1]
    out = {name: name for name in folders}
    for names in several:
        out.update(dict.fromkeys(names, "trained" if len(several) == 1 else f"trained like {names[0]}"))
    return out


def _recipe(folder: Path) -> str:
    """Digest of a run's configuration without its seed, and of the tracks it was given."""
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    told = json.dumps({k: v for k, v in settings.items() if k != "seed"}, sort_keys=True)
    heard_paths = "\n".join(sorted(_trained_paths(folder)))
    return hashlib.blake2b(f"{told}\n{heard_paths}".encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _trained_paths(folder: Path) -> set[str]:
    """The files a run was given; none when it left no list."""
    table = folder / TRACKS
    if not table.is_file():
        return set()
    return set(pd.read_csv(table, usecols=["path"], dtype=str, encoding_errors="surrogateescape")["path"])


def heard(folder: Path | None, collection: Collection) -> tuple[str, ...]:
    """A note when pretraining heard tracks of `collection`, the tested ones among them, and whether it was told labels.

    Which labels is not looked up: those of another collection may say the same of the same tracks.
    """
    count = len(_trained_paths(folder) & set(collection.tracks["path"])) if folder else 0
    if folder is None or not count:
        return ()
    told = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("labels", {}).get("dataset")
    what = f"sound, and labels of {told}: no blind test where these are told" if told else "sound, never their labels"
    return (f"pretraining heard {count} of these {len(collection.tracks)} tracks ({what})",)
