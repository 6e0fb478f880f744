"""Keys and tempi: mir_eval is the oracle, for every pair of keys and for many tempi."""

from __future__ import annotations

from pathlib import Path

import mir_eval
import numpy as np
import pytest

from mirclr.audio.synth_theory import KEYS
from mirclr.datasets.table import load_collection
from mirclr.datasets.tasks import key_of
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation.held_out_scores import score_held_out
from mirclr.evaluation.judge import Judge
from mirclr.evaluation.key_tempo import KEY_SCORES, tempo_hits
from mirclr.evaluation.metrics import score_predictions
from mirclr.training.finetune_score import prediction_rows
from tests.support.audio_files import write_format


def test_every_pair_of_keys_is_worth_what_mir_eval_says() -> None:
    expected = [[mir_eval.key.weighted_score(true, answer) for answer in KEYS] for true in KEYS]
    np.testing.assert_allclose(KEY_SCORES, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Db major", "C# major"),
        ("d# min", "Eb minor"),
        ("Cb:maj", "B major"),
        ("E# minor", "F minor"),
        ("B♭ Major", "Bb major"),
        ("bb minor", "Bb minor"),
        ("F## major", "G major"),
        ("C dorian", None),
        ("X", None),
        ("", None),
        ("H major", None),
    ],
)
def test_a_key_has_one_name_however_it_is_spelled(text: str, name: str | None) -> None:
    assert key_of(text) == name


def test_every_spelling_of_mir_eval_means_the_same_key_here() -> None:
    for letter, semitone in mir_eval.key.KEY_TO_SEMITONE.items():
        for row, mode in enumerate(("major", "minor")):
            expected = None if semitone is None else KEYS[12 * row + semitone]
            assert key_of(f"{letter} {mode}") == expected


def test_the_weighted_score_is_a_weighted_mean_beside_accuracy() -> None:
    truth = np.array([0, 0, 21])  # C, C, A minor
    scores = np.eye(24)[[0, 7, 0]]  # C, G (a fifth above), C (relative of A minor)
    values = score_predictions("key", truth, scores, np.array([[1.0, 1, 1], [0, 2, 1]]))
    np.testing.assert_allclose(values["weighted_score"], [(1 + 0.5 + 0.3) / 3, (2 * 0.5 + 0.3) / 3])
    np.testing.assert_allclose(values["accuracy"], [1 / 3, 0])


def test_the_p_score_is_mir_evals_of_a_single_tempo() -> None:
    random = np.random.default_rng(0)
    true = random.uniform(60, 180, 300)
    answer = true * random.choice([0.5, 1.0, 2.0], 300) * random.uniform(0.9, 1.1, 300)
    hits = tempo_hits(np.log2(true)[:, None], np.log2(answer)[:, None])
    expected = [
        mir_eval.tempo.detection(np.array([t, 0.0]), 1.0, np.array([a, 0.0]), tol=0.08)[0]
        for t, a in zip(true, answer, strict=True)
    ]
    np.testing.assert_array_equal(hits["p_score"], expected)


@pytest.mark.parametrize(
    ("answer", "acc1", "acc2"),
    [(124.8, 1, 1), (124.9, 0, 0), (115.2, 1, 1), (240, 0, 1), (360, 0, 1), (60, 0, 1), (40, 0, 1), (90, 0, 0)],
)
def test_accuracy_1_and_2_of_120_beats_per_minute(answer: float, acc1: float, acc2: float) -> None:
    hits = tempo_hits(np.log2(np.array([[120.0]], np.float32)), np.log2(np.array([[answer]])))
    assert (hits["acc1"][0], hits["acc2"][0]) == (acc1, acc2)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for k in range(8):
        write_format(tmp_path / f"{k}.wav", "pcm.wav", 0.2, seed=k)
    lines = [f"{k}.wav,{'Db major' if k % 2 else 'A min'},{60 * (1 + k % 2)},band{k}" for k in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["path,key,tempo,artist", *lines]))
    return tmp_path / "t.csv"


def test_a_table_of_keys_is_learned_as_classes_and_judged_as_keys(table: Path) -> None:
    found = load_collection(table, task="key", folds=2)
    assert (found.kind, found.task, found.vocabulary) == ("key", "multiclass", KEYS)
    assert set(found.targets.tolist()) == {KEYS.index("C# major"), KEYS.index("A minor")}
    judge = Judge.of(found)
    told = judge.row(np.where(found.targets[:, None] == 1, 1.0, -1.0) + np.zeros((8, 3)))
    assert judge.main == "linear.weighted_score"
    assert told.measures["linear.weighted_score"].value == 1.0


def test_a_table_of_tempi_is_learned_as_logarithms_and_told_in_beats_per_minute(table: Path) -> None:
    found = load_collection(table, label="tempo", task="tempo", folds=2)
    assert (found.kind, found.task, found.vocabulary) == ("tempo", "regression", ("tempo",))
    np.testing.assert_allclose(found.targets[:, 0], np.log2([60, 120] * 4), rtol=1e-6)
    scores = found.targets + 1.0  # an octave too fast
    (row, *_) = prediction_rows("tempo", found.vocabulary, ["a"], found.targets[:1], scores[:1])
    assert (row["true"], row["predicted"]) == (pytest.approx(60), pytest.approx(120))
    measures = score_held_out("tempo", found.targets, scores, found.groups, draws=20).measures
    assert (measures["acc1"].value, measures["acc2"].value, measures["r"].value) == (0, 1, pytest.approx(1))


@pytest.mark.parametrize(
    ("task", "cell", "message"),
    [("key", "C dorian", "not a key such as 'Eb minor'"), ("tempo", "5", "not 20 to 500 beats per minute")],
)
def test_what_is_no_key_and_no_tempo_is_refused_by_row(table: Path, task: str, cell: str, message: str) -> None:
    rows = table.read_text().replace("A min,60", f"{cell},{cell}", 1)
    table.write_text(rows)
    with pytest.raises(DatasetError, match=message):
        load_collection(table, task=task, label=task)  # type: ignore[arg-type]


def test_a_declared_collection_keeps_its_task_unless_another_column_is_named(tmp_path: Path, table: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "version: 1\ncollections:\n  made:\n    title: t\n    licence: l\n    citation: c\n    where: here\n"
        f"    root: {tmp_path}\n    task: key\n    table: {{file: t.csv, labels: [key], artist: artist}}\n"
    )
    read = {"registry": tmp_path / "datasets.yaml", "folds": 2}
    assert load_collection("made", **read).kind == "key"  # type: ignore[arg-type]
    assert load_collection("made", label="tempo", task="tempo", **read).kind == "tempo"  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"made is declared as key; name the column that is tempo \(--label\)"):
        load_collection("made", task="tempo", **read)  # type: ignore[arg-type]
