"""Questions of several parts: likes, unlikes, weights, artists, moments and filters, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import UsageError
from mirclr.library.moments import best_moments, clock, nearest_moment, seconds_of
from mirclr.library.query import Part, Question, answer, artist_part, weighted
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from mirclr.seeds import generator
from tests.support.library import Bands, catalogue_of, track_row

ARTISTS = ["Can", "Neu!", "can", None, "Various Artists"]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    rows = [track_row(f"/{i:02}", artist=ARTISTS[i % 5], year=1960 + i) for i in range(40)]
    return catalogue_of(tmp_path, rows, generator(0, "query").normal(size=(40, 6)).astype(np.float32))


def part(catalogue: Catalogue, row: int, weight: float = 1.0) -> Part:
    return Part(str(row), catalogue.unit[row], weight, (row,))


def test_one_like_is_a_plain_search(catalogue: Catalogue) -> None:
    assert answer(catalogue, Question([part(catalogue, 3)]), 7) == similar(catalogue, catalogue.unit[3], 7, [3])


def test_likes_and_unlikes_are_rocchios_weighted_means(catalogue: Catalogue) -> None:
    likes, unlikes = [part(catalogue, 1), part(catalogue, 2, 3.0)], [part(catalogue, 5, 0.5), part(catalogue, 6, 0.5)]
    wanted = (catalogue.unit[1] + 3 * catalogue.unit[2]) / 4 - 0.5 * (catalogue.unit[5] + catalogue.unit[6]) / 2
    hits = answer(catalogue, Question(likes, unlikes), 40)
    expected = catalogue.unit @ (wanted / np.linalg.norm(wanted))
    assert {hit.row for hit in hits} == set(range(40)) - {1, 2, 5, 6}
    np.testing.assert_allclose([hit.similarity for hit in hits], expected[[hit.row for hit in hits]], atol=2e-6)
    assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)


def test_a_dislike_moves_its_neighbours_down(catalogue: Catalogue) -> None:
    disliked = similar(catalogue, catalogue.unit[0], 3, [0])[0].row
    near = similar(catalogue, catalogue.unit[disliked], 3, [0, disliked])[0].row
    before = [hit.row for hit in answer(catalogue, Question([part(catalogue, 0)]), 40)]
    after = [hit.row for hit in answer(catalogue, Question([part(catalogue, 0)], [part(catalogue, disliked, 1)]), 40)]
    assert disliked not in after
    assert after.index(near) > before.index(near)


def test_words_alone_are_their_cosines_and_with_likes_both_rankings_count(catalogue: Catalogue) -> None:
    words = generator(1).normal(size=40).astype(np.float32)
    alone = answer(catalogue, Question(words=words), 3)
    assert [hit.row for hit in alone] == np.argsort(-words)[:3].tolist()
    cosines = catalogue.similarities(catalogue.unit[4])
    both = answer(catalogue, Question([part(catalogue, 4)], words=words), 40)
    expected = (cosines - cosines.mean()) / cosines.std() + (words - words.mean()) / words.std()
    np.testing.assert_allclose([hit.similarity for hit in both], expected[[hit.row for hit in both]], atol=1e-5)
    less = answer(catalogue, Question(unlikes=[part(catalogue, 4)], words=words), 40)
    assert [hit.row for hit in less] != [hit.row for hit in both]


def test_only_rows_of_the_mask_are_answers(catalogue: Catalogue) -> None:
    mask = catalogue.tracks["year"].to_numpy(float) < 1965
    assert {hit.row for hit in answer(catalogue, Question([part(catalogue, 2)]), 10, mask=mask)} == {0, 1, 3, 4}
    assert answer(catalogue, Question([part(catalogue, 2)]), 10, mask=np.zeros(40, bool)) == []


def test_an_artist_is_the_mean_of_its_tracks_and_no_answer_to_itself(catalogue: Catalogue) -> None:
    own = [row for row in range(40) if row % 5 in (0, 2)]
    asked = artist_part(catalogue, " CAN ")
    assert asked.rows == tuple(own)
    mean = catalogue.unit[own].mean(axis=0)
    np.testing.assert_allclose(asked.unit, mean / np.linalg.norm(mean), atol=1e-6)
    assert not {hit.row for hit in answer(catalogue, Question([asked]), 40)} & set(own)
    with pytest.raises(UsageError, match=r"--artist Neuu: no track .* Nearest: neu!"):
        artist_part(catalogue, "Neuu")
    with pytest.raises(UsageError, match="no track of the library has this artist"):
        artist_part(catalogue, "Various Artists")


def test_nothing_to_like_and_likes_that_cancel_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="nothing to be like"):
        Question()
    with pytest.raises(UsageError, match="cancel each other out"):
        answer(catalogue, Question([part(catalogue, 1)], [part(catalogue, 1, 1.0)]), 3)


def test_weights_are_read_and_files_with_a_colon_are_files(tmp_path: Path) -> None:
    (tmp_path / "a:2").touch()
    assert weighted("Can - Mushroom:0.5", 1.0) == ("Can - Mushroom", 0.5)
    assert weighted("Can - Mushroom", 0.25) == ("Can - Mushroom", 0.25)
    assert weighted("Live: 1972", 1.0) == ("Live: 1972", 1.0)
    assert weighted(str(tmp_path / "a:2"), 1.0) == (str(tmp_path / "a:2"), 1.0)
    with pytest.raises(UsageError, match="a weight of 0 says nothing"):
        weighted("x:0", 1.0)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("0:05.5", 5.5), ("1:01:30", 3690)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1:60", "half", "-1", "1:2:3:4", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="say a time as 1:30"):
        seconds_of(text)


def test_the_moment_asked_for_is_the_nearest_kept() -> None:
    starts = np.array([0.0, 30.0, 60.0])
    assert [nearest_moment(starts, at, 90.0) for at in (0, 14, 16, 59, 80)] == [0, 0, 1, 2, 2]
    assert clock(125.9) == "2:05"
    with pytest.raises(UsageError, match="--at 1:40: the track ends at 1:30"):
        nearest_moment(starts, 100.0, 90.0)


def test_the_best_moment_of_every_track_is_that_of_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirclr.library.store.READ_ROWS", 24)  # three tracks at a time
    draw, rows = generator(2, "moments"), [track_row(f"/{i}") for i in range(10)]
    with Library.open_or_create(tmp_path / "a.db", Bands(dim=5)) as library:
        for row in rows:
            segments = draw.normal(size=(draw.integers(1, 6), 5)).astype(np.float32)
            with library.batch():
                library.put_track(row)
                library.put_vectors(row["audio_id"], segments.mean(axis=0), segments, 10.0 * np.arange(len(segments)))
        catalogue = Catalogue.load(library)
    direction = catalogue.unit[4]
    out = np.arange(10) == 4
    found = best_moments(catalogue, direction, 20, out)
    expected = []
    for row in set(range(10)) - {4}:
        vectors, starts = catalogue.segments(row)
        scores = np.round(vectors @ direction, 6)
        expected.append((-float(scores.max()), row, float(starts[scores.argmax()])))
    assert [(-moment.similarity, moment.row, moment.start) for moment in found] == sorted(expected)
    assert best_moments(catalogue, direction, 2, out) == found[:2]
