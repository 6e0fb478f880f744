"""Embedding a table: order, quarantine, and files of vectors that read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from mirclr.audio.decode import decode
from mirclr.errors import UsageError
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import track_vector
from mirclr.features.vector_file import write_vectors
from mirclr.reports import finish
from tests.support.tones import tone_folder


class Loudness:
    """Level and length of every half second: an extractor whose answers are known."""

    name, fingerprint, dim, sample_rate = "loudness", "00", 2, 8000

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [samples[i : i + 4000] for i in range(0, len(samples), 4000)]
        rows = [[np.sqrt((p**2).mean()), len(p)] for p in parts]
        return np.array(rows, np.float32), np.arange(len(parts)) * 0.5


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_keep_their_order_and_bad_files_are_listed(tmp_path: Path, workers: int) -> None:
    tracks = tone_folder(tmp_path, 6)
    (tmp_path / "03.flac").write_bytes(b"this is text, not sound, whatever it is called")
    soundfile.write(tmp_path / "04.flac", np.zeros(0, np.float32), 8000, format="WAV")
    done = finish(embed_tracks(Loudness(), tracks, workers))
    assert list(done.tracks["path"]) == [p for p in tracks["path"] if not p.endswith(("03.flac", "04.flac"))]
    assert [Path(p).name for p in done.quarantine["path"]] == ["03.flac", "04.flac"]
    assert done.quarantine["reason"].iloc[1] == "zero_length"
    for row, path in enumerate(done.tracks["path"]):
        segments, _ = Loudness().segments(decode(path, 8000))
        np.testing.assert_array_equal(done.segments[row], segments)
        np.testing.assert_array_equal(done.vectors[row], track_vector(segments))


def test_long_files_are_heard_in_excerpts_and_starts_are_places_in_the_file(tmp_path: Path) -> None:
    """Level tells where a second comes from: the file gets louder second by second."""
    seconds = np.repeat(np.arange(1, 201) / 250, 8000).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", seconds, 8000)
    tracks = pd.DataFrame({"path": [str(tmp_path / "long.wav")], "duration": [200.0]})
    done = finish(embed_tracks(Loudness(), tracks, 1, max_seconds=60.0))
    starts, levels = done.starts[0], done.segments[0][:, 0]
    assert len(starts) == 120
    np.testing.assert_allclose(levels, (np.floor(starts + 1e-6) + 1) / 250, atol=1e-4)
    assert (starts.min(), starts.max()) == (35.0, 164.5)
    whole = finish(embed_tracks(Loudness(), tracks, 1, max_seconds=200.0))
    assert len(whole.starts[0]) == 400


def test_an_empty_table_has_no_vectors() -> None:
    done = finish(embed_tracks(Loudness(), pd.DataFrame({"path": []})))
    assert done.vectors.shape == (0, 2)


PATHS = ["/music/a.mp3", "/music/with, comma.mp3", "/music/ünï.mp3"]
VECTORS = np.array([[1.5, -2e-7], [np.pi, 0], [3, 4]], np.float32)


def test_npz_holds_two_plain_arrays(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npz", PATHS, VECTORS)
    with np.load(tmp_path / "v.npz", allow_pickle=False) as read:
        assert sorted(read.files) == ["path", "vector"]
        assert read["path"].tolist() == PATHS
        assert read["vector"].dtype == np.float32
        np.testing.assert_array_equal(read["vector"], VECTORS)


def test_csv_reads_back_to_the_bit(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.csv", PATHS, VECTORS)
    read = pd.read_csv(tmp_path / "v.csv")
    assert read["path"].tolist() == PATHS
    np.testing.assert_array_equal(read[["v0", "v1"]].to_numpy(np.float32), VECTORS)


def test_an_unknown_suffix_or_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.npz, \.csv, \.parquet"):
        write_vectors(tmp_path / "v.pkl", PATHS, VECTORS)
    with pytest.raises(UsageError, match="no such folder"):
        write_vectors(tmp_path / "missing" / "v.npz", PATHS, VECTORS)
