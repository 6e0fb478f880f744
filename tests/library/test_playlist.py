"""Every playlist keeps its rules, whatever the library; and it is the nearest such list, in a smooth order."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import UsageError
from mirclr.library.hubness import HUBBY, hubness, nearness
from mirclr.library.ordering import short_path
from mirclr.library.playlist import Playlist, Rules, Seed, make_playlist
from mirclr.library.search import Catalogue
from mirclr.seeds import generator
from tests.support.library import catalogue_of, track_row

ARTISTS = [None, "", "Various Artists", "A", "a ", "Ａ", "B", "C", "D", "E"]


def random_catalogue(folder: Path, seed: int) -> Catalogue:
    """Few artists, few titles, some copies: every rule has something to forbid."""
    draw = generator(seed, "playlist")
    count = int(draw.integers(2, 120))
    rows = [
        track_row(
            f"/m/{place:03}.mp3",
            audio=f"sound {draw.integers(0, count)}",
            artist=ARTISTS[draw.integers(0, len(ARTISTS))],
            title=[None, "One", "one", *(f"T{n}" for n in range(40))][draw.integers(0, 43)],
        )
        for place in range(count)
    ]
    sounds = {row["audio_id"]: draw.normal(size=6) for row in rows}
    return catalogue_of(folder, rows, np.array([sounds[row["audio_id"]] for row in rows]))


def seed_at(catalogue: Catalogue, row: int) -> Seed:
    return Seed(catalogue.track(row), catalogue.unit[row], row)


def person(entry_artist: object) -> str | None:
    """The test's own idea of an artist: the letters A to E in any width, case or spacing."""
    plain = str(entry_artist or "").strip().replace("Ａ", "A").upper()
    return plain if plain in set("ABCDE") else None


def said(playlist: Playlist) -> list[str]:
    """The notes, but for the one about a library in which nothing is measured: no library here is."""
    return [note for note in playlist.notes if "is measured in this library" not in note]


def songs_of(playlist: Playlist) -> list[tuple[str, str]]:
    named = [(person(e.track["artist"]), str(e.track["title"] or "").upper()) for e in playlist.entries]
    return [(artist, title) for artist, title in named if artist and title]


@pytest.mark.parametrize("seed", range(40))
def test_the_rules_hold_in_random_libraries(tmp_path: Path, seed: int) -> None:
    catalogue = random_catalogue(tmp_path, seed)
    draw = generator(seed, "rules")
    rules = Rules(
        length=int(draw.integers(3, 40)),
        per_artist=[None, 1, 2, 5][draw.integers(0, 4)],
        include_seeds=bool(draw.integers(0, 2)),
        order="smooth" if draw.integers(0, 2) else "ranked",
    )
    seeds = [seed_at(catalogue, int(row)) for row in draw.integers(0, len(catalogue.tracks), 3)]
    made = make_playlist(catalogue, seeds, rules)

    audio = [entry.track["audio_id"] for entry in made.entries]
    assert len(audio) == len(set(audio)) <= rules.length
    songs = songs_of(made)
    assert len(songs) == len(set(songs))
    given = [entry.track["audio_id"] for entry in made.entries if entry.is_seed]
    assert [audio_id for audio_id in audio if audio_id in {s.track["audio_id"] for s in seeds}] == given
    assert given == audio[: len(given)]
    assert bool(given) == rules.include_seeds
    artists = Counter(person(entry.track["artist"]) for entry in made.entries if not entry.is_seed)
    if rules.per_artist:
        assert all(count <= rules.per_artist for artist, count in artists.items() if artist)
    assert (len(made.entries) < rules.length) == any("instead of" in n and "there are no more" in n for n in made.notes)
    again = make_playlist(catalogue, seeds, rules)
    assert (again.entries, again.notes) == (made.entries, made.notes)


