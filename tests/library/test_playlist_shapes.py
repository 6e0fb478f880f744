"""Shapes of playlists: journeys advance evenly, walks obey drift and temperature, arcs follow their curve; and none of
them breaks a rule that it does not say it broke."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirclr.errors import UsageError
from mirclr.library.names import version_key
from mirclr.library.playlist import Choice, Playlist, Seed, Shape, make_playlist
from mirclr.library.playlist_order import ordered
from mirclr.library.playlist_rules import Rules
from mirclr.library.playlist_targets import Arc
from mirclr.library.search import Catalogue
from mirclr.library.transitions import Weights
from mirclr.seeds import generator
from tests.support.library import catalogue_of, track_row

SHAPES = [Shape(), Shape("journey"), Shape("walk", seed=3), Shape("arc", curve=Arc.parse("energy=rise"))]
SOUND = Weights(1, 0, 0, 0)


def at(catalogue: Catalogue, row: int) -> Seed:
    return Seed(catalogue.track(row), catalogue.unit[row], row)


def measured(catalogue: Catalogue, **columns: Any) -> Catalogue:
    """The catalogue with measured columns, as a store that was measured has them."""
    catalogue.tracks = catalogue.tracks.assign(**columns)
    return catalogue


def random_catalogue(folder: Path, seed: int, count: int = 90) -> Catalogue:
    draw = generator(seed, "shapes")
    rows = [
        track_row(
            f"/m/{place:03}.mp3",
            artist=["A", "B", "C", "D", "E", "F", None][draw.integers(0, 7)],
            title=f"T{draw.integers(0, 70)}" + ["", " (Live)"][draw.integers(0, 2)],
            album=[None, "X", "Y", "Z"][draw.integers(0, 4)],
            duration=float(draw.uniform(100, 400)),
        )
        for place in range(count)
    ]
    catalogue = catalogue_of(folder, rows, draw.normal(size=(count, 6)))
    return measured(catalogue, energy=draw.normal(-15, 5, count), tempo=draw.uniform(60, 180, count))


def check_rules(made: Playlist, rules: Rules, choice: Choice, free: set[int]) -> None:
    """Every rule that holds without a word about it; `free`: rows of the user's own choice."""
    rows = [entry.row for entry in made.entries]
    own = [entry for entry in made.entries if entry.row not in free]
    assert len(rows) == len(set(rows))
    songs = [version_key(e.track["artist"], e.track["title"]) for e in made.entries]
    given = {version_key(e.track["artist"], e.track["title"]) for e in made.entries if e.row in free}
    assert all(count == 1 or song in given for song, count in Counter(songs).items() if song)
    for name, most in (("artist", rules.per_artist), ("album", rules.per_album)):
        counts = Counter(entry.track[name] for entry in own if entry.track[name])
        assert most is None or max(counts.values(), default=0) <= most
    assert choice.among is None or all(choice.among[entry.row] for entry in own)
    assert {must.row for must in choice.musts} <= set(rows) or any("given twice" in note for note in made.notes)
    if rules.length is not None and len(rows) != rules.length and rules.minutes is None:
        assert any("instead of" in note for note in made.notes)
    if rules.minutes is not None:
        total = sum(entry.track["duration"] for entry in made.entries) / 60
        assert rules.minutes[0] <= total <= rules.minutes[1] or any("minutes instead of" in n for n in made.notes)
    runs = max_run([entry.track["artist"] for entry in made.entries])
    assert (
        rules.artist_run is None or runs <= rules.artist_run or any("of one artist in a row" in n for n in made.notes)
    )
    if choice.played is not None and any(choice.played[entry.row] for entry in own):
        assert any("were played before" in note for note in made.notes)


def max_run(names: list[Any]) -> int:
    longest, run = 1, 1
    for one, other in pairwise(names):
        run = run + 1 if one and one == other else 1
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("seed", range(12))
def test_every_shape_keeps_every_rule_or_says_so_and_repeats_itself(tmp_path: Path, seed: int, shape: Shape) -> None:
    catalogue, draw = random_catalogue(tmp_path, seed), generator(seed, "rules", shape.kind)
    picks = draw.choice(90, 3, replace=False).tolist()
    rules = Rules(
        length=int(draw.integers(5, 30)),
        per_artist=[None, 1, 3][draw.integers(0, 3)],
        include_seeds=bool(draw.integers(0, 2)),
        per_album=[None, 4][draw.integers(0, 2)],
        artist_run=[None, 1, 2][draw.integers(0, 3)],
        minutes=[None, (20.0, 30.0)][draw.integers(0, 2)],
    )
    among = draw.random(90) < 0.8
    choice = Choice(among, draw.random(90) < 0.3 if draw.integers(0, 2) else None, (at(catalogue, picks[2]),))
    seeds = [at(catalogue, row) for row in picks[:2]]
    made = make_playlist(catalogue, seeds, rules, shape, choice)
    check_rules(made, rules, choice, set(picks))
    assert {entry.row for entry in made.entries if entry.is_seed} == (set(picks[:2]) if rules.include_seeds else set())
    again = make_playlist(catalogue, seeds, rules, shape, choice)
    assert (again.entries, again.notes) == (made.entries, made.notes)


