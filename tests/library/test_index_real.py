"""The index on real files: every format, every kind of bad file, and what a listener does to a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mirclr.audio.decode import decode
from mirclr.features.extractor import track_vector
from mirclr.library.index import IndexResult, index_folder
from mirclr.library.outside import hear_file
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from mirclr.reports import finish
from tests.support.badfolder import good_files, make_bad_folder
from tests.support.library import Bands


def run(store: Path, folder: Path, ears: Bands) -> IndexResult:
    with Library.open_or_create(store, ears) as library:
        return finish(index_folder(library, folder, ears, workers=2))


def test_a_folder_of_everything_is_indexed_to_the_end(tmp_path: Path) -> None:
    expected, ears = make_bad_folder(tmp_path / "music"), Bands()
    folder = tmp_path / "music"
    done = run(tmp_path / "a.db", folder, ears)
    assert {os.path.relpath(row["path"], folder): row["reason"] for row in done.quarantine} == expected
    with Library.open(tmp_path / "a.db") as library:
        contents = library.contents()
        listed = library.quarantine()
    assert done.added == len(contents.tracks) > 10
    assert sorted(listed["path"]) == sorted(row["path"] for row in done.quarantine)
    for path, row in zip(contents.tracks["path"], contents.tracks["row"], strict=True):
        segments, _ = ears.segments(decode(path, ears.sample_rate))
        np.testing.assert_allclose(contents.vectors[row], track_vector(segments), rtol=1e-6)

    heard = ears.heard
    shutil.copytree(folder / "odd", folder / "copies")
    (folder / "good").rename(folder / "moved")
    again = run(tmp_path / "a.db", folder, ears)
    good = len(os.listdir(folder / "moved"))
    assert again.counts == {
        "added": done.added - good,
        "changed": 0,
        "moved": good,
        "removed": 0,
        "unchanged": done.added - good,
    }
    assert ears.heard == heard
    assert len(again.quarantine) == len(done.quarantine)


def test_a_file_outside_is_heard_as_it_would_be_inside(tmp_path: Path) -> None:
    good_files(tmp_path / "music", seconds=0.5)
    ears = Bands()
    run(tmp_path / "a.db", tmp_path / "music", ears)
    with Library.open(tmp_path / "a.db") as library:
        catalogue = Catalogue.load(library)
    for path in sorted((tmp_path / "music").iterdir())[:2]:
        track, vector, *_ = hear_file(path, ears)
        hit = similar(catalogue, catalogue.space.unit(vector[None])[0], 1)[0]
        assert catalogue.track(hit.row)["path"] == track["path"] == str(path)
        assert hit.similarity == pytest.approx(1, abs=1e-5)