@pytest.mark.parametrize("seed", range(20))
def test_without_limits_the_list_is_the_nearest_of_brute_force(tmp_path: Path, seed: int) -> None:
    draw = generator(seed)
    rows = [track_row(f"/{i:02}", artist=f"artist {i}", title=f"title {i}") for i in range(60)]
    catalogue = catalogue_of(tmp_path, rows, draw.normal(size=(60, 5)))
    seeds = [seed_at(catalogue, row) for row in (3, 40)]
    made = make_playlist(catalogue, seeds, Rules(12, order="ranked"))
    mean = ((catalogue.unit @ catalogue.unit[3]) + (catalogue.unit @ catalogue.unit[40])) / 2
    near = 0 if hubness(catalogue.unit).skewness < HUBBY else nearness(catalogue.unit)
    order = mean - near / 2
    order[[3, 40]] = -np.inf
    expected = sorted(range(60), key=lambda row: -order[row])[:10]
    assert [entry.track["path"] for entry in made.entries] == ["/03", "/40", *(f"/{row:02}" for row in expected)]
    np.testing.assert_allclose([e.similarity for e in made.entries[2:]], mean[expected], atol=2e-6)
    journey = make_playlist(catalogue, seeds, Rules(12))
    assert {e.track["path"] for e in journey.entries} == {e.track["path"] for e in made.entries}


def alike(count: int, artist: str, start: int = 0) -> list[dict[str, object]]:
    return [track_row(f"/{artist}{i:02}", artist=artist, title=f"{artist} {i}") for i in range(start, start + count)]


def fan(rows: list[dict[str, object]]) -> np.ndarray:
    """Directions that turn away from the first row by row, so that the ranking is the order given."""
    angle = np.linspace(0, 2, len(rows))
    return np.column_stack([np.cos(angle), np.sin(angle)])


def test_the_default_limit_rises_only_as_far_as_it_must_and_says_so(tmp_path: Path) -> None:
    rows = alike(10, "near") + alike(10, "far")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    seeds = [seed_at(catalogue, catalogue.row_at(Path("/near00")) or 0)]
    made = make_playlist(catalogue, seeds, Rules(8, order="ranked"))
    assert Counter(e.track["artist"] for e in made.entries) == {"near": 4, "far": 4}
    assert made.notes == ("the library has too few artists near: up to 4 tracks per artist instead of 1",)


def test_a_limit_that_was_asked_for_is_a_promise(tmp_path: Path) -> None:
    rows = alike(10, "near") + alike(10, "far")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    made = make_playlist(catalogue, [seed_at(catalogue, 0)], Rules(8, per_artist=2))
    assert Counter(e.track["artist"] for e in made.entries) == {"near": 2, "far": 2}
    assert said(made) == ["4 track(s) instead of 8: there are no more under these rules; raise --per-artist"]


def test_seeds_count_for_their_artist_only_when_they_are_in_the_list(tmp_path: Path) -> None:
    rows = alike(3, "a") + alike(3, "b")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    seeds = [seed_at(catalogue, 0)]
    inside = make_playlist(catalogue, seeds, Rules(2, per_artist=1))
    outside = make_playlist(catalogue, seeds, Rules(2, per_artist=1, include_seeds=False))
    assert [e.track["artist"] for e in inside.entries] == ["a", "b"]
    assert sorted(e.track["artist"] for e in outside.entries) == ["a", "b"]
    assert "/a00" not in {e.track["path"] for e in outside.entries}


def test_another_recording_of_a_seed_is_a_repeat_even_with_seeds_left_out(tmp_path: Path) -> None:
    rows = [track_row("/1", artist="X", title="Song"), track_row("/2", artist=" x", title="SONG "), track_row("/3")]
    catalogue = catalogue_of(tmp_path, rows, np.eye(3))
    made = make_playlist(catalogue, [seed_at(catalogue, 0)], Rules(5, include_seeds=False))
    assert [e.track["path"] for e in made.entries] == ["/3"]


def test_a_seed_given_twice_is_kept_once_and_said(tmp_path: Path) -> None:
    rows = alike(5, "a")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    made = make_playlist(catalogue, [seed_at(catalogue, 0), seed_at(catalogue, 0)], Rules(3))
    assert [e.is_seed for e in made.entries] == [True, False, False]
    assert "a - a 0: given twice, kept once" in made.notes


