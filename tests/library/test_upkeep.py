"""Statistics, verification, vacuum, purge, export and import, and the `mirclr library` group that shows them."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from mirclr.errors import StoreError, UsageError
from mirclr.features.measures import SIZES, Measures
from mirclr.library import search
from mirclr.library.exchange import export_library, import_library
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.library.upkeep import stats, verify
from mirclr.reports import finish
from mirclr.seeds import generator
from tests.support.library import Bands, fill, track_row
from tests.support.old_store import as_version_1

ODD = "/m/\udcff it's\n odd.mp3"


def mirclr(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["library", *map(str, arguments)])
    assert result.exit_code == code, result.stderr
    return result


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Eight paths of seven sounds, one missing, one not measured, real files for two."""
    for name in "ab":
        (tmp_path / f"{name}.mp3").write_text(name)
    rows = [track_row(str(tmp_path / f"{name}.mp3"), **stamp(tmp_path / f"{name}.mp3")) for name in "ab"]
    rows += [track_row(f"/m/{i}", artist=f"Artist {i % 3}", year=1990 + i) for i in range(4)]
    rows += [track_row("/m/copy", "/m/0"), track_row(ODD, title='a "title"')]
    draw = generator(0, "upkeep")
    vectors = draw.normal(size=(8, 8)).astype(np.float32)
    vectors[6] = vectors[2]
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        fill(library, rows, vectors)
        with library.batch():
            for row in rows[:-1]:
                blocks = (draw.normal(size=size).astype(np.float32) for size in SIZES.values())
                library.put_measures(row["audio_id"], Measures(120.0, "C major", -9.0, *blocks), "mine")
            library.mark_missing([b"/m/3"])
            library.put_quarantine([{"path": "/bad", "reason": "drm", "detail": "locked"}])
    return tmp_path / "a.db"


def stamp(path: Path) -> dict[str, int]:
    return {"size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}


def test_statistics_count_what_is_there(store: Path) -> None:
    with Library.open(store) as library:
        found = stats(library)
    expected = {
        "tracks": 7,
        "missing": 1,
        "quarantined": 1,
        "ignored": 0,
        "distinct_audio": 6,
        "measured": 5,
        "artists": 3,
    }
    assert {name: found[name] for name in expected} == expected
    assert json.loads(mirclr("stats", "--store", store, "--json").stdout)["hours"] == round(6 * 200.4 / 3600, 2)
    assert "tracks\t7" in mirclr("stats", "--store", store).stdout


def test_a_whole_store_is_whole_and_files_are_asked_for(store: Path, tmp_path: Path) -> None:
    assert mirclr("verify", "--store", store, "--json").stdout.strip() == "[]"
    found = json.loads(mirclr("verify", "--files", "--store", store, "--json", code=3).stdout)
    assert {row["reason"] for row in found} == {"missing_file"}
    assert len(found) == 5  # the tracks under /m that are live
    os.utime(tmp_path / "a.mp3", ns=(1, 1))
    with Library.open(store) as library:
        again = finish(verify(library, files=True))
    assert [row["path"] for row in again if row["reason"] == "changed_since"] == [str(tmp_path / "a.mp3")]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE vectors SET vector = zeroblob(4) WHERE audio_id = ?", "vector"),
        ("UPDATE vectors SET vector = CAST(x'0000c07f' || substr(vector, 5) AS BLOB) WHERE audio_id = ?", "vector"),
        ("UPDATE segments SET starts = zeroblob(8) WHERE audio_id = ?", "moments"),
        ("DELETE FROM segments WHERE audio_id = ?", "moments"),
        ("DELETE FROM vectors WHERE audio_id = ?", "no_vector"),
    ],
)
def test_damage_is_found(store: Path, damage: str, reason: str) -> None:
    audio_id = track_row("/m/1")["audio_id"]
    with sqlite3.connect(store) as broken:
        broken.execute(damage, (audio_id,))
    broken.close()
    with Library.open(store) as library:
        found = finish(verify(library))
    assert [(row["reason"], audio_id in row["detail"]) for row in found] == [(reason, True)]


