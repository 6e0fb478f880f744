"""An ablation: every row trained for the same processor time with several seeds, judged by the same tracks and artists.

Rows are trained by single-threaded processes side by side. Each gets the number of steps that fits its budget at the
speed measured for it, in seconds of its own processor: a busy machine takes nothing from a row. What is finished is
kept, one JSON file and one file of bootstrap draws a row and seed, so rows can be added over days.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirclr.audio.processes import Lost, in_processes
from mirclr.config import BudgetConfig, PretrainConfig
from mirclr.datasets.collection import Collection
from mirclr.errors import AudioError, DatasetError, TrainingError
from mirclr.evaluation.judge import Judge, Judged, Measure
from mirclr.evaluation.subject import every_vector
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
    labels), and how far `sensitive` of its tracks move (0: not asked)."""

    collection: Collection
    others: tuple[Collection, ...] = ()
    sensitive: int = 40

    def check(self) -> None:
        """Raises DatasetError where another collection has other tracks."""
        for other in self.others:
            if list(other.tracks["path"]) != list(self.collection.tracks["path"]):
                raise DatasetError(f"{other.name} must list the very tracks of {self.collection.name}, in its order")


@dataclass(frozen=True)
class Job:
    """One row with one seed: `minutes` of processor time, everything it leaves under `folder`."""

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
        text = json.dumps([self.row.name, settings, self.minutes], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / "runs" / f"{self.row.slug}-{self.key}"

    @property
    def result(self) -> Path:
        """The result's file; the draws lie beside it."""
        return self.folder / "results" / f"{self.row.slug}-{self.key}.json"


@dataclass(frozen=True)
class Result:
    """What a job found: `steps` trained at `step_s` seconds each, `judged`, `moved` (shift by attribute); or why it
    `failed`."""

    group: str
    name: str
    seed: int
    steps: int = 0
    step_s: float = 0.0
    judged: Judged | None = None
    moved: dict[str, float] | None = None
    failed: str | None = None


def ablate(
    rows: Sequence[Row], exam: Exam, folder: Path, *, seeds: int, minutes: float, processes: int
) -> Work[list[Result]]:
    """Results of all `rows` and of the reference rows for `seeds` seeds, those found in `folder` not made again.

    The first seed of every row comes first, so that an early look shows all rows. A row whose training fails (a
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
    yield Progress("ablation", len(jobs) - len(todo), len(jobs), "starting")
    work = in_processes(functools.partial(do, exam, tracks), todo, processes, PATIENCE_S)
    for done, (job, answer) in enumerate(work, len(jobs) - len(todo) + 1):
        if isinstance(answer, (Lost, AudioError)):
            raise TrainingError(
                f"{job.row.name}, seed {job.seed}: {answer.why if isinstance(answer, Lost) else answer}"
            )
        yield Progress("ablation", done, len(jobs), f"{job.row.name}, seed {job.seed}")
    return [read_result(job) for job in jobs]


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
        extractor, steps, step_s = _extractor(tracks, job)
    except TrainingError as error:
        write_result(job, Result(job.row.group, job.row.name, job.seed, failed=str(error)))
        return
    judged, moved = _judged(exam, extractor), _moved(exam, extractor)
    write_result(job, Result(job.row.group, job.row.name, job.seed, steps, step_s, judged, moved))


def _extractor(tracks: pd.DataFrame, job: Job) -> tuple[Extractor, int, float]:
    """What is judged, the steps it was trained and the seconds of each."""
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.handcrafted import MfccStatistics

    rate = job.config.audio.sample_rate
    if job.row.group == "reference":
        untrained = job.row.name == REFERENCES[1]
        return (_untrained(tracks, job), 0, 0.0) if untrained else (MfccStatistics(rate), 0, 0.0)
    steps, step_s = _train(tracks, job)
    return load_encoder(job.run, device="cpu"), steps, step_s


def _untrained(tracks: pd.DataFrame, job: Job) -> Extractor:
    """The base configuration's encoder as training would begin with it, its input normalisation fitted."""
    from mirclr.features.encoder import EncoderExtractor
    from mirclr.training.material import prepare
    from mirclr.training.run import make_source, new_learner

    material = finish(prepare(tracks, job.config))
    return EncoderExtractor(new_learner(make_source(material, job.config), job.config).ema, name="untrained")


def _train(tracks: pd.DataFrame, job: Job) -> tuple[int, float]:
    """Train, or go on with training, for the job's processor time; the steps and the seconds of each."""
    from mirclr.training.pretrain import pretrain

    note = job.run / "speed.json"
    if not note.exists():
        step_s = _seconds_per_step(tracks, job.config, 60 * job.minutes * MEASURED_SHARE)
        job.run.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps({"steps": max(1, round(60 * job.minutes / step_s)), "step_s": step_s}) + "\n")
    speed = json.loads(note.read_text())
    config = job.config.model_copy(update={"budget": BudgetConfig(steps=speed["steps"])})
    finish(pretrain(tracks, config, job.run, resume=True))
    return speed["steps"], speed["step_s"]


def _seconds_per_step(tracks: pd.DataFrame, config: PretrainConfig, seconds: float) -> float:
    """Seconds of this processor that a step takes, reading and effects included, measured for about `seconds`."""
    from mirclr.training.labels import labelled_material
    from mirclr.training.run import make_source, seconds_per_step

    source = make_source(finish(labelled_material(tracks, config)), config)
    first = seconds_per_step(source, config, steps=2, clock=time.process_time)
    return seconds_per_step(source, config, steps=max(3, round(seconds / first)), clock=time.process_time)


def _judged(exam: Exam, extractor: Extractor) -> Judged:
    """All measures of the collection, and of the others those of their linear probe as `linear.metric of NAME`."""
    vectors = every_vector(exam.collection, extractor, workers=1)
    measures, draws = {}, {}
    for number, collection in enumerate((exam.collection, *exam.others)):
        row = Judge.of(collection).row(vectors)
        for key in row.measures if number == 0 else [k for k in row.measures if k.startswith("linear.")]:
            name = key if number == 0 else f"{key} of {collection.name}"
            measures[name], draws[name] = row.measures[key], row.draws[key]
    return Judged(measures, draws)


def _moved(exam: Exam, extractor: Extractor) -> dict[str, float]:
    from mirclr.evaluation.sensitivity import sensitivity

    if not exam.sensitive:
        return {}
    return sensitivity(
        extractor, _versions(tuple(exam.collection.tracks["path"]), extractor.sample_rate, exam.sensitive)
    )


@functools.lru_cache(maxsize=1)
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
    for checkpoint in _checkpoints(job.run):
        checkpoint.unlink()


def _checkpoints(run: Path) -> Iterator[Path]:
    return (run / "checkpoints").glob("*.safetensors")


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