def test_a_seed_from_outside_the_library_leads_the_list(tmp_path: Path) -> None:
    rows = alike(5, "a")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    outside = Seed(track_row("/elsewhere", artist="Z", title="Q"), catalogue.unit[2])
    made = make_playlist(catalogue, [outside], Rules(3, order="ranked"))
    assert [e.track["path"] for e in made.entries][:2] == ["/elsewhere", "/a02"]


@pytest.mark.parametrize(("length", "per_artist"), [(0, None), (-3, None), (5, 0)])
def test_senseless_rules_are_refused(length: int, per_artist: int | None) -> None:
    with pytest.raises(UsageError, match="at least one track"):
        Rules(length, per_artist)


def test_no_seed_and_too_many_seeds_are_refused(tmp_path: Path) -> None:
    rows = alike(5, "a")
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    with pytest.raises(UsageError, match="needs 1 to 2 seeds, got 3"):
        make_playlist(catalogue, [seed_at(catalogue, row) for row in range(3)], Rules(2))
    with pytest.raises(UsageError, match="got 0"):
        make_playlist(catalogue, [], Rules(2))


def test_a_library_of_nothing_but_the_seed_gives_the_seed(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, [track_row("/a")], np.ones((1, 3)))
    made = make_playlist(catalogue, [seed_at(catalogue, 0)], Rules())
    assert [e.track["path"] for e in made.entries] == ["/a"]
    assert math.isnan(made.smoothness)
    assert said(made) == ["1 track(s) instead of 20: there are no more in the library without a repeat"]


def test_a_journey_is_smoother_than_the_ranking_of_the_same_tracks(tmp_path: Path) -> None:
    gains = []
    for seed in range(10):
        rows = [track_row(f"/{i:03}") for i in range(300)]
        catalogue = catalogue_of(tmp_path, rows, generator(seed, "journey").normal(size=(300, 6)))
        seeds = [seed_at(catalogue, 0)]
        ranked, journey = (make_playlist(catalogue, seeds, Rules(30, order=order)) for order in ("ranked", "smooth"))
        gains.append(journey.smoothness - ranked.smoothness)
    assert min(gains) > 0.1


def test_a_journey_keeps_one_artist_apart_where_it_can(tmp_path: Path) -> None:
    rows = [*alike(4, "a"), *alike(4, "b"), *alike(4, "c")]
    catalogue = catalogue_of(tmp_path, rows, fan(rows))
    made = make_playlist(catalogue, [seed_at(catalogue, 0)], Rules(12, per_artist=4))
    artists = [e.track["artist"] for e in made.entries]
    assert len(artists) == 12
    assert all(one != other for one, other in itertools.pairwise(artists))


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_a_short_path_visits_all_once_and_comes_close_to_the_best(size: int) -> None:
    worst = 1.0
    for seed in range(15):
        points = generator(seed, size).normal(size=(size, 2))
        cost = np.linalg.norm(points[:, None] - points[None], axis=-1)
        path = short_path(cost)
        assert sorted(path) == list(range(size))
        assert path[0] == 0
        lengths = [
            sum(cost[a, b] for a, b in itertools.pairwise((0, *rest)))
            for rest in itertools.permutations(range(1, size))
        ]
        made = sum(cost[a, b] for a, b in itertools.pairwise(path))
        worst = max(worst, made / min(lengths) if min(lengths) else 1.0)
    assert worst < 1.25


def test_no_turn_of_a_stretch_makes_a_short_path_shorter() -> None:
    points = generator(5).normal(size=(25, 3))
    cost = np.linalg.norm(points[:, None] - points[None], axis=-1)
    path = short_path(cost)

    def total(order: list[int]) -> float:
        return sum(cost[a, b] for a, b in itertools.pairwise(order))

    turned = [
        path[:first] + path[first : last + 1][::-1] + path[last + 1 :]
        for first in range(1, 25)
        for last in range(first + 1, 25)
    ]
    assert min(total(order) for order in turned) >= total(path) - 1e-5
    assert short_path(cost) == path
