"""A head answers as its probe, its confidences are honest on truth that is known, and bad collections are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mirclr.datasets.collection import Collection
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation import train_head as module
from mirclr.evaluation.crossfit import Problem
from mirclr.evaluation.probes import fit_map, fit_path
from mirclr.evaluation.retrieval import Ground
from mirclr.evaluation.subject import Subject
from mirclr.evaluation.train_head import Options, as_head, train_head
from mirclr.reports import finish
from mirclr.seeds import generator


def problem(task: str, count: int, classes: int = 3, dim: int = 6, noise: float = 2.0) -> tuple[Problem, np.ndarray]:
    """Tracks by artists of four tracks, whose label is a noisy straight line away."""
    random = generator(5, task, count)
    vectors = random.normal(size=(count, dim)).astype(np.float32)
    vectors[:, 0] = 3  # a dimension that does not vary
    vectors[:, 1] *= 1e-4  # one far below the epsilon of a batch norm
    signal = (vectors[:, 2:] @ random.normal(size=(dim - 2, classes))).astype(np.float32)
    noisy = signal + noise * random.gumbel(size=signal.shape)
    targets: Any = {
        "multiclass": lambda: noisy.argmax(axis=1),
        "multilabel": lambda: (noisy > 1).astype(np.float32),
        "regression": lambda: (5 + 3 * noisy).astype(np.float32),
    }[task]()
    return Problem(task, targets, np.arange(count) // 4, (), classes), vectors  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("count", [40, 400])
def test_a_head_gives_the_scores_of_its_probe(task: str, count: int) -> None:
    given, vectors = problem(task, count, dim=60)
    new = problem(task, 44, dim=60)[1]
    linear = fit_map(task, vectors, given.targets, classes=3, penalty=1.0)
    path = fit_path(task, vectors, given.targets, new, classes=3, penalties=[1.0])
    head = as_head(given, linear, vectors)
    with torch.inference_mode():
        scores = head.scores(head(torch.from_numpy(new))).numpy()
    np.testing.assert_allclose(scores, path.scores[0], atol=2e-4 * max(1.0, float(np.abs(path.scores[0]).max())))


def trained(monkeypatch: pytest.MonkeyPatch, task: str, count: int, options: Options, **more: Any) -> Any:
    given, vectors = problem(task, count, **more)
    labels = tuple("abc"[: given.classes])
    tracks = pd.DataFrame({"path": [f"/{n}" for n in range(count)]})

    def embedded(*_: Any) -> Any:
        yield from ()
        return Subject(tracks, {"encoder": vectors}, given, Ground(given.groups, None), pd.DataFrame())

    monkeypatch.setattr(module, "embed_collection", embedded)
    given = Problem(given.task, given.targets, given.groups, [SimpleNamespace(test=np.arange(3))], given.classes)  # type: ignore[list-item]
    collection = SimpleNamespace(name="c", kind=task, vocabulary=labels)
    return finish(train_head(collection, None, options)), given, vectors  # type: ignore[arg-type]


def values(done: Any) -> dict[str, float]:
    return {name: m["value"] for name, m in done.calibration.story["measures"].items()}


def test_confidences_are_honest_on_known_truth_and_the_promise_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    done, *_ = trained(monkeypatch, "multiclass", 1200, Options(precision=0.8))
    found = values(done)
    assert found["calibration error after"] < 0.06
    assert found["right, of answers given"] == pytest.approx(0.8, abs=0.06)
    assert found["right, of answers given"] > found["right, of all answers"]
    assert 0.05 < found["tracks with an answer"] < 0.95
    assert {row["measure"] for row in done.table} == set(found)
    assert done.calibration.high is None


def test_a_number_is_a_question_about_the_top_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    done, given, vectors = trained(monkeypatch, "regression", 800, Options(precision=0.7, high=0.75))
    np.testing.assert_allclose(done.calibration.high, np.quantile(given.targets, 0.75, axis=0))
    with torch.inference_mode():
        outputs = done.head(torch.from_numpy(vectors)).double().numpy()
    confidence = done.calibration.confidences("regression", outputs)
    truth = given.targets > np.array(done.calibration.high)
    for k in range(3):  # what is said to be so likely is so often
        sure = confidence[:, k] > 0.5
        assert truth[sure, k].mean() == pytest.approx(confidence[sure, k].mean(), abs=0.12)
    assert values(done)["labels that hold, of all"] == pytest.approx(0.25, abs=0.01)
    assert values(done)["Pearson's r"] > 0.4


def test_labels_without_a_trace_in_the_sound_are_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    done, _, _ = trained(monkeypatch, "multiclass", 400, Options(precision=0.95), noise=1e6)
    assert done.calibration.min_confidence is None or values(done)["tracks with an answer"] < 0.1


@pytest.mark.parametrize(
    ("task", "change", "said"),
    [
        ("multiclass", lambda t: np.minimum(t, 1), "no track that can be heard has the label c"),
        ("regression", lambda t: t * np.array([1, 0, 1], np.float32), "b is the same for every track"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(
    task: str, change: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = problem

    def changed(*args: Any, **kw: Any) -> Any:
        given, vectors = whole(*args, **kw)
        return Problem(given.task, change(given.targets), given.groups, (), given.classes), vectors

    monkeypatch.setitem(globals(), "problem", changed)
    with pytest.raises(DatasetError, match=said):
        trained(monkeypatch, task, 100, Options())


def test_tempi_are_no_tags() -> None:
    collection: Collection = SimpleNamespace(name="c", kind="tempo")  # type: ignore[assignment]
    with pytest.raises(UsageError, match="tempi are for `mirclr finetune"):
        finish(train_head(collection, None))  # type: ignore[arg-type]
