"""Planned crops: pure functions of a place, uniform, apart, inside their pieces, and honest about artists."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mirclr.seeds import generator
from mirclr.training.artists import artist_keys
from mirclr.training.timeline import Timeline, read_crop
from mirclr.training.views import Batch, Sampler

CLIP = 40
WHOLE = [[(0, 1000, 0.0)]]


def sampler(
    count: int = 20, artists: list[int] | None = None, spans: list | None = None, views: int = 2, **options: object
) -> Sampler:
    given: dict = {"clip": CLIP, "step_s": 0.1, "batch": 8, "count": views, **options}
    keys = np.full(count, -1) if artists is None else np.array(artists)
    return Sampler(given.pop("seed", 0), [f"t{i}" for i in range(count)], spans or WHOLE * count, keys, **given)


def same(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("track", "start", "groups", "visit"))


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def test_any_order_of_asking_gives_the_same_batches() -> None:
    artists, options = [0, 0, 0, 1, 1, *[-1] * 15], {"artist_positive": 0.5, "min_distance": 100}
    in_order = list(sampler(artists=artists, **options).epoch(3))
    asked = sampler(artists=artists, **options)
    for epoch, index in [(3, 2), (0, 1), (3, 0), (3, 1)]:
        batch = asked.plan(epoch, index)
        if epoch == 3:
            assert same(batch, in_order[index])


def test_resuming_in_the_middle_of_an_epoch_gives_the_rest_of_it() -> None:
    whole = list(sampler().epoch(5))
    rest = list(sampler().epoch(5, first_batch=2))
    assert len(whole) == sampler().batches_per_epoch == 3
    assert len(rest) == 1
    assert same(rest[0], whole[2])
    assert list(sampler().epoch(5, first_batch=3)) == []
    with pytest.raises(IndexError, match="batch 3 of an epoch of 3 batches"):
        sampler().plan(5, 3)


def test_epochs_and_seeds_differ() -> None:
    first = sampler().plan(0, 0)
    assert not same(first, sampler().plan(1, 0))
    assert not same(first, sampler(seed=1).plan(0, 0))


def test_a_tracks_crops_do_not_depend_on_which_other_tracks_there_are() -> None:
    def starts(count: int) -> dict[int, list[int]]:
        batches = sampler(count, batch=count).epoch(0)
        return {int(t): s.tolist() for b in batches for t, s in zip(b.track[:, 0], b.start, strict=True)}

    few, many = starts(5), starts(12)
    assert all(many[track] == few[track] for track in few)


@pytest.mark.parametrize(("count", "batch"), [(20, 8), (16, 8), (17, 16), (5, 8), (2, 2), (9, 2)])
def test_every_track_has_its_turn_and_every_batch_one_size_without_a_track_twice(count: int, batch: int) -> None:
    batches = list(sampler(count, batch=batch).epoch(0))
    own = np.concatenate([b.track[:, 0] for b in batches])
    visit = np.concatenate([b.visit for b in batches])
    assert {len(b) for b in batches} == {min(batch, count)}
    assert sorted(own[visit == 0]) == list(range(count))
    assert all(len(set(b.track[:, 0])) == len(b) for b in batches)
    assert len(set(zip(own, visit, strict=True))) == len(own)


def test_second_visits_have_other_crops() -> None:
    batches = list(sampler(9, batch=8).epoch(0))
    seen: dict[int, list[int]] = {}
    again = 0
    for batch in batches:
        for track, start in zip(batch.track[:, 0].tolist(), batch.start.tolist(), strict=True):
            again += track in seen
            assert seen.setdefault(track, start) is start or seen[track] != start
    assert again == 7


def test_the_tracks_of_an_artist_are_spread_over_the_batches() -> None:
    artists = [0] * 6 + [1] * 3 + [-1] * 15
    for epoch in range(20):
        for batch in sampler(24, artists=artists, batch=8).epoch(epoch):
            mine = np.array(artists)[batch.track[:, 0]]
            assert (mine == 0).sum() == 2
            assert (mine == 1).sum() == 1


def test_batches_mix_tracks_differently_in_every_epoch() -> None:
    together = Counter(
        pair
        for epoch in range(300)
        for batch in sampler(8, batch=4).epoch(epoch)
        for pair in itertools.combinations(sorted(batch.track[:, 0].tolist()), 2)
    )
    counts = np.array([together[pair] for pair in itertools.combinations(range(8), 2)])
    assert counts.min() > 90  # 300 * 3 / 7 = 129 expected, deviation 8.6
    assert counts.max() < 170


def test_crops_are_uniform_over_all_starts() -> None:
    timeline = Timeline.of([(0, 49, 0.0)], clip=40, step_s=1.0)
    starts = np.array([timeline.draw(generator(0, i), 2) for i in range(5000)])
    assert starts.min() == 0
    assert starts.max() == 9
    pairs = np.bincount(starts[:, 0] * 10 + starts[:, 1], minlength=100)
    assert chi_square(pairs) < 160  # 99 degrees of freedom, p = 1e-4


@pytest.mark.parametrize(("views", "distance"), [(2, 3), (2, 1), (3, 2), (3, 4)])
def test_distant_crops_are_uniform_over_exactly_the_allowed_placements(views: int, distance: int) -> None:
    timeline = Timeline.of([(0, 49, 0.0)], clip=40, step_s=1.0)
    allowed = [
        p
        for p in itertools.product(range(10), repeat=views)
        if all(abs(a - b) >= distance for a, b in itertools.combinations(p, 2))
    ]
    drawn = Counter(tuple(timeline.draw(generator(1, i), views, distance)) for i in range(6000))
    assert set(drawn) <= set(allowed)
    freedom = len(allowed) - 1
    assert chi_square(np.array([drawn[p] for p in allowed])) < freedom + 4 * (2 * freedom) ** 0.5 + 10


def test_the_pieces_of_a_long_file_are_drawn_by_their_room_and_keep_their_distance_in_the_file() -> None:
    spans = [(0, 12, 0.0), (12, 14, 100.0), (26, 5, 300.0)]  # 3 and 5 starts of 10; the last piece is too short
    timeline = Timeline.of(spans, clip=10, step_s=1.0)
    file_place = {0: 0, 1: 1, 2: 2, **{start: start + 88 for start in range(12, 17)}}
    allowed = [(a, b) for a, b in itertools.product(file_place, repeat=2) if abs(file_place[a] - file_place[b]) >= 4]
    drawn = Counter(tuple(timeline.draw(generator(0, i), 2, 4)) for i in range(4000))
    assert set(drawn) == set(allowed)
    assert chi_square(np.array([drawn[p] for p in allowed])) < 75  # 31 degrees of freedom, p = 1e-5


@pytest.mark.parametrize("views", [2, 3, 5])
def test_no_crop_straddles_a_piece_and_the_distance_holds(views: int) -> None:
    rng = np.random.default_rng(0)
    for trial in range(60):
        lengths, gaps = rng.integers(5, 90, 4), rng.integers(0, 60, 4)
        rows = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        files = np.cumsum(gaps) + rows
        spans = [(int(r), int(n), float(f)) for r, n, f in zip(rows, lengths, files, strict=True)]
        timeline, distance = Timeline.of(spans, 20, 1.0), int(rng.integers(1, 60))
        starts = timeline.draw(generator(trial), views, distance)
        places = []
        for start in starts:
            row, length, file = next(s for s in spans if s[0] <= start < s[0] + s[1])
            assert start + 20 <= row + length or max(lengths) < 20
            places.append(file + start - row)
        possible = [s[2] + o for s in spans for o in range(s[1] - 19)] or [0.0]
        reached = min(np.diff(sorted(places)))
        assert reached >= min(distance, _widest(possible, views))


def _widest(places: list[float], views: int) -> float:
    """The largest smallest gap of `views` places, by trying every gap on the greedy packing."""
    for gap in range(int(max(places) - min(places)), 0, -1):
        taken, last = 0, -np.inf
        for place in sorted(places):
            if place >= last + gap:
                taken, last = taken + 1, place
        if taken >= views:
            return gap
    return 0


def test_a_track_too_short_for_the_distance_gives_its_two_ends_in_both_orders() -> None:
    timeline = Timeline.of([(0, 60, 0.0)], clip=40, step_s=1.0)
    assert {tuple(timeline.draw(generator(0, i), 2, 500)) for i in range(30)} == {(0, 20), (20, 0)}


def test_distance_is_counted_in_the_file_not_in_the_store() -> None:
    timeline = Timeline.of([(0, 40, 0.0), (40, 40, 60.0)], clip=40, step_s=0.1)
    assert sorted(timeline.draw(generator(0), 2, 600)) == [0, 40]


def test_short_tracks_start_at_their_longest_piece() -> None:
    assert Timeline.of([(0, 10, 0.0), (10, 30, 9.0)], 40, 1.0).draw(generator(0), 3, 5) == [10, 10, 10]


class Rows:
    """A row of 25 numbered units in two pieces."""

    def spans(self, row_id: str) -> list[tuple[int, int, float]]:
        return [(0, 5, 0.0), (5, 20, 60.0)]

    def read(self, row_id: str, start: int, count: int) -> np.ndarray:
        return np.arange(25)[start : start + count, None] + np.zeros((1, 2), int)


def test_a_crop_repeats_a_short_piece_and_never_reads_into_the_next() -> None:
    assert read_crop(Rows(), "a", 5, 4)[:, 0].tolist() == [5, 6, 7, 8]
    assert read_crop(Rows(), "a", 0, 12)[:, 1].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    with pytest.raises(ValueError, match="unit 25 lies in no piece"):
        read_crop(Rows(), "a", 25, 4)


def test_later_views_come_from_another_track_of_the_artist_as_often_as_asked() -> None:
    artists = [0, 0, 0, 1, 1, 2, -1, -1]
    made = sampler(8, artists=artists, artist_positive=0.4, views=3)
    tracks = np.concatenate([b.track for e in range(400) for b in made.epoch(e)])
    key, other = np.array(artists)[tracks], tracks[:, 1] != tracks[:, 0]
    assert (key[:, 0] == key[:, 1]).all()
    assert (tracks[:, 1] == tracks[:, 2]).all()
    assert not other[(key[:, 0] == 2) | (key[:, 0] == -1)].any()
    borrowed = other[np.isin(key[:, 0], [0, 1])]
    assert abs(borrowed.mean() - 0.4) < 4 * (0.24 / len(borrowed)) ** 0.5
    partners = Counter(tracks[(tracks[:, 0] == 0) & other, 1].tolist())
    assert set(partners) == {1, 2}
    assert abs(partners[1] - partners[2]) < 4 * (partners[1] + partners[2]) ** 0.5


def test_groups_are_artists() -> None:
    artists = [4, 4, 7, -1, -1]
    batch = sampler(5, artists=artists, batch=5).plan(0, 0)
    assert batch.groups.tolist() == [artists[t] for t in batch.track[:, 0]]


def test_without_masking_only_artists_that_lent_a_track_are_grouped() -> None:
    artists = [0, 0, 1, 1, -1]
    plain = sampler(5, artists=artists, batch=5, mask_same_artist=False)
    assert all((b.groups == -1).all() for e in range(5) for b in plain.epoch(e))
    made = sampler(5, artists=artists, batch=5, mask_same_artist=False, artist_positive=0.3)
    grouped = 0
    for batch in (b for e in range(40) for b in made.epoch(e)):
        for i, j in itertools.permutations(range(5), 2):
            if set(batch.track[i]) & set(batch.track[j]):
                assert batch.groups[i] == batch.groups[j] >= 0
        grouped += int((batch.groups >= 0).sum())
    assert 0 < grouped < 40 * 4


def test_spellings_of_a_name_are_one_artist_and_nobody_is_none() -> None:
    tags = ["Björk", "BJÖRK ", "Bjo\u0308rk", "Sigur  Rós", "Sigur Rós", "Various", "va", "V.A.", "Various Artists",
            "<unknown>", "[Unknown Artist]", "", "  ", None, float("nan"), "Best of 1999 Compilation",
            "Ｖａ", "Various Artists - Jazz", "Varius Manx", "The Unknown", "Vampire Weekend"]  # fmt: skip
    keys = artist_keys(pd.DataFrame({"artist": tags})).tolist()
    assert keys[:5] == [0, 0, 0, 1, 1]
    assert keys[5:18] == [-1] * 13
    assert keys[18:] == [2, 3, 4]
    assert artist_keys(pd.DataFrame({"artist": tags})).dtype == np.int64


def test_a_table_without_tags_has_no_artists() -> None:
    assert artist_keys(pd.DataFrame({"artist": [None, None]})).tolist() == [-1, -1]
    assert artist_keys(pd.DataFrame({"artist": []})).tolist() == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"views": 0}, r"count must be in 1\.\.inf, got 0"),
        ({"count": 1}, r"the number of tracks must be in 2\.\.inf, got 1"),
        ({"batch": 1}, r"batch must be in 2\.\.inf, got 1"),
        ({"min_distance": -1}, r"min_distance must be in 0\.\.inf, got -1"),
        ({"artist_positive": 1.5}, r"artist_positive must be in 0\.\.1, got 1\.5"),
        ({"clip": 0}, "a crop must have at least 1 unit, got 0"),
        ({"spans": [*WHOLE, [(0, 0, 0.0)]], "count": 2}, "t1 has no sound to crop"),
        ({"artists": [1, 2, 3], "count": 2}, "2 tracks, spans of 2 and artists of 3"),
    ],
)
def test_impossible_options_are_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        sampler(**options)
