"""The facts of a report: digest of a split, artists on both sides, what a row costs."""

from __future__ import annotations

import numpy as np

from mirclr.datasets.splits import Split
from mirclr.evaluation.about import artist_overlap, parameters_of, split_digest
from mirclr.evaluation.crossfit import Problem
from mirclr.features.handcrafted import MfccStatistics
from mirclr.features.together import Together
from tests.support.report_card import Lookup, knowing

IDS = ["a.mp3", "b.mp3", "c.mp3", "d.mp3"]


def split(train: list[int], valid: list[int], test: list[int], name: str = "s") -> Split:
    return Split(name, *(np.array(part, np.int64) for part in (train, valid, test)))


def test_a_split_has_one_digest_in_any_order_of_the_table_and_another_when_a_track_moves() -> None:
    known = split_digest([split([0, 1], [2], [3])], IDS)
    assert split_digest([split([2, 3], [1], [0])], IDS[::-1]) == known
    assert split_digest([split([0], [1, 2], [3])], IDS) != known
    assert split_digest([split([0, 1], [2], [3], "t")], IDS) != known
    assert split_digest([split([0, 1], [2], [3])], ["z.mp3", *IDS[1:]]) != known


def test_artists_on_both_sides_of_a_split_are_counted_once() -> None:
    groups = np.array([0, 1, 1, 2])
    apart, shared, twice = split([0], [1, 2], [3]), split([0], [1], [2, 3]), split([1], [0], [2])
    count = [artist_overlap(Problem("multiclass", groups, groups, s, 3)) for s in ([apart], [shared], [shared, twice])]
    assert count == [0, 1, 1]


def test_handcrafted_vectors_have_no_parameters_and_nobody_invents_those_of_strangers() -> None:
    mfcc, stranger = MfccStatistics(), Lookup("who", knowing(0))
    assert parameters_of(mfcc) == 0
    assert parameters_of(stranger) is None
    assert parameters_of(mfcc, MfccStatistics()) == 0
    assert parameters_of(mfcc, stranger) is None
    assert parameters_of(None) is None


def test_speed_is_the_median_of_sound_over_work_and_unknown_before_any() -> None:
    team = Together({"m": MfccStatistics(8000)})
    assert team.speeds == {}
    team.segments(np.zeros(16_000, np.float32))
    (speed,) = team.speeds.values()
    assert speed > 0
    team._clock["m"][:] = [(2.0, 30.0), (2.0, 0.5), (4.0, 2.0)]  # the first track waits for libraries
    assert team.speeds == {"m": 2.0}
