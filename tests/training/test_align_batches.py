"""What a step sees: texts of some fields, words dropped together, groups of equal texts, every track in turn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from mirclr.models.text import HashedText, words_of
from mirclr.seeds import generator
from mirclr.training.align_batches import AlignSource, Texts, same_text
from mirclr.training.align_tracks import Known
from tests.support.paired import listed_pairs, segments_of

DIM = 6


def source(batch: int = 8, rows: int = 20, vectors: dict[str, np.ndarray] | None = None) -> AlignSource:
    listed = listed_pairs(artists=5, tracks=4)
    texts = tuple(
        {"artist": (row["artist"],), "genre": (row["genre"],), "text": ("one way", "another way")}
        for row in listed.tracks.to_dict("records")
    )
    known = Known(listed.tracks, texts, vectors or {})
    return AlignSource(known, segments_of(listed, DIM), np.arange(rows), seed=3, batch=batch)


@pytest.fixture
def hashed() -> HashedText:
    return HashedText(buckets=256, width=4)


def test_every_track_has_its_turn_in_every_epoch(hashed: HashedText) -> None:
    made = source(batch=8)
    assert made.batches_per_epoch == 3
    tracks = {made.segments[row].tobytes(): row for row in made.rows}
    for epoch in range(3):
        seen: Counter[int] = Counter()
        for step in range(epoch * 3, epoch * 3 + 3):
            for segment in made.step(step, hashed, 0.0).given["audio"].numpy():
                seen[next(row for whole, row in tracks.items() if segment.tobytes() in whole)] += 1
        assert set(seen) == set(range(20))
        assert max(seen.values()) <= 2  # the last batch is filled up


def test_a_step_is_a_function_of_seed_and_number(hashed: HashedText) -> None:
    one, two = source().step(7, hashed, 0.3), source().step(7, hashed, 0.3)
    other = source().step(8, hashed, 0.3)
    assert torch.equal(one.given["audio"], two.given["audio"])
    assert torch.equal(one.given["text"].ids, two.given["text"].ids)
    assert not torch.equal(one.given["audio"], other.given["audio"])


def test_one_segment_is_drawn_and_all_of_them_are_in_the_end(hashed: HashedText) -> None:
    made = source()
    drawn = {row.tobytes() for step in range(60) for row in made.step(step, hashed, 0.0).given["audio"].numpy()}
    assert drawn == {segment.tobytes() for row in made.rows for segment in made.segments[row]}


def test_a_track_as_it_is_searched_is_the_mean_of_its_segments_and_all_of_its_text(hashed: HashedText) -> None:
    made = source()
    whole = made.whole(np.array([4, 2]), hashed)
    torch.testing.assert_close(whole.given["audio"][0], torch.from_numpy(made.segments[4].mean(0)))
    said = f"Artist 1 {made.known.texts[4]['genre'][0]} one way another way"
    assert torch.equal(whole.given["text"].ids[: len(hashed.bags([said]).ids)], hashed.bags([said]).ids)


def test_every_single_field_often_stands_alone_and_no_subset_is_empty() -> None:
    fields = ("artist", "genre", "title")
    texts = Texts([{"artist": ("a",), "genre": ("g",), "title": ("t",)}], fields)
    drawn = Counter(texts.drawn(np.array([0]), generator(0, step), 0.0)[0] for step in range(3000))
    assert set(drawn) == {("a",), ("g",), ("t",), ("a", "g"), ("a", "t"), ("g", "t"), ("a", "g", "t")}
    for single in "agt":
        assert drawn[(single,)] == pytest.approx(3000 / 9, rel=0.25)
    assert drawn[("a", "g", "t")] == pytest.approx(1000, rel=0.15)


def test_the_fields_of_a_step_are_the_same_for_all_tracks_and_one_way_to_say_each_is_taken() -> None:
    tracks = [{"genre": ("rock",), "text": ("x", "y", "z")}, {"text": ("p q",)}, {"genre": ("jazz",)}]
    texts = Texts(tracks, ("genre", "text"))
    drawn = {tuple(texts.drawn(np.arange(3), generator(0, step), 0.0)) for step in range(300)}
    ways = [("x",), ("y",), ("z",)]
    assert drawn == {
        (("rock",), (), ("jazz",)),
        *((way, ("p", "q"), ()) for way in ways),
        *((("rock", *way), ("p", "q"), ("jazz",)) for way in ways),
    }


def test_words_are_dropped_for_the_whole_batch_and_never_all_of_a_text() -> None:
    words = [" ".join(f"w{n}" for n in range(40)), "w1 w2", "w1"]
    texts = Texts([{"text": (text,)} for text in words], ("text",))
    share = []
    for step in range(200):
        long, pair, single = texts.drawn(np.arange(3), generator(1, step), 0.5)
        share.append(len(long) / 40)
        assert single == ("w1",)
        assert pair
        if len(pair) == 1:
            assert set(pair) <= set(long)
            assert len({"w1", "w2"} & set(long)) == 1
    assert np.mean(share) == pytest.approx(0.5, abs=0.03)


def test_equal_texts_are_no_negatives_and_no_text_is_alone() -> None:
    words = [("sad", "piano"), ("rock",), ("piano", "sad"), (), (), ("rock", "rock")]
    assert same_text(words, 6).tolist() == [0, 1, 0, -1, -1, 2]
    assert same_text(None, 2).tolist() == [-1, -1]


def test_what_a_track_lacks_is_marked_and_finite(hashed: HashedText) -> None:
    table = np.ones((20, 2), np.float32)
    table[5:] = np.nan
    made = source(batch=20, vectors={"scores": table})
    assert made.names == ("audio", "scores", "text")
    views = made.whole(made.rows, hashed)
    assert views.present.tolist()[0] == [True] * 20
    assert views.present.tolist()[1] == [True] * 5 + [False] * 15
    assert torch.equal(views.given["scores"][5:], torch.zeros(15, 2))


def test_fields_that_only_held_out_tracks_have_are_not_asked_for() -> None:
    listed = listed_pairs(artists=2, tracks=2)
    texts = ({"genre": ("a",)}, {"genre": ("b",)}, {"genre": ("c",)}, {"text": ("only here",)})
    known = Known(listed.tracks, texts, {})
    made = AlignSource(known, segments_of(listed, DIM), np.arange(3), seed=0, batch=4)
    assert made.texts.fields == ("genre",)
    assert made.texts.all(np.array([0, 3])) == [tuple(words_of("a")), ()]