def arc_library(folder: Path, count: int = 200) -> Catalogue:
    """Tracks around a half circle, in no order."""
    draw = generator(1, "half circle")
    angle = np.linspace(0, np.pi, count)[draw.permutation(count)]
    vectors = np.column_stack([np.cos(angle), np.sin(angle)])
    rows = [track_row(f"/{place:03}", artist=f"a {place}", title=f"t {place}") for place in range(count)]
    return catalogue_of(folder, rows, vectors)


def test_a_journey_leads_from_one_seed_to_the_other_in_even_steps(tmp_path: Path) -> None:
    catalogue = arc_library(tmp_path)
    order = np.argsort(catalogue.unit @ catalogue.unit[0])
    start, end = at(catalogue, 0), at(catalogue, int(order[60]))
    made = make_playlist(catalogue, [start, end], Rules(9), Shape("journey", weights=SOUND))
    units = np.array([entry.unit for entry in made.entries])
    assert (made.entries[0].row, made.entries[-1].row) == (start.row, end.row)
    whole = float(np.arccos(units[0] @ units[-1]))
    steps = np.arccos(np.clip(np.einsum("nd,nd->n", units[1:], units[:-1]), -1, 1))
    assert np.all(np.diff(np.arccos(np.clip(units @ units[0], -1, 1))) > 0)  # never back
    np.testing.assert_allclose(steps, whole / 8, rtol=0.5)
    nearest = make_playlist(catalogue, [start, end], Rules(9), Shape(weights=SOUND))
    assert steps.max() < np.arccos(min(np.array([e.unit for e in nearest.entries])[0] @ units[-1], 1))


def test_a_journey_calls_at_every_station_in_order(tmp_path: Path) -> None:
    catalogue = random_catalogue(tmp_path, 0)
    seeds = [at(catalogue, row) for row in (3, 30, 60)]
    rows = [e.row for e in make_playlist(catalogue, seeds, Rules(12, per_artist=9), Shape("journey")).entries]
    assert (rows[0], rows[-1]) == (3, 60)
    assert 0 < rows.index(30) < 11
    apart = make_playlist(catalogue, seeds, Rules(12, per_artist=9, include_seeds=False), Shape("journey"))
    assert not {3, 30, 60} & {entry.row for entry in apart.entries}
    with pytest.raises(UsageError, match="give two seeds or more"):
        make_playlist(catalogue, seeds[:1], Rules(12), Shape("journey"))


def test_a_cold_walk_without_drift_is_the_ranking_and_with_it_a_chain(tmp_path: Path) -> None:
    rows = [track_row(f"/{place:02}", artist=f"a {place}") for place in range(80)]
    catalogue = catalogue_of(tmp_path, rows, generator(4).normal(size=(80, 5)))
    walk = Shape("walk", drift=0, temperature=0, weights=replace(SOUND))
    home = [e.row for e in make_playlist(catalogue, [at(catalogue, 0)], Rules(6), walk).entries]
    assert set(home[1:]) <= set(np.argsort(-(catalogue.unit @ catalogue.unit[0]))[1:30].tolist())
    chain = [e.row for e in make_playlist(catalogue, [at(catalogue, 0)], Rules(6), replace(walk, drift=1)).entries]
    for place, row in enumerate(chain[:-1]):
        scores = catalogue.unit @ catalogue.unit[row]
        scores[chain[: place + 1]] = -np.inf
        assert chain[place + 1] == int(np.argmax(scores))


def test_temperature_is_drawn_from_the_seed(tmp_path: Path) -> None:
    catalogue = random_catalogue(tmp_path, 2)

    def rows(temperature: float, seed: int) -> list[int]:
        shape = Shape("walk", temperature=temperature, seed=seed)
        return [e.row for e in make_playlist(catalogue, [at(catalogue, 0)], Rules(12), shape).entries]

    assert rows(1, 5) == rows(1, 5)
    assert len({tuple(rows(1, seed)) for seed in range(5)}) == 5
    assert len({tuple(rows(0, seed)) for seed in range(5)}) == 1


