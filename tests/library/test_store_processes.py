"""The store among processes: killed at any moment it goes on where it was; a reader sees whole batches or nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import StoreError
from mirclr.library.index import index_folder
from mirclr.library.store import Library
from mirclr.reports import finish
from mirclr.seeds import generator
from tests.support.house import ROOT
from tests.support.library import Bands, fill, track_row
from tests.support.paper_music import Scanner, write

TRACKS = 40


@pytest.fixture
def music_folder(tmp_path: Path) -> Path:
    for place in range(TRACKS):
        write(tmp_path / "music" / f"{place:02}.mp3", f"sound {place}")
    return tmp_path / "music"


def indexing(store: Path, folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.index_process", str(store), str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def tracks_in(store: Path) -> int:
    """How many whole tracks a reader sees now; `contents` raises on a track without its vector."""
    try:
        with Library.open(store) as library:
            return len(library.contents().tracks)
    except StoreError as error:
        if "no library store here" in str(error) or "an empty file" in str(error):  # not made yet
            return 0
        raise


def test_killed_again_and_again_it_ends_where_one_run_ends(
    music_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, draw = tmp_path / "killed.db", generator(0, "kill")
    reached = [0]
    while len(reached) < 4:
        process = indexing(store, music_folder, 0.02)
        while tracks_in(store) <= reached[-1] and process.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.15))  # somewhere inside a batch
        process.kill()
        process.communicate()
        reached.append(tracks_in(store))
    assert reached[1] < reached[2] < TRACKS, "the kills came too late to test anything"
    last = indexing(store, music_folder, 0.0)
    heard = int(last.communicate()[0])
    assert heard == TRACKS - reached[-1]
    scanner, ears = Scanner(), Bands()
    scanner.install(monkeypatch)
    with Library.open_or_create(tmp_path / "fresh.db", ears) as fresh, Library.open(store) as killed:
        finish(index_folder(fresh, music_folder, ears))
        assert killed.contents().tracks.equals(fresh.contents().tracks)
        assert killed.contents().vectors.tobytes() == fresh.contents().vectors.tobytes()


def test_a_reader_beside_a_writer_sees_whole_batches_and_never_fewer(music_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    writer = indexing(store, music_folder, 0.02)
    seen = [0]
    while writer.poll() is None:
        seen.append(tracks_in(store))
    seen.append(tracks_in(store))
    writer.communicate()
    assert seen == sorted(seen)
    assert seen[-1] == TRACKS
    assert {count for count in seen if count not in (0, TRACKS)}, "the reader never met the writer"
    assert all(count % 3 == 0 for count in seen if count < TRACKS)


def test_a_snapshot_does_not_change_while_it_is_read(tmp_path: Path) -> None:
    """Tracks and vectors of one moment: a writer that prunes in between cannot tear them apart."""
    store = tmp_path / "a.db"
    with Library.open_or_create(store, Bands()) as writer, Library.open(store) as reader:
        fill(writer, [track_row(f"/{n}") for n in range(5)], np.ones((5, 8)))
        with reader.batch(write=False):
            assert len(reader.stamps()) == 5
            with writer.batch():
                writer.forget([b"/0", b"/1"])
                writer.prune()
            assert len(reader.stamps()) == len(reader.embedded()) == 5
        assert len(reader.stamps()) == len(reader.embedded()) == 3


def test_two_writers_take_turns(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    Library.open_or_create(store, Bands()).close()

    def work(name: str) -> None:
        with Library.open_or_create(store, Bands()) as library:
            for place in range(20):
                with library.batch():
                    library.put_track(track_row(f"/{name}{place}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Library.open(store) as library:
        assert len(library.stamps()) == 40
