"""The cache: what decoding gives is what training reads; done once, shared, resumed, and never larger than the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from mirclr.audio import cache
from mirclr.audio.cache import CacheSettings, build, build_derived, default_folder, estimate, samples_folder
from mirclr.audio.cache_rows import excerpts, to_float32, to_int16
from mirclr.audio.decode import decode
from mirclr.audio.processes import Lost
from mirclr.audio.store import RaggedStore, Span
from mirclr.audio.store_writer import StoreWriter
from mirclr.audio.track import content_id
from mirclr.errors import CacheError
from mirclr.reports import finish

RATE = 8_000
SETTINGS = CacheSettings(sample_rate=RATE, max_seconds=6.0, excerpt_seconds=2.0)


def noise(seconds: float, seed: int, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate)).astype(np.float32)


@pytest.fixture
def tracks(tmp_path: Path) -> pd.DataFrame:
    """A short file, a long one at another rate, and one that is no audio."""
    soundfile.write(tmp_path / "short.wav", noise(3.0, 1), RATE)
    soundfile.write(tmp_path / "long.flac", noise(20.0, 2, 11_025), 11_025)
    (tmp_path / "bad.wav").write_text("not a sound")
    rows = [("a", "short.wav", 3.0), ("b", "long.flac", 20.0), ("c", "bad.wav", 5.0)]
    return pd.DataFrame([(i, str(tmp_path / p), d) for i, p, d in rows], columns=["id", "path", "duration"])


def test_rows_are_what_decode_gives_and_bad_files_are_quarantined(tracks: pd.DataFrame, tmp_path: Path) -> None:
    result = finish(build(tracks, tmp_path / "cache", SETTINGS, workers=2))
    assert sorted(result.store.ids) == ["a", "b"]
    whole = to_int16(decode(tracks["path"][0], RATE))
    np.testing.assert_array_equal(result.store.read("a"), whole)
    np.testing.assert_array_equal(whole, soundfile.read(tracks["path"][0], dtype="int16")[0])
    assert result.quarantine.to_dict("records") == [
        {"path": tracks["path"][2], "reason": "not_audio", "detail": result.quarantine["detail"][0]}
    ]


def test_a_long_file_keeps_evenly_spaced_excerpts_at_their_true_places(tracks: pd.DataFrame, tmp_path: Path) -> None:
    store = finish(build(tracks[1:2], tmp_path / "cache", SETTINGS, workers=1)).store
    spans = store.spans("b")
    assert store.length("b") == 6 * RATE
    np.testing.assert_allclose(np.diff([s.source_start_s for s in spans]), 20 / 3)
    whole = decode(tracks["path"][1], RATE)
    for span in spans:
        first = round(span.source_start_s * RATE)
        error = to_float32(store.read("b", span.start, span.length)) - whole[first : first + span.length]
        assert np.abs(error).max() < 1e-4
    wrong = to_float32(store.read("b", 0, spans[0].length)) - whole[: spans[0].length]
    assert np.abs(wrong).max() > 0.2


@pytest.mark.parametrize("duration", [6.1, 60.0, 3_600.0])
def test_excerpts_never_overlap_and_leave_as_much_at_both_ends(duration: float) -> None:
    pieces = excerpts(duration, SETTINGS)
    starts = np.array([s for s, _ in pieces])
    ends = np.array([s + (n or 0) for s, n in pieces])
    assert len(pieces) == 3
    assert (starts[1:] >= ends[:-1]).all()
    assert starts[0] == pytest.approx(duration - ends[-1])
    assert (ends - starts).sum() == pytest.approx(6.0)


def test_a_file_within_the_limit_is_kept_whole() -> None:
    assert excerpts(6.0, SETTINGS) == [(0.0, None)]
    assert excerpts(1e5, CacheSettings(max_seconds=None)) == [(0.0, None)]


def test_peaks_above_full_scale_are_clipped_and_not_wrapped() -> None:
    loud = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0], np.float32)
    assert to_int16(loud).tolist() == [-32768, -32768, -16384, 0, 16384, 32767, 32767]
    kept = np.arange(-32768, 32768, dtype=np.int16)
    np.testing.assert_array_equal(to_int16(to_float32(kept)), kept)


def test_only_missing_content_is_decoded(tracks: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    finish(build(tracks[:1], folder, SETTINGS, workers=1))
    Path(tracks["path"][0]).unlink()  # decoding it again would fail
    assert estimate(tracks[:2], SETTINGS, folder).missing == 1
    result = finish(build(tracks[:2], folder, SETTINGS, workers=1))
    assert result.store.ids == ["a", "b"]
    assert result.quarantine.empty


def test_duplicates_are_decoded_once_and_fail_under_every_path(tracks: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.concat([tracks, tracks.assign(path=tracks["path"] + ".copy")])
    result = finish(build(twice, tmp_path / "cache", SETTINGS, workers=1))
    assert sorted(result.store.ids) == ["a", "b"]
    assert result.quarantine["path"].tolist() == [tracks["path"][2], tracks["path"][2] + ".copy"]


def test_a_file_changed_since_the_scan_is_left_out_and_a_touched_one_is_not(tmp_path: Path) -> None:
    paths = [tmp_path / "touched.wav", tmp_path / "changed.wav"]
    for path in paths:
        soundfile.write(path, noise(1.0, 1), RATE)
    scanned = [(content_id(p), str(p), 1.0, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    scanned[1] = ("0" * 32, *scanned[1][1:])
    os.utime(paths[0], (0, 0))
    soundfile.write(paths[1], noise(1.5, 2), RATE)
    scanned.append(("1" * 32, str(tmp_path / "gone.wav"), 1.0, 5, 5))
    tracks = pd.DataFrame(scanned, columns=["id", "path", "duration", "size", "mtime_ns"])
    result = finish(build(tracks, tmp_path / "cache", SETTINGS, workers=1))
    assert result.store.ids == [scanned[0][0]]
    assert result.quarantine[["path", "reason"]].to_numpy().tolist() == [
        [str(paths[1]), "changed"],
        [str(tmp_path / "gone.wav"), "missing_file"],
    ]


def test_work_that_is_left_keeps_what_is_done(tracks: pd.DataFrame, tmp_path: Path) -> None:
    work = build(tracks[:2], tmp_path / "cache", SETTINGS, workers=1)
    while next(work).done < 1:
        pass
    work.close()
    assert len(RaggedStore.open(samples_folder(tmp_path / "cache", SETTINGS), verify=True)) == 1
    assert len(finish(build(tracks[:2], tmp_path / "cache", SETTINGS, workers=1)).store) == 2


def test_a_crashed_decoder_is_a_reason(tracks: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: object, items: list[Any], *__: object) -> Iterator[tuple[Any, Lost]]:
        yield from ((item, Lost("its process died (SIGSEGV)")) for item in items)

    monkeypatch.setattr(cache, "in_processes", crash)
    result = finish(build(tracks[:1], tmp_path / "cache", SETTINGS))
    assert result.quarantine["reason"].tolist() == ["undecodable"]
    assert result.quarantine["detail"].tolist() == ["its process died (SIGSEGV)"]


def test_the_estimate_is_what_is_written(tracks: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "not yet there" / "cache"
    before = estimate(tracks[:2], SETTINGS, folder)
    finish(build(tracks[:2], folder, SETTINGS, workers=1))
    written = sum(f.stat().st_size for f in folder.rglob("*.*"))
    assert before.missing == 2
    assert 0.95 * written < before.needed_bytes < 1.05 * written
    assert estimate(tracks[:2], SETTINGS, folder).needed_bytes == 0


def test_a_small_disk_is_said_before_anything_is_written(
    tracks: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1024))
    with pytest.raises(CacheError, match=r"3 tracks need 220\.2 KiB and 1\.0 KiB is free.*--max-seconds"):
        finish(build(tracks, tmp_path / "cache", SETTINGS, workers=1))
    assert RaggedStore.open(samples_folder(tmp_path / "cache", SETTINGS)).ids == []


def test_a_second_process_waits_for_the_first(tracks: pd.DataFrame, tmp_path: Path) -> None:
    home = samples_folder(tmp_path / "cache", SETTINGS)
    with StoreWriter(home, "int16", SETTINGS.described, columns=0) as other:
        work = build(tracks[:1], tmp_path / "cache", SETTINGS, workers=1)
        assert "is writing to this cache" in next(work).note
        other.append("a", np.ones(5, np.int16), [(0, 5, 0.0)])
    np.testing.assert_array_equal(finish(work).store.read("a"), np.ones(5))


def test_other_settings_have_another_place(tmp_path: Path) -> None:
    places = {
        samples_folder(tmp_path, s)
        for s in (SETTINGS, CacheSettings(), CacheSettings(22_050), CacheSettings(max_seconds=None))
    }
    assert len(places) == 4


def test_the_default_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MIRCLR_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / "home" / ".cache" / "mirclr"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "mirclr"
    monkeypatch.setenv("MIRCLR_CACHE", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"


def levels(samples: np.ndarray) -> np.ndarray:
    """Mean and largest magnitude of every 100 samples: `(N, 2)`."""
    blocks = np.abs(samples[: len(samples) // 100 * 100]).reshape(-1, 100)
    return np.stack([blocks.mean(1), blocks.max(1)], axis=1)


@pytest.fixture
def samples(tmp_path: Path) -> RaggedStore:
    with StoreWriter(tmp_path / "samples", "int16", {"sample_rate": RATE}, columns=0) as writer:
        for name, seed in (("a", 1), ("b", 2)):
            writer.add(name, to_int16(noise(0.25, seed)), [(0, 750, 1.0), (750, 1250, 9.0)])
    return RaggedStore.open(tmp_path / "samples")


def test_derived_rows_are_the_transform_of_every_span(samples: RaggedStore, tmp_path: Path) -> None:
    derived = finish(build_derived(samples, ["b", "a", "b"], tmp_path, {"levels": 1}, levels, hop=100))
    assert derived.ids == ["b", "a"]
    assert derived.spans("a") == (Span(0, 7, 1.0), Span(7, 12, 9.0))
    second = to_float32(samples.read("a", 750, 1250))
    np.testing.assert_array_equal(derived.read("a", 7, 12), levels(second).astype(np.float16))


def test_derived_rows_are_made_once_for_the_same_settings(samples: RaggedStore, tmp_path: Path) -> None:
    asked: list[int] = []

    def counted(piece: np.ndarray) -> np.ndarray:
        asked.append(len(piece))
        return levels(piece)

    finish(build_derived(samples, ["a"], tmp_path, {"levels": 1}, counted, hop=100))
    both = finish(build_derived(samples, ["a", "b"], tmp_path, {"levels": 1}, counted, hop=100))
    assert both.ids == ["a", "b"]
    assert asked == [750, 1250] * 2
    finish(build_derived(samples, ["a"], tmp_path, {"levels": 2}, counted, hop=100))
    assert len(asked) == 6


def test_a_transform_that_breaks_its_contract_is_refused(samples: RaggedStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not frames 900 apart"):
        finish(build_derived(samples, ["a"], tmp_path, {}, levels, hop=900))
    for value in (np.inf, np.nan, 7e4):
        with pytest.raises(ValueError, match="float16 cannot hold"):
            finish(build_derived(samples, ["a"], tmp_path, {}, lambda x, v=value: levels(x) + v, hop=100))
    with pytest.raises(KeyError, match="absent"):
        finish(build_derived(samples, ["absent"], tmp_path, {}, levels, hop=100))
