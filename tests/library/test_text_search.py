"""Text finds the tracks of a store or a file of vectors: the right ones, in order, and only of the right encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirclr.errors import StoreError, UsageError
from mirclr.features.joint_file import Bound, SavedJoint, save_joint
from mirclr.features.vector_file import write_vectors
from mirclr.library.query import Question, answer, words_scores
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.library.text_search import doubts, joint_beside, search, shelf_of_store, shelf_of_vectors, worth
from tests.support.joint import small_joint
from tests.support.library import Bands, fill, track_row

ROWS = [track_row(f"/{n}.wav", artist=f"A{n}", title=f"T{n}") for n in range(5)]


@pytest.fixture
def joint() -> SavedJoint:
    return small_joint()


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


def store(path: Path, rows: list[dict[str, Any]], vectors: np.ndarray, name: str = "bands") -> Path:
    with Library.open_or_create(path, Bands(name)) as library:
        fill(library, rows, vectors)
    return path


def test_tracks_are_ranked_by_the_cosine_of_text_and_track_vector(
    joint: SavedJoint, vectors: np.ndarray, tmp_path: Path
) -> None:
    shelf = shelf_of_store(joint, store(tmp_path / "l.db", ROWS, vectors))
    cosine = joint.vectors(vectors) @ joint.texts(["calm piano"])[0]
    order = np.argsort(-cosine)
    hits = search(shelf, joint, "calm piano", 3)
    assert [shelf.track(hit.row)["path"] for hit in hits] == [f"/{n}.wav" for n in order[:3]]
    np.testing.assert_allclose([hit.similarity for hit in hits], cosine[order[:3]], atol=1e-5)
    assert len(search(shelf, joint, "calm piano", 99)) == 5


def test_a_file_of_vectors_gives_the_same_answer(joint: SavedJoint, vectors: np.ndarray, tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npz", [row["path"] for row in ROWS], vectors)
    shelf = shelf_of_vectors(joint, tmp_path / "v.npz")
    other = shelf_of_store(joint, store(tmp_path / "l.db", ROWS, vectors))
    assert search(shelf, joint, "sad", 5) == search(other, joint, "sad", 5)
    assert shelf.track(0) == {"path": "/0.wav", "artist": None, "title": None}


def test_copies_are_one_answer_and_ties_go_by_path(joint: SavedJoint, vectors: np.ndarray, tmp_path: Path) -> None:
    rows = [*ROWS, track_row("/copy.wav", audio="/0.wav")]
    same = np.repeat(vectors[:1], 6, axis=0)
    shelf = shelf_of_store(joint, store(tmp_path / "l.db", rows, same))
    assert [shelf.track(hit.row)["path"] for hit in search(shelf, joint, "calm", 9)] == [f"/{n}.wav" for n in range(5)]


def test_a_store_of_another_encoder_is_refused_naming_both(
    joint: SavedJoint, vectors: np.ndarray, tmp_path: Path
) -> None:
    made = store(tmp_path / "l.db", ROWS, vectors, name="others")
    with pytest.raises(StoreError, match=r"bound to the encoder 'others' \(.*hears by 'bands' \(.*--store NEW\.db"):
        shelf_of_store(joint, made)
    with pytest.raises(StoreError, match="the library is empty"):
        shelf_of_store(joint, store(tmp_path / "empty.db", [], vectors[:0]))
    with pytest.raises(StoreError, match="no library store here"):
        shelf_of_store(joint, tmp_path / "none.db")
    write_vectors(tmp_path / "v.npz", ["a"], vectors[:1, :3])
    with pytest.raises(UsageError, match=r"vectors of 3 values, but joint hears by 'bands' \(.*, 8 values\)"):
        shelf_of_vectors(joint, tmp_path / "v.npz")


def test_words_it_never_learned_are_named(joint: SavedJoint) -> None:
    assert doubts(joint, "Calm PIANO") == []
    assert doubts(joint, "calm xyzzy") == ["in no text it learned from: xyzzy; only their letters place them"]


def test_a_joint_space_lies_beside_its_store_and_only_of_its_encoder(
    joint: SavedJoint, vectors: np.ndarray, tmp_path: Path
) -> None:
    made = store(tmp_path / "l.db", ROWS, vectors)
    with pytest.raises(UsageError, match=r"no joint space beside .*l\.db: .* -o .*l\.joint"):
        joint_beside(made)
    other = Bound("other", "f" * 32, 8)
    save_joint(tmp_path / "l.joint" / "joint", joint.space, other, {})
    with pytest.raises(UsageError, match="hears by another encoder than"):
        joint_beside(made)
    save_joint(tmp_path / "joint", joint.space, joint.encoder, {})
    assert joint_beside(made).place == tmp_path / "joint"
    save_joint(tmp_path / "l.joint" / "joint", joint.space, joint.encoder, {})
    assert joint_beside(made).place == tmp_path / "l.joint" / "joint"


@pytest.mark.parametrize("content", ["", "[]", '{"sentences": []}', '{"sentences": 1, "whole": {}}'])
def test_a_damaged_verdict_is_no_verdict(content: str, joint: SavedJoint, tmp_path: Path) -> None:
    joint.place = tmp_path / "joint"
    assert "nobody knows" in worth(joint)[0]
    (tmp_path / "held_out.json").write_text(content)
    with pytest.raises(UsageError, match=r"held_out\.json: cannot be read"):
        worth(joint)


def test_a_question_in_words_is_the_same_search_and_a_store_that_changed_is_not_mixed(
    joint: SavedJoint, vectors: np.ndarray, tmp_path: Path
) -> None:
    place = store(tmp_path / "l.db", ROWS, vectors)
    shelf = shelf_of_store(joint, place)
    with Library.open(place) as library:
        catalogue = Catalogue.load(library)
    words = words_scores(catalogue, shelf, joint, "calm piano")
    assert answer(catalogue, Question(words=words), 3) == search(shelf, joint, "calm piano", 3)
    other = shelf_of_store(joint, store(tmp_path / "other.db", ROWS[1:], vectors[1:]))
    with pytest.raises(StoreError, match="changed while it was read"):
        words_scores(catalogue, other, joint, "calm piano")
