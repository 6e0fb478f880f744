"""Labels become numbers, and every row that has none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.datasets.listing import Listing
from mirclr.datasets.stats import label_stats
from mirclr.datasets.table import load_collection
from mirclr.datasets.targets import per_label, read_targets
from mirclr.errors import DatasetError


def listing(*columns: list[str]) -> Listing:
    """Rows with the given label columns, as read from lines 2, 3, ... of labels.csv."""
    count = len(columns[0])
    tracks = pd.DataFrame({"id": [f"{i}.wav" for i in range(count)]}, dtype=object)
    return Listing(Path("labels.csv"), tracks, np.array(columns, object).T, np.arange(2, 2 + count), {})


def test_multiclass_labels_are_sorted_or_in_the_declared_order() -> None:
    rows = listing(["rock", "jazz", "rock"])
    labels, targets = read_targets(rows, "multiclass", ["g"], None, None)
    assert (labels, targets.tolist(), targets.dtype) == (("jazz", "rock"), [1, 0, 1], np.int64)
    labels, targets = read_targets(rows, "multiclass", ["g"], None, ("rock", "pop", "jazz"))
    assert (labels, targets.tolist()) == (("rock", "pop", "jazz"), [0, 2, 0])


def test_multilabel_from_joined_names() -> None:
    labels, targets = read_targets(listing(["a; b", "b;", "c"]), "multilabel", ["t"], ";", None)
    assert labels == ("a", "b", "c")
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, [[1, 1, 0], [0, 1, 0], [0, 0, 1]])


def test_multilabel_from_columns_may_leave_a_track_without_any() -> None:
    labels, targets = read_targets(listing(["1", "0"], ["TRUE", "0.0"]), "multilabel", ["x", "y"], None, None)
    assert labels == ("x", "y")
    np.testing.assert_array_equal(targets, [[1, 1], [0, 0]])


def test_regression_keeps_the_numbers() -> None:
    labels, targets = read_targets(listing(["0.5", "-1e3"], ["7", "0"]), "regression", ["v", "a"], None, None)
    assert labels == ("v", "a")
    np.testing.assert_array_equal(targets, np.array([[0.5, 7], [-1000, 0]], np.float32))


@pytest.mark.parametrize("blank", ["", "NaN", "NA", "n/a", "null"])
def test_rows_without_a_label_are_named(blank: str) -> None:
    with pytest.raises(DatasetError, match=r"labels\.csv: no label \(2 rows, at line 3, 5\)"):
        read_targets(listing(["a", blank, "b", blank]), "multiclass", ["g"], None, None)


def test_a_declared_label_may_look_like_nothing() -> None:
    _, targets = read_targets(listing(["na", "yes"]), "multiclass", ["g"], None, ("na", "yes"))
    assert targets.tolist() == [0, 1]


def test_a_label_outside_the_vocabulary_is_named_with_the_nearest() -> None:
    with pytest.raises(DatasetError, match=r"label 'Rock' is not in the vocabulary. Did you mean 'rock'.* line 3\)"):
        read_targets(listing(["rock", "Rock"]), "multiclass", ["g"], None, ("rock", "pop"))


@pytest.mark.parametrize(
    ("task", "cell", "message"),
    [
        ("regression", "nan", "column 'x': not a finite number"),
        ("regression", "inf", "column 'x': not a finite number"),
        ("regression", "1e39", "column 'x': not a finite number"),  # infinite as float32
        ("regression", "0,5", "column 'x': not a finite number"),
        ("regression", "", "column 'x': not a finite number"),
        ("multilabel", "0.3", "column 'x': not 0 or 1"),
        ("multilabel", "", "column 'x': not 0 or 1"),
    ],
)
def test_cells_that_are_no_number_are_named(task: str, cell: str, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"{message} \(1 row, at line 4\)"):
        read_targets(listing(["1", "0", cell]), task, ["x"], None, None)  # type: ignore[arg-type]


def test_quantities_are_not_taken_for_names() -> None:
    with pytest.raises(DatasetError, match=r"labels are quantities .* task: regression"):
        read_targets(listing(["0.25", "0.5", "1"]), "multiclass", ["x"], None, None)
    labels, _ = read_targets(listing(["120", "90"]), "multiclass", ["x"], None, None)
    assert labels == ("120", "90")


def test_a_single_label_cannot_be_told_apart() -> None:
    with pytest.raises(DatasetError, match="only one label, 'a'"):
        read_targets(listing(["a", "a"]), "multiclass", ["g"], None, None)


def test_counts_per_label() -> None:
    assert per_label(np.array([0, 2, 2]), "multiclass", 4).tolist() == [1, 0, 2, 0]
    assert per_label(np.array([[1, 0], [1, 1]], np.float32), "multilabel", 2).tolist() == [2, 1]
    assert per_label(np.zeros((3, 2), np.float32), "regression", 2).tolist() == [3, 3]


def test_tempi_are_counted_in_beats_per_minute(tmp_path: Path) -> None:
    rows = "".join(f"{n}.wav,{tempo}\n" for n, tempo in enumerate((90, 120, 150, 180) * 2))
    for n in range(8):
        (tmp_path / f"{n}.wav").touch()
    (tmp_path / "labels.csv").write_text("path,tempo\n" + rows)
    made = load_collection(tmp_path / "labels.csv", label="tempo", task="tempo", folds=2)
    (found,) = label_stats(made)
    assert (found["label"], found["min"], found["max"]) == ("tempo", pytest.approx(90), pytest.approx(180))
    assert found["mean"] == pytest.approx(135)