def test_a_packed_copy_that_lies_is_found(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PACKED_FROM", 3)
    monkeypatch.setattr(search, "COMPARED", 1)  # the first row alone is compared when it opens
    with Library.open(store) as library:
        Catalogue.load(library)
        assert finish(verify(library)) == []
        side = store.with_name("a.db-packed")
        content = bytearray(side.read_bytes())
        content[-17] ^= 0x40
        side.write_bytes(content)
        assert [row["reason"] for row in finish(verify(library))] == ["packed_copy"]


def test_purge_deletes_what_is_missing_and_vacuum_gives_the_space_back(store: Path) -> None:
    assert json.loads(mirclr("purge", "--store", store, "--json").stdout) == {
        "store": str(store),
        "tracks": 1,
        "audio": 1,
    }
    with Library.open(store) as library:
        assert b"/m/3" not in library.stamps()
    told = json.loads(mirclr("vacuum", "--store", store, "--json").stdout)
    assert told["bytes_after"] <= told["bytes_before"]
    assert mirclr("verify", "--store", store, "--json").stdout.strip() == "[]"


def contents(
    store: Path,
) -> tuple[pd.DataFrame, np.ndarray, dict[str, np.ndarray], list[tuple[list[float], list[float]]]]:
    with Library.open(store) as library:
        found = library.contents()
        ids = found.tracks.drop_duplicates("row")["audio_id"].tolist()
        moments = [tuple(part.ravel().tolist() for part in parts) for parts in library.segments(ids)]
        return found.tracks, found.vectors, library.descriptors(ids), moments  # type: ignore[return-value]


def test_an_export_comes_back_whole(store: Path, tmp_path: Path) -> None:
    said = mirclr("export", tmp_path / "all.npz", "--store", store).stderr
    assert "wrote 7 track(s)" in said
    mirclr("import", tmp_path / "all.npz", "--store", tmp_path / "new.db")
    old, new = contents(store), contents(tmp_path / "new.db")
    pd.testing.assert_frame_equal(old[0], new[0])
    np.testing.assert_array_equal(old[1], new[1])
    for name, matrix in old[2].items():
        np.testing.assert_array_equal(matrix, new[2][name])
    assert old[3] == new[3]
    with Library.open(tmp_path / "new.db", Bands()) as library:  # bound to the same encoder
        assert library.unmeasured("mine")["path"].tolist() == [ODD]


def test_an_old_store_is_exported_and_comes_back(store: Path, tmp_path: Path) -> None:
    as_version_1(store, tmp_path / "old.db")
    with Library.open(tmp_path / "old.db") as library:
        export_library(library, tmp_path / "old.npz")
    import_library(tmp_path / "old.npz", tmp_path / "new.db")
    old, new = contents(tmp_path / "old.db"), contents(tmp_path / "new.db")
    pd.testing.assert_frame_equal(old[0], new[0])
    np.testing.assert_array_equal(old[1], new[1])


def test_an_import_replaces_nothing_and_refuses_what_is_no_export(store: Path, tmp_path: Path) -> None:
    with Library.open(store) as library:
        export_library(library, tmp_path / "all.npz")
        with pytest.raises(UsageError, match=r"export to .npz or .parquet"):
            export_library(library, tmp_path / "all.csv")
    with pytest.raises(UsageError, match="exists already"):
        import_library(tmp_path / "all.npz", store)
    content = (tmp_path / "all.npz").read_bytes()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name, bad in {"empty": b"", "text": b"hello", "cut": content[: len(content) // 2]}.items():
        (tmp_path / f"{name}.npz").write_bytes(bad)
    for name in ("empty", "text", "cut", "other", "none"):
        with pytest.raises(StoreError, match=f"{name}.npz: not an exported library"):
            import_library(tmp_path / f"{name}.npz", tmp_path / "new.db")
    assert not [path for path in tmp_path.iterdir() if "new.db" in path.name]


def test_parquet_is_a_table_of_paths_or_says_what_it_needs(store: Path, tmp_path: Path) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        said = mirclr("export", tmp_path / "all.parquet", "--store", store, code=2).stderr
        assert "pip install 'mirclr[tables]'" in said
        assert not (tmp_path / "all.parquet").exists()
    else:
        mirclr("export", tmp_path / "all.parquet", "--store", store)
        table = pd.read_parquet(tmp_path / "all.parquet")
        assert len(table) == 7
        assert len(table["vector"][0]) == 8
        assert table["key"].tolist().count("C major") == 6