@pytest.mark.parametrize(("curve", "turns"), [("energy=rise", 1), ("energy=fall", -1), ("tempo=rise", 1)])
def test_an_arc_follows_its_curve(tmp_path: Path, curve: str, turns: int) -> None:
    catalogue = random_catalogue(tmp_path, 1)
    arc = Arc.parse(curve)
    shape = Shape("arc", curve=arc)
    made = make_playlist(catalogue, [at(catalogue, 0)], Rules(15, per_artist=9), shape)
    values = [entry.track[arc.measure] for entry in made.entries]
    place = np.arange(15)
    assert turns * np.corrcoef(place, values)[0, 1] > 0.9


def test_an_arc_of_numbers_goes_through_them(tmp_path: Path) -> None:
    catalogue = random_catalogue(tmp_path, 1)
    made = make_playlist(
        catalogue, [at(catalogue, 0)], Rules(9, per_artist=9), Shape("arc", curve=Arc.parse("tempo=80,160,80"))
    )
    tempi = np.array([entry.track["tempo"] for entry in made.entries if not entry.is_seed])
    wanted = np.interp(np.linspace(0, 1, 9), [0, 0.5, 1], [80, 160, 80])
    kept = [place for place, entry in enumerate(made.entries) if not entry.is_seed]
    assert np.abs(np.log2(tempi / wanted[kept])).mean() < 0.1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enrgy=rise", "Did you mean 'energy'"),
        ("energy=up", "none of rise, fall, peak, valley"),
        ("tempo=90,-3", "positive number"),
        ("tempo=90,nan", "positive number"),
    ],
)
def test_a_curve_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Arc.parse(text)


def test_shapes_without_what_they_need_are_refused(tmp_path: Path) -> None:
    rows = [track_row(f"/{place}") for place in range(4)]
    catalogue = catalogue_of(tmp_path, rows, np.eye(4))
    with pytest.raises(UsageError, match=r"no track of this library has a measured tempo; `mirclr index` measures"):
        make_playlist(catalogue, [at(catalogue, 0)], Rules(3), Shape("arc", curve=Arc.parse("tempo=rise")))
    with pytest.raises(UsageError, match="an arc needs a curve"):
        Shape("arc")
    with pytest.raises(UsageError, match=r"drift is in 0..1"):
        Shape("walk", drift=1.5)
    with pytest.raises(UsageError, match="no span of time"):
        Rules(None, minutes=(50, 40))


def test_unplayed_tracks_come_first_until_there_are_none(tmp_path: Path) -> None:
    rows = [track_row(f"/{place:02}", artist=f"a {place}") for place in range(20)]
    catalogue = catalogue_of(tmp_path, rows, generator(9).normal(size=(20, 4)))
    played = np.arange(20) < 12
    for kind in ("nearest", "walk"):
        few = make_playlist(catalogue, [at(catalogue, 0)], Rules(9), Shape(kind), Choice(played=played))
        assert not any(played[entry.row] for entry in few.entries[1:])
        many = make_playlist(catalogue, [at(catalogue, 0)], Rules(12), Shape(kind), Choice(played=played))
        assert "3 track(s) were played before: too few others fit" in many.notes


def test_an_order_keeps_every_track_and_makes_the_list_smoother(tmp_path: Path) -> None:
    catalogue = random_catalogue(tmp_path, 7)
    tracks = [at(catalogue, row) for row in generator(2).choice(90, 40, replace=False).tolist()]
    made = ordered(catalogue, [*tracks, tracks[3]], SOUND)
    assert Counter(entry.row for entry in made.entries) == Counter([*(t.row for t in tracks), tracks[3].row])
    assert made.entries[0].row == tracks[0].row
    before = float(np.mean([a.unit @ b.unit for a, b in pairwise(tracks)]))
    assert made.smoothness > before + 0.2
    with pytest.raises(UsageError, match="no track"):
        ordered(catalogue, [], SOUND)


@pytest.mark.parametrize(
    ("title", "same"),
    [
        ("Song (Live at Leeds)", True),
        ("Song - 2011 Remaster", True),
        ("Song [feat. Somebody]", True),
        ("SONG", True),
        ("Song (Part 2)", False),
        ("Song for Alive", False),
        ("Songs", False),
        ("(Remix)", False),
    ],
)
def test_versions_of_a_song_are_one_song(title: str, same: bool) -> None:
    assert (version_key("A", title) == version_key("A", "Song")) == same
