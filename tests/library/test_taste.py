"""A taste: identity until something is learned; a planted taste is found, chance is not, and forgetting is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mirclr.errors import StoreError, UsageError
from mirclr.library.playlist import moments_of
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.library.taste import Taste, bent, forget_taste, load_catalogue, place_of, read_taste, write_taste
from mirclr.library.taste_learning import Check, Lesson, learn
from mirclr.reports import finish
from mirclr.seeds import generator
from tests.support.library import Bands, track_row

DIM, COUNT = 12, 240


def library(folder: Path) -> tuple[Library, np.ndarray]:
    """Tracks of random sound, artists of two tracks; a fifth are glad, which only the first dimension tells, and
    most of what tells tracks apart has nothing to do with it."""
    draw = generator(0, "moods")
    vectors = draw.normal(size=(COUNT, DIM))
    mood = np.where(np.arange(COUNT) % 5 == 0, 1, -1)
    vectors[:, 0] = mood + 0.2 * draw.normal(size=COUNT)
    with Library.open_or_create(folder / "a.db", Bands(dim=DIM)) as store, store.batch():
        for place, vector in enumerate(vectors):
            row = track_row(f"/{place:03}", artist=f"a {place // 2}", title=f"t {place}")
            segments = (vector + 0.3 * draw.normal(size=(6, DIM))).astype(np.float32)
            store.put_track(row)
            store.put_vectors(row["audio_id"], segments.mean(axis=0), segments, np.arange(6.0))
    return Library.open(folder / "a.db"), mood


def learned(catalogue: Catalogue, lesson: Lesson) -> tuple[Taste, Check]:
    with moments_of(catalogue) as moments:
        return finish(learn(catalogue, lesson, moments, Bands(dim=DIM).fingerprint))


def test_a_planted_taste_is_found_and_one_that_is_none_is_not_told_from_chance(tmp_path: Path) -> None:
    store, mood = library(tmp_path)
    catalogue = Catalogue.load(store)
    glad = np.flatnonzero(mood > 0)[:40].tolist()
    taste, check = learned(catalogue, Lesson((tuple(glad),), tuple(np.flatnonzero(mood < 0)[:20].tolist())))
    assert check.helped
    assert check.learned > check.plain
    assert check.sentence.startswith("it helped: ")
    assert check.tracks == 40
    weights = np.abs(1 + taste.scale)
    assert int(np.argmax(weights)) == 0
    picked = generator(3).choice(COUNT, 40, replace=False).tolist()
    assert not learned(catalogue, Lesson((tuple(picked),)))[1].helped
    again, same = learned(catalogue, Lesson((tuple(glad),), tuple(np.flatnonzero(mood < 0)[:20].tolist())))
    np.testing.assert_array_equal(again.scale, taste.scale)
    assert same == check


def test_zeros_leave_the_space_as_it_is_and_any_taste_keeps_rows_of_length_one(tmp_path: Path) -> None:
    store, _ = library(tmp_path)
    plain = Catalogue.load(store)
    none = Taste(np.zeros(DIM), np.zeros((DIM, 2)), np.zeros((2, DIM)), "f", {})
    np.testing.assert_allclose(bent(plain, none).unit, plain.unit, atol=1e-6)
    draw = generator(1)
    some = Taste(draw.normal(size=DIM), draw.normal(size=(DIM, 2)), draw.normal(size=(2, DIM)), "f", {})
    other = bent(plain, some)
    np.testing.assert_allclose(np.linalg.norm(other.unit, axis=1), 1, atol=1e-5)
    assert np.abs(other.unit - plain.unit).max() > 0.1
    vectors = draw.normal(size=(3, DIM)).astype(np.float32)
    np.testing.assert_allclose(other.space.unit(vectors), some.bend(plain.space.unit(vectors)), atol=1e-6)


def kept(store: Library, fingerprint: str | None = None) -> Taste:
    draw = generator(5)
    shapes = ((DIM,), (DIM, 4), (4, DIM))
    arrays = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    taste = Taste(arrays[0], arrays[1], arrays[2], fingerprint or store.binding.fingerprint, {"likes": ["x"]})
    write_taste(store.path, taste)
    return taste


def test_it_is_kept_beside_the_store_used_and_forgotten(tmp_path: Path) -> None:
    store, _ = library(tmp_path)
    before = store.path.read_bytes()
    taste = kept(store)
    found = read_taste(store)
    assert found is not None
    np.testing.assert_array_equal(found.up, taste.up)
    assert found.about == {"likes": ["x"]}
    catalogue, used = load_catalogue(store)
    assert used is not None
    np.testing.assert_array_equal(catalogue.unit, bent(Catalogue.load(store), taste).unit)
    assert forget_taste(store.path)
    assert not forget_taste(store.path)
    again, none = load_catalogue(store)
    assert none is None
    np.testing.assert_array_equal(again.unit, Catalogue.load(store).unit)
    assert store.path.read_bytes() == before


def test_a_taste_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    store, _ = library(tmp_path)
    place = place_of(store.path)
    kept(store, "another encoder")
    with pytest.raises(StoreError, match=r"a.db.taste: learned in the space of another encoder"):
        read_taste(store)
    kept(store)
    arrays = load_file(place)
    about = {"format": "1", "fingerprint": store.binding.fingerprint, "about": "{}"}
    save_file({**arrays, "scale": np.full(DIM, np.nan, np.float32)}, place, about)
    with pytest.raises(StoreError, match="not finite"):
        read_taste(store)
    save_file({**arrays, "up": np.zeros((3, DIM), np.float32)}, place, about)
    with pytest.raises(StoreError, match="another encoder"):
        read_taste(store)
    save_file(arrays, place, {**about, "format": "9"})
    with pytest.raises(StoreError, match="taste format 9"):
        read_taste(store)
    place.write_bytes(b"no taste")
    with pytest.raises(StoreError, match=r"damaged or no taste .*mirclr adapt --forget"):
        read_taste(store)


def test_a_lesson_of_too_little_is_refused() -> None:
    for likes in ((), ((1, 2, 3),), ((1,), (2,), (3,), (4,))):
        with pytest.raises(UsageError, match="at least 4 are needed"):
            Lesson(likes)
