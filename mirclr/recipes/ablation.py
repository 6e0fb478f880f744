"""An ablation: every row trained for the same processor time with several seeds, judged by the same tracks and artists.

Each row trains twice, on either half of the collection, and each encoder is judged on the half it has not heard
(mirclr.evaluation.unheard). Rows are trained by single-threaded processes side by side. Each gets the number of steps
that fits its budget at the speed measured for it, in seconds of its own processor: a busy machine takes nothing from a
row. What is finished is kept, one JSON file and one file of bootstrap draws a row and seed, so rows can be added over
days.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirclr.audio.processes import Lost, in_processes
from mirclr.config import BudgetConfig, PretrainConfig
from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split
from mirclr.errors import AudioError, DatasetError, TrainingError
from mirclr.evaluation.judge import Judged, Measure
from mirclr.evaluation.subject import every_vector
from mirclr.evaluation.unheard import HALVES, halves, judge_unheard
from mirclr.files import write_atomic
from mirclr.recipes.ablation_rows import Row
from mirclr.reports import Progress, Work, finish

if TYPE_CHECKING:
    import pandas as pd

    from mirclr.evaluation.sensitivity import Versions
    from mirclr.features.extractor import Extractor

REFERENCES = ("MFCC statistics", "untrained")
"""Rows that do not train, printed beside the others."""

MEASURED_SHARE = 0.1
"""How long the speed is measured, as a share of the time a row is trained for."""

PATIENCE_S = 24 * 3600.0  # a row may take long; one that hangs is ended a day later, and the others were done meanwhile


@dataclass(frozen=True)
class Exam:
    """What every row is asked: probes and retrieval on `collection`, probes on `others` (the same tracks with other
    labels), and how far `sensitive` of its tracks move (0: not asked). `halves`: of the collection, by artist."""

    collection: Collection
    others: tuple[Collection, ...] = ()
    sensitive: int = 40

    @functools.cached_property
    def halves(self) -> list[Split]:
        """What each encoder of a row trains on, and the other half, which it is judged on."""
        return halves(self.collection)

    def heard(self, tracks: pd.DataFrame, half: int) -> pd.DataFrame:
        """The rows of a track table that are in a half."""
        paths = self.collection.tracks["path"].iloc[self.halves[half].train]
        return tracks[tracks["path"].isin(set(paths))].reset_index(drop=True)

    def check(self) -> None:
        """Raises DatasetError where another collection has other tracks, or as `halves`; they are made here once, for
        all processes."""
        _ = self.halves
        for other in self.others:
            if list(other.tracks["path"]) != list(self.collection.tracks["path"]):
                raise DatasetError(f"{other.name} must list the very tracks of {self.collection.name}, in its order")


@dataclass(frozen=True)
class Job:
    """One row with one seed: `minutes` of processor time, evenly for its halves; everything it leaves is under
    `folder`."""

    row: Row
    seed: int
    minutes: float
    folder: Path

    @property
    def config(self) -> PretrainConfig:
        """Its configuration but for the number of steps. One thread: then processor time is time."""
        return self.row.config.model_copy(update={"seed": self.seed, "threads": 1, "workers": 0})

    @property
    def key(self) -> str:
        """Digest of all that decides its result. The budget is `minutes`, whatever the configuration's own is."""
        settings = self.config.model_dump(mode="json", exclude={"budget", "most_passes"})
        text = json.dumps([self.row.name, settings, self.minutes, HALVES], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    def run(self, half: int) -> Path:
        """The folder of the run that trains on a half."""
        return self.folder / "runs" / f"{self.row.slug}-{self.key}-{half}"

    @property
    def result(self) -> Path:
        """The result's file; the draws lie beside it."""
        return self.folder / "results" / f"{self.row.slug}-{self.key}.json"


@dataclass(frozen=True)
class Result:
    """What a job found: `steps` trained on each half, on average, at `step_s` seconds each, `judged`, `moved` (shift by
    attribute); or why it `failed`."""

    group: str
    name: str
    seed: int
    steps: int = 0
    step_s: float = 0.0
    judged: Judged | None = None
    moved: dict[str, float] | None = None
    failed: str | None = None


def ablate(
    rows: Sequence[Row],
    exam: Exam,
    folder: Path,
    *,
    seeds: int,
    minutes: float,
    processes: int,
    look: Callable[[list[Result]], object] = lambda so_far: None,
) -> Work[list[Result]]:
    """Results of all `rows` and of the reference rows for `seeds` seeds, those found in `folder` not made again.

    The first seed of every row comes first, so that an early look shows all rows: `look` is called with the results so
    far before the first job and whenever one is done. A row whose training fails (a
    collapse, a loss that is no number) has a result that says so. Raises DatasetError as `Exam.check`, and when a file
    of the collection cannot be read.
    """
    exam.check()
    references = [Row("reference", name, rows[0].config) for name in REFERENCES]
    jobs = [Job(row, seed, minutes, folder) for seed in range(seeds) for row in [*references, *rows]]
    for name in ("runs", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    todo = [job for job in jobs if not job.result.exists()]
    tracks = yield from _prepared(exam, todo)
    look(_so_far(jobs))
    yield Progress("ablation", len(jobs) - len(todo), len(jobs), "starting")
    work = in_processes(functools.partial(do, exam, tracks), todo, processes, PATIENCE_S)
    for done, (job, answer) in enumerate(work, len(jobs) - len(todo) + 1):
        if isinstance(answer, (Lost, AudioError)):
            raise TrainingError(
                f"{job.row.name}, seed {job.seed}: {answer.why if isinstance(answer, Lost) else answer}"
            )
        look(_so_far(jobs))
        yield Progress("ablation", done, len(jobs), f"{job.row.name}, seed {job.seed}")
    return _so_far(jobs)


def _so_far(jobs: Sequence[Job]) -> list[Result]:
    return [read_result(job) for job in jobs if job.result.exists()]


def _prepared(exam: Exam, jobs: Sequence[Job]) -> Work[pd.DataFrame]:
    """The music to train on, the collection's own folder, decoded for all jobs: a process of a job may start none."""
    from mirclr.audio.scan import scan
    from mirclr.training.material import prepare

    found = yield from scan(exam.collection.root)
    heard: set[str] = set()
    for job in jobs:
        asked = job.config.model_dump_json(include={"audio", "cache", "frontend", "augment", "views"})
        if asked not in heard:
            yield from prepare(found.tracks, job.config)
        heard.add(asked)
    return found.tracks


def do(exam: Exam, tracks: pd.DataFrame, job: Job) -> None:
    """One job from beginning to end on `tracks`, its result written."""
    try:
        extractors, steps, step_s = _extractors(exam, tracks, job)
    except TrainingError as error:
        write_result(job, Result(job.row.group, job.row.name, job.seed, failed=str(error)))
        return
    judged, moved = _judged(exam, extractors), _moved(exam, extractors)
    write_result(job, Result(job.row.group, job.row.name, job.seed, steps, step_s, judged, moved))


def _extractors(exam: Exam, tracks: pd.DataFrame, job: Job) -> tuple[list[Extractor], int, float]:
    """What is judged, one extractor a half; the steps each was trained, and the seconds of each step."""
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.handcrafted import MfccStatistics

    if job.row.group == "reference" and job.row.name == REFERENCES[0]:
        return [MfccStatistics(job.config.audio.sample_rate)] * HALVES, 0, 0.0
    heard = [exam.heard(tracks, half) for half in range(HALVES)]
    if job.row.group == "reference":
        return [_untrained(part, job) for part in heard], 0, 0.0
    trained = [_train(part, job, half) for half, part in enumerate(heard)]
    steps, step_s = (np.mean(values) for values in zip(*trained, strict=True))
    return [load_encoder(job.run(half), device="cpu") for half in range(HALVES)], round(steps), float(step_s)


def _untrained(tracks: pd.DataFrame, job: Job) -> Extractor:
    """The base configuration's encoder as training would begin with it, its input normalisation fitted."""
    from mirclr.features.encoder import EncoderExtractor
    from mirclr.training.material import prepare
    from mirclr.training.run import make_source, new_learner

    material = finish(prepare(tracks, job.config))
    return EncoderExtractor(new_learner(make_source(material, job.config), job.config).ema, name="untrained")


def _train(tracks: pd.DataFrame, job: Job, half: int) -> tuple[int, float]:
    """Train on a half, or go on with it, for its share of the job's processor time; the steps and the seconds of
    each."""
    from mirclr.training.pretrain import pretrain

    run, seconds = job.run(half), 60 * job.minutes / HALVES
    note = run / "speed.json"
    if not note.exists():
        step_s = _seconds_per_step(tracks, job.config, seconds * MEASURED_SHARE)
        run.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps({"steps": max(1, round(seconds / step_s)), "step_s": step_s}) + "\n")
    speed = json.loads(note.read_text())
    config = job.config.model_copy(update={"budget": BudgetConfig(steps=speed["steps"])})
    finish(pretrain(tracks, config, run, resume=True))
    return speed["steps"], speed["step_s"]


def _seconds_per_step(tracks: pd.DataFrame, config: PretrainConfig, seconds: float) -> float:
    """Seconds of this processor that a step takes, reading and effects included, measured for about `seconds`."""
    from mirclr.training.labels import labelled_material
    from mirclr.training.run import make_source, seconds_per_step

    source = make_source(finish(labelled_material(tracks, config)), config)
    first = seconds_per_step(source, config, steps=2, clock=time.process_time)
    return seconds_per_step(source, config, steps=max(3, round(seconds / first)), clock=time.process_time)


def _judged(exam: Exam, extractors: Sequence[Extractor]) -> Judged:
    """All measures of the collection, and of the others those of their linear probe as `linear.metric of NAME`."""
    distinct = {id(extractor): extractor for extractor in extractors}  # handcrafted ones are one for both halves
    embedded = {key: every_vector(exam.collection, extractor, workers=1) for key, extractor in distinct.items()}
    vectors = [embedded[id(extractor)] for extractor in extractors]
    measures, draws = {}, {}
    for number, collection in enumerate((exam.collection, *exam.others)):
        row = judge_unheard(collection, exam.halves, vectors)
        for key in row.measures if number == 0 else [k for k in row.measures if k.startswith("linear.")]:
            name = key if number == 0 else f"{key} of {collection.name}"
            measures[name], draws[name] = row.measures[key], row.draws[key]
    return Judged(measures, draws)


def _moved(exam: Exam, extractors: Sequence[Extractor]) -> dict[str, float]:
    """The shifts of tracks that an encoder has not heard, the mean over the halves."""
    from mirclr.evaluation.sensitivity import sensitivity

    if not exam.sensitive:
        return {}
    paths, count = exam.collection.tracks["path"], -(-exam.sensitive // HALVES)
    found = [
        sensitivity(extractor, _versions(tuple(paths.iloc[split.test]), extractor.sample_rate, count))
        for extractor, split in zip(extractors, exam.halves, strict=True)
    ]
    return {name: float(np.mean([shifts[name] for shifts in found])) for name in found[0]}


@functools.lru_cache(maxsize=HALVES)
def _versions(paths: tuple[str, ...], sample_rate: int, count: int) -> Versions:
    """Changing the sound takes longer than embedding it: once a process."""
    import pandas as pd

    from mirclr.evaluation.sensitivity import heard_versions

    return heard_versions(pd.DataFrame({"path": paths}), sample_rate, count=count)


def write_result(job: Job, result: Result) -> None:
    """The draws, then the file that says they are there; a finished run keeps its encoder and loses its checkpoints."""
    if result.judged is not None:
        buffer, draws = io.BytesIO(), result.judged.draws
        np.savez_compressed(
            buffer, names=np.array(list(draws)), draws=np.stack(list(draws.values())).astype(np.float32)
        )
        write_atomic(job.result.with_suffix(".npz"), buffer.getvalue())
    measures = {k: asdict(m) for k, m in result.judged.measures.items()} if result.judged else {}
    facts: dict[str, Any] = {name: value for name, value in vars(result).items() if name != "judged"}
    write_atomic(job.result, json.dumps({**facts, "measures": measures}, indent=1) + "\n")
    for checkpoint in _checkpoints(job):
        checkpoint.unlink()


def _checkpoints(job: Job) -> Iterator[Path]:
    for half in range(HALVES):
        yield from (job.run(half) / "checkpoints").glob("*.safetensors")


def read_result(job: Job) -> Result:
    """A result as it was written; group and name are the row's of today."""
    facts = json.loads(job.result.read_text())
    measures = {k: Measure(**{**m, "folds": tuple(m["folds"])}) for k, m in facts.pop("measures").items()}
    judged = None
    if measures:
        with np.load(job.result.with_suffix(".npz"), allow_pickle=False) as file:
            drawn = zip(file["names"].tolist(), file["draws"].astype(np.float64), strict=True)
            judged = Judged(measures, dict(drawn))
    return Result(**{**facts, "group": job.row.group, "name": job.row.name}, judged=judged)
