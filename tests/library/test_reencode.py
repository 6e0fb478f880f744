"""A new encoder replaces a store whole or not at all; watching looks again and stops when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirclr.errors import StoreError
from mirclr.library.index import IndexResult, index_folder
from mirclr.library.reencode import reencode
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.reports import finish
from tests.library.test_cli import encoder, song
from tests.support.library import Bands
from tests.support.paper_music import Scanner, write


@pytest.fixture
def music_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Scanner().install(monkeypatch)
    for name in "abcdef":
        write(tmp_path / "music" / f"{name}.mp3", f"sound {name}")
    return tmp_path / "music"


@pytest.fixture
def store(music_folder: Path, tmp_path: Path) -> Path:
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        finish(index_folder(library, music_folder, Bands()))
    return tmp_path / "a.db"


def anew(store: Path, folder: Path, ears: Bands) -> IndexResult:
    return finish(reencode(store, [folder], ears, store.parent / "run"))


def test_the_new_store_is_a_fresh_index_with_the_new_encoder(store: Path, music_folder: Path, tmp_path: Path) -> None:
    new = Bands("new", dim=16)
    assert anew(store, music_folder, new).counts["added"] == 6
    with Library.open_or_create(tmp_path / "fresh.db", new) as library:
        finish(index_folder(library, music_folder, new))
        fresh = Catalogue.load(library)
    with Library.open(store, new) as library:
        found = Catalogue.load(library)
        assert library.binding.folder == tmp_path / "run"
    assert found.tracks.equals(fresh.tracks)
    assert (found.unit == fresh.unit).all()
    assert not list(tmp_path.glob("*-reencode*"))


def test_an_interrupted_run_leaves_the_old_store_and_goes_on(
    store: Path, music_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirclr.library.index.STORE_BATCH", 2)
    new = Bands("new", dim=16)
    work = reencode(store, [music_folder], new)
    while new.heard < 5:
        next(work)
    work.close()
    with Library.open(store, Bands()) as library:
        assert len(library.contents().tracks) == 6
    heard = new.heard
    anew(store, music_folder, new)
    assert new.heard - heard < 6  # what was stored is not heard again
    with Library.open(store, new) as library:
        assert len(library.contents().tracks) == 6


def test_tracks_elsewhere_and_the_same_encoder_are_refused(store: Path, music_folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other" / "x.mp3", "sound x")
    with pytest.raises(StoreError, match=r"6 track\(s\) lie outside the folders that were given .*a.mp3"):
        anew(store, tmp_path / "other", Bands("new"))
    with pytest.raises(StoreError, match="heard by this encoder already"):
        anew(store, music_folder, Bands())


def test_watching_takes_in_a_new_file_and_stops_cleanly(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    song(tmp_path / "music" / "0.flac", "Can", "Mushroom", 0)
    run, store = encoder(tmp_path / "run", 0), tmp_path / "a.db"
    command = ["index", tmp_path / "music", "--encoder", run, "--store", store, "--watch", "1", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "mirclr", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watcher:
        try:
            wait_for(lambda: tracks(store) == 1)
            song(tmp_path / "music" / "1.flac", "Can", "Halleluwah", 1)
            wait_for(lambda: tracks(store) == 2)
            watcher.send_signal(signal.SIGINT)
            out, err = watcher.communicate(timeout=120)
        finally:
            watcher.kill()  # or a watcher that does not hear would be waited for without end
    assert watcher.returncode == 0, err
    assert "stopped watching" in err
    assert out.count("added\tchanged") == 2


def tracks(store: Path) -> int:
    try:
        with Library.open(store) as library:
            return len(library.stamps())
    except StoreError:
        return 0


def wait_for(reached: object) -> None:
    for _ in range(600):
        if reached():  # type: ignore[operator]
            return
        time.sleep(0.2)
    pytest.fail("two minutes went by")
