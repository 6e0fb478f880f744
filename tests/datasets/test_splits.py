"""Splits: whole artists, every track tested once, labels spread, the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.datasets.splits import Material, Split, assign_folds, column_splits, listed_split, mass_of, seeded_folds
from mirclr.errors import DatasetError
from mirclr.seeds import generator


def artists_with_labels(seed: int, artists: int = 40, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(groups, targets): artists of 1 to 9 tracks, most of each artist's in one label."""
    draw = generator(seed, "material")
    groups = np.repeat(np.arange(artists), draw.integers(1, 10, artists))
    home = draw.integers(0, labels, artists)[groups]
    targets = np.where(draw.uniform(size=len(groups)) < 0.9, home, draw.integers(0, labels, len(groups)))
    order = draw.permutation(len(groups))
    return groups[order], targets[order]


def material(seed: int = 0, **changes: object) -> Material:
    groups, targets = artists_with_labels(1)
    given = {"name": "mine", "groups": groups, "mass": mass_of(targets, "multiclass", 4), "seed": seed, **changes}
    return Material(**given)  # type: ignore[arg-type]


def slow_folds(groups: np.ndarray, mass: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """The greedy rule by its definition: try every fold, take the one with the least sum of squared shares."""
    names = sorted(set(groups.tolist()))
    order = [names[i] for i in random.permutation(len(names))]
    order.sort(key=lambda g: -int((groups == g).sum()))
    fold = np.full(len(groups), -1)
    for g in order:
        costs = []
        for f in range(folds):
            tried = np.where(groups == g, f, fold)
            held = np.array([mass[tried == k].sum(axis=0) for k in range(folds)]) / np.maximum(mass.sum(axis=0), 1)
            costs.append(round(float(np.square(held).sum()), 9))
        fold[groups == g] = int(np.argmin(costs))
    return fold


@pytest.mark.parametrize("seed", range(6))
def test_the_greedy_pass_is_its_definition(seed: int) -> None:
    groups, targets = artists_with_labels(seed, artists=15, labels=3)
    mass = mass_of(targets, "multiclass", 3)
    fast = assign_folds(groups, mass, 4, generator(seed, "x"))
    np.testing.assert_array_equal(fast, slow_folds(groups, mass, 4, generator(seed, "x")))


def assert_disjoint_by_artist(splits: list[Split], groups: np.ndarray) -> None:
    for split in splits:
        artists = [np.unique(groups[rows]) for rows in split.parts.values()]
        assert all(map(len, artists))
        together = np.concatenate(artists)
        assert len(together) == len(set(together.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_seeded_folds_keep_artists_whole_and_test_every_track_once(seed: int) -> None:
    made = material(seed)
    splits = seeded_folds(made, "folds", 5)
    assert_disjoint_by_artist(splits, made.groups)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested.tolist()) == list(range(len(made.groups)))
    for split in splits:
        assert sum(map(len, split.parts.values())) == len(made.groups)


def test_folds_are_of_one_size_and_hold_their_share_of_every_label() -> None:
    made = material()
    shares = np.array([made.mass[s.test].sum(axis=0) for s in seeded_folds(made, "folds", 5)]) / made.mass.sum(axis=0)
    assert np.abs(shares[:, 0] - 0.2).max() < 0.05  # tracks
    assert np.abs(shares[:, 1:] - 0.2).max() < 0.12  # labels; an artist is up to an eighth of one
    valid = np.array([len(s.valid) / (len(s.valid) + len(s.train)) for s in seeded_folds(made, "folds", 5)])
    assert np.abs(valid - 0.2).max() < 0.06


def test_the_seed_decides_and_nothing_else() -> None:
    first, again, other = ([split.parts for split in seeded_folds(material(seed), "folds", 5)] for seed in (0, 0, 1))
    np.testing.assert_equal(first, again)
    assert any(not np.array_equal(a["test"], b["test"]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_tags_and_quantities_are_spread_too(task: str) -> None:
    groups, labels = artists_with_labels(2, artists=60)
    targets = (
        np.eye(4)[labels]
        if task == "multilabel"
        else labels[:, None] + generator(0, "n").uniform(0, 1, (len(labels), 1))
    )
    made = material(groups=groups, mass=mass_of(targets, task, targets.shape[1]))  # type: ignore[arg-type]
    means = np.array([targets[split.test].mean(axis=0) for split in seeded_folds(made, "folds", 4)])
    assert np.abs(means - targets.mean(axis=0)).max() < 0.12 * np.ptp(targets)


def test_a_validation_part_leaves_every_label_it_can_to_training() -> None:
    # Artist 0 has label 0 alone: it must not go to validation.
    groups = np.repeat(np.arange(7), 4)
    targets = np.array([0, 1, 1, 1, 2, 2, 2])[groups]
    made = Material("mine", groups, mass_of(targets, "multiclass", 3), 0)
    words = np.where(np.isin(groups, [3, 6]), "test", "train").astype(object)
    (split,) = column_splits(made, "split", words)
    assert set(targets[split.train].tolist()) == {0, 1, 2}


def test_words_in_a_column_make_one_split() -> None:
    made = material()
    words = np.array(["Training", "TEST", "val", ""], object)[made.groups % 4]
    (split,) = column_splits(made, "split", words)
    assert split.name == "split"
    for part, remainder in (("train", 0), ("test", 1), ("valid", 2)):
        np.testing.assert_array_equal(split.parts[part], np.flatnonzero(made.groups % 4 == remainder))


def test_without_a_valid_word_validation_comes_out_of_training_by_artist() -> None:
    made = material()
    words = np.where(made.groups % 3 == 0, "test", "train").astype(object)
    (split,) = column_splits(made, "split", words)
    assert_disjoint_by_artist([split], made.groups)
    assert set(split.train) | set(split.valid) == set(np.flatnonzero(words == "train"))


def test_other_values_are_folds_in_numerical_order_and_blank_is_nowhere() -> None:
    made = material()
    cells = np.array(["10", "9", "b", ""], object)[made.groups % 4]
    splits = column_splits(made, "fold", cells)
    assert [split.name for split in splits] == ["fold/9", "fold/10", "fold/b"]
    np.testing.assert_array_equal(splits[0].test, np.flatnonzero(cells == "9"))
    assert_disjoint_by_artist(splits, made.groups)
    assert not any(np.isin(np.flatnonzero(cells == ""), rows).any() for s in splits for rows in s.parts.values())


def test_published_lists_are_taken_as_they_are() -> None:
    made = material()
    ids = [f"{i}.wav" for i in range(len(made.groups))]
    (split,) = listed_split(
        made, "published", ids, {"train": ids[10:20], "test": [ids[3], ids[1], "gone.wav"], "valid": ids[5:7]}
    )
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == (list(range(10, 20)), [5, 6], [1, 3])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["train", "1"], "mixes train/test words with other values: 1"),
        (["1", "1"], "holds 1 fold; at least two"),
        (["", ""], "holds 0 fold; at least two"),
        (["train", "valid"], "split fold: the test part is empty"),
        (["test", "valid"], "split fold: the train part is empty"),
    ],
)
def test_columns_that_make_no_split_are_refused(cells: list[str], message: str) -> None:
    made = material()
    with pytest.raises(DatasetError, match=message):
        column_splits(made, "fold", np.array(cells, object)[made.groups % 2])


def test_too_few_artists_are_an_error_that_counts_them() -> None:
    groups = np.repeat([0, 1, 2, 3], 5)
    few = Material("mine", groups, np.ones((20, 1)), 0)
    with pytest.raises(DatasetError, match="5 artist-disjoint folds need at least 5 artists, this collection has 4"):
        seeded_folds(few, "folds", 5)
    with pytest.raises(DatasetError, match="all training tracks are by one artist"):
        column_splits(few, "fold", np.where(groups == 0, "train", "test").astype(object))
