"""Protocols run over rows and splits, and what they found as tables of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.evaluation.answer_memory import AnswerMemory
from mirclr.evaluation.crossfit import Parts, Problem
from mirclr.evaluation.judge import Judged
from mirclr.evaluation.material import Material
from mirclr.evaluation.metrics import explained
from mirclr.evaluation.protocols import ALWAYS, PROTOCOLS, Answers, Protocol, Where
from mirclr.evaluation.ranking import ranking_areas
from mirclr.evaluation.sections import Cell, Section
from mirclr.features.segment_cache import SegmentCache
from mirclr.reports import Progress, Work

Sat = dict[str, list[Answers]]
"""Answers by protocol, one a split."""


@dataclass(frozen=True)
class Exams:
    """What to ask of every row beside the linear probe and kNN: `protocols` by name, computed `where`; whether labels
    are withheld (`label_efficiency`) and test tracks changed (`robustness`).

    `cache` keeps segment vectors, without which no clips are known; `memory` the protocols' answers.
    """

    protocols: tuple[str, ...] = ()
    label_efficiency: bool = False
    robustness: bool = False
    where: Where = field(default_factory=Where)
    cache: SegmentCache | None = None
    memory: AnswerMemory | None = None

    @property
    def further(self) -> tuple[str, ...]:
        """The protocols that are not part of every card."""
        return tuple(name for name in dict.fromkeys(self.protocols) if name not in ALWAYS)

    @property
    def clips(self) -> bool:
        """Whether a protocol wants clips."""
        return any(PROTOCOLS[name].clips for name in self.further)

    def check(self, task: str) -> None:
        """Raises UsageError on a protocol that does not exist or is not defined for `task`."""
        for name in self.protocols:
            if name not in PROTOCOLS:
                raise UsageError(f"no protocol {name!r}.{nearest(name, PROTOCOLS)}")
            if task not in PROTOCOLS[name].tasks:
                known = ", ".join(PROTOCOLS[name].tasks)
                raise UsageError(f"protocol {name}: made for {known}; this collection is {task}")


def sit(exams: Exams, problem: Problem, rows: Mapping[str, Callable[[], Material]]) -> Work[dict[str, Sat]]:
    """Run every further protocol on every row; a row's material is asked for when its turn comes."""
    out: dict[str, Sat] = {}
    if not exams.further:
        return {name: {} for name in rows}
    total, done = len(rows) * len(exams.further) * len(problem.splits), 0
    for row, material_of in rows.items():
        material, out[row] = material_of(), {}
        for name in exams.further:
            answers = out[row][name] = []
            for split in problem.splits:
                yield Progress("protocols", done, total, f"{name}: {row}, {split.name}")
                answers.append(_answer(exams, name, PROTOCOLS[name], problem, split, material))
                done += 1
    yield Progress("protocols", done, total)
    return out


def _answer(exams: Exams, name: str, protocol: Protocol, problem: Problem, split: Parts, material: Material) -> Answers:
    if exams.memory is None:
        return protocol.run(problem, split, material, exams.where)
    return exams.memory.ask(name, protocol, problem, split, material, exams.where)


def scores_of(sat: Sat) -> dict[str, np.ndarray]:
    """`(M, K)` scores of all tested tracks, by protocol."""
    return {name: np.concatenate([answers.scores for answers in each]) for name, each in sat.items()}


def protocol_sections(
    exams: Exams, problem: Problem, vocabulary: Sequence[str], sat: Mapping[str, Sat], judged: Mapping[str, Judged]
) -> Iterator[Section]:
    """Per protocol its measures under its own names, then the settings it chose."""
    for name in exams.further:
        yield _measures(name, problem, vocabulary, judged)
        settings = {(row, s.name): a.chosen for row, each in sat.items()
                    for s, a in zip(problem.splits, each[name], strict=True)}  # fmt: skip
        keys = tuple(dict.fromkeys(key for chosen in settings.values() for key in chosen))
        if keys:
            rows = tuple((*place, *(chosen.get(key) for key in keys)) for place, chosen in settings.items())
            title = f"{name}: the settings chosen on validation"
            yield Section(f"protocol-{name}-settings", title, ("row", "split", *keys), rows)


def _measures(name: str, problem: Problem, vocabulary: Sequence[str], judged: Mapping[str, Judged]) -> Section:
    """The section of a protocol: its measures with intervals, then those that only it has."""
    protocol = PROTOCOLS[name]
    notes = (f"{protocol.title}; {protocol.source}",)
    section = measures_section(name, f"Protocol {name}", judged, protocol.names, notes)
    further = _further(name, problem, vocabulary)
    rows: list[tuple[Cell, ...]] = [
        (*row, *(measure(judged[str(row[0])]) for measure in further.values())) for row in section.rows
    ]
    return replace(section, columns=(*section.columns, *further), rows=tuple(rows))


def measures_section(
    name: str, title: str, judged: Mapping[str, Judged], names: Mapping[str, str], notes: tuple[str, ...]
) -> Section:
    """`protocol-NAME`: a line a row that has measures of it, a column with its interval a measure, called by `names`
    (measures without a name are left out, unless there are no names at all)."""
    keys = dict.fromkeys(key for found in judged.values() for key in found.measures if key.startswith(f"{name}."))
    metrics = {key: key.partition(".")[2] for key in keys}
    named = {key: names.get(metric, metric) for key, metric in metrics.items() if not names or metric in names}
    columns = ("row", *(f"{text}{end}" for text in named.values() for end in ("", " low", " high")))
    rows: list[tuple[Cell, ...]] = [
        (row, *(cell for m in (found.measures[key] for key in named) for cell in (m.value, m.low, m.high)))
        for row, found in judged.items()
        if set(named) <= set(found.measures)
    ]
    return Section(f"protocol-{name}", title, columns, tuple(rows), notes, "bars")


def _further(name: str, problem: Problem, vocabulary: Sequence[str]) -> dict[str, Callable[[Judged], float | None]]:
    """Measures that only some protocols have: R² of each target (`arousal_r2`), d' of HEAR."""
    tested, _ = problem.tested()
    truth = problem.targets[tested]

    def target(k: int) -> Callable[[Judged], float | None]:
        return lambda j: None if j.predictions is None else float(
            explained(truth, j.predictions.scores[name], np.ones((1, len(truth))))[0, k]
        )  # fmt: skip

    if problem.learned == "regression" and PROTOCOLS[name].names:
        return {f"{label}_r2": target(k) for k, label in enumerate(vocabulary)}
    if name == "hear" and problem.task == "multilabel":
        return {"d_prime": lambda j: None if j.predictions is None else d_prime(truth, j.predictions.scores[name])}
    return {}


def d_prime(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over labels of sqrt(2) times the normal quantile of the ROC-AUC, `(N, K)` each; labels without a positive or
    without a negative are left out; infinite where a label is ranked without a mistake."""
    weights = np.ones((len(truth), 1))
    areas = np.array([ranking_areas(truth[:, k] > 0.5, scores[:, k], weights)[0][0] for k in range(truth.shape[1])])
    known = areas[~np.isnan(areas)]
    return float(np.mean(np.sqrt(2) * ndtri(known))) if known.size else float("nan")
