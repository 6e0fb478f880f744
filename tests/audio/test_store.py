"""The ragged store: what goes in comes out, a kill never gives a wrong row, damage never passes for data."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mirclr.audio.store import RaggedStore, Span
from mirclr.audio.store_writer import StoreBusy, StoreWriter
from mirclr.errors import CacheError
from tests.support.store_writer_process import SETTINGS, row_of


def filled(folder: Path, count: int = 4) -> dict[str, np.ndarray]:
    rows = {str(n): row_of(n) for n in range(count)}
    with StoreWriter(folder, "int16", SETTINGS, columns=0) as writer:
        for row_id, row in rows.items():
            writer.append(row_id, row, [(0, len(row), 0.0)])
    return rows


def assert_same(store: RaggedStore, rows: dict[str, np.ndarray]) -> None:
    assert store.ids == list(rows)
    for row_id, row in rows.items():
        np.testing.assert_array_equal(store.read(row_id), row)


def flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def test_rows_of_unequal_length_come_back_as_written(tmp_path: Path) -> None:
    rows = filled(tmp_path)
    store = RaggedStore.open(tmp_path, SETTINGS, verify=True)
    assert_same(store, rows)
    assert [store.length(i) for i in store.ids] == [len(r) for r in rows.values()]
    np.testing.assert_array_equal(store.read("2", 10, 25), rows["2"][10:35])


def test_frames_keep_their_columns_and_spans(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float16)
    with StoreWriter(tmp_path, "float16", {}) as writer:
        writer.append("a", frames, [(0, 20, 0.0), (20, 30, 7.5)])
    store = RaggedStore.open(tmp_path)
    assert store.columns == 64
    assert store.spans("a") == (Span(0, 20, 0.0), Span(20, 30, 7.5))
    np.testing.assert_array_equal(store.read("a", 45, 5), frames[45:])


def test_reading_outside_a_row_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    store = RaggedStore.open(tmp_path)
    with pytest.raises(ValueError, match="cannot read 2 from"):
        store.read("0", store.length("0") - 1, 2)
    with pytest.raises(ValueError, match="cannot read 1 from -1"):
        store.read("0", -1, 1)


def test_a_view_cannot_change_the_store(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with pytest.raises(ValueError, match="read-only"):
        RaggedStore.open(tmp_path).read("0")[:] = 0


def test_missing_lists_each_absent_id_once(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    assert RaggedStore.open(tmp_path).missing(["9", "0", "7", "9"]) == ["9", "7"]


def test_a_pickled_store_sees_the_same_rows_after_more_were_appended(tmp_path: Path) -> None:
    rows = filled(tmp_path, 2)
    carried = pickle.dumps(RaggedStore.open(tmp_path))
    with StoreWriter(tmp_path, "int16", SETTINGS, columns=0) as writer:
        writer.append("new", row_of(9), [(0, len(row_of(9)), 0.0)])
    assert len(carried) < 2_000
    assert_same(pickle.loads(carried), rows)


def test_rows_that_break_the_contract_are_refused(tmp_path: Path) -> None:
    row = np.zeros(10, np.int16)
    with StoreWriter(tmp_path, "int16", {}, columns=0) as writer:
        writer.append("a", row, [(0, 10, 0.0)])
        with pytest.raises(ValueError, match="already in"):
            writer.add("a", row, [(0, 10, 0.0)])
        with pytest.raises(ValueError, match="does not fit"):
            writer.add("b", row.astype(np.float32), [(0, 10, 0.0)])
        for spans in ([(0, 9, 0.0)], [(1, 9, 0.0)], [(0, 10, 0.0), (10, 0, 1.0)], []):
            with pytest.raises(ValueError, match="do not cover"):
                writer.add("b", row, spans)
    assert RaggedStore.open(tmp_path).ids == ["a"]


@pytest.mark.parametrize("torn", ["index.jsonl", "data.bin"])
def test_every_torn_tail_loses_only_the_last_row(tmp_path: Path, torn: str) -> None:
    rows = filled(tmp_path, 2)
    lines = (tmp_path / "index.jsonl").read_bytes().splitlines(keepends=True)
    first, last = len(lines[0]), len(lines[0]) + len(lines[1])
    cuts = [*range(first, last, 3), last - 1] if torn == "index.jsonl" else [first]
    index, data = (tmp_path / n for n in ("index.jsonl", "data.bin"))
    whole = index.read_bytes(), data.read_bytes()
    for cut in cuts:
        index.write_bytes(whole[0][:cut])
        data.write_bytes(whole[1][:-1] if torn == "data.bin" else whole[1])
        assert_same(RaggedStore.open(tmp_path, verify=True), {"0": rows["0"]})
        with StoreWriter(tmp_path, "int16", SETTINGS, columns=0) as writer:
            assert writer.missing(rows) == ["1"]
            writer.append("1", rows["1"], [(0, len(rows["1"]), 0.0)])
        assert_same(RaggedStore.open(tmp_path, verify=True), rows)


def test_rows_without_a_line_are_written_over(tmp_path: Path) -> None:
    rows = filled(tmp_path, 1)
    with (tmp_path / "data.bin").open("ab") as file:
        file.write(b"half a row")
    with StoreWriter(tmp_path, "int16", SETTINGS, columns=0) as writer:
        writer.append("1", row_of(1), [(0, len(row_of(1)), 0.0)])
    assert_same(RaggedStore.open(tmp_path, verify=True), {**rows, "1": row_of(1)})


def test_a_killed_writer_never_leaves_a_wrong_row(tmp_path: Path) -> None:
    module = [sys.executable, "-m", "tests.support.store_writer_process", str(tmp_path)]
    counts = []
    for wait in (0.0, 0.02, 0.05, 0.13, 0.21):
        with subprocess.Popen(module, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"writing\n"
            time.sleep(wait)
            process.kill()
        store = RaggedStore.open(tmp_path, SETTINGS, verify=True)
        assert_same(store, {str(n): row_of(n) for n in range(len(store))})
        counts.append(len(store))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_flipped_bit_of_a_row_is_found_on_its_first_read(tmp_path: Path) -> None:
    rows = filled(tmp_path)
    flip(tmp_path / "data.bin", 2 * (len(rows["0"]) + 5))
    store = RaggedStore.open(tmp_path)
    np.testing.assert_array_equal(store.read("0"), rows["0"])
    with pytest.raises(CacheError, match=r"data\.bin: the row of 1 is damaged; delete the folder"):
        store.read("1", 100, 1)
    with pytest.raises(CacheError, match=r"data\.bin: the row of 1 is damaged"):
        RaggedStore.open(tmp_path, verify=True)


def test_no_flipped_bit_of_the_index_gives_a_wrong_row(tmp_path: Path) -> None:
    rows = filled(tmp_path, 3)
    index = tmp_path / "index.jsonl"
    whole = index.read_bytes()
    last_line = len(whole) - len(whole.splitlines()[-1]) - 1
    for position in range(0, len(whole), 7):
        index.write_bytes(whole)
        flip(index, position)
        if position < last_line:
            with pytest.raises(CacheError, match=r"index\.jsonl: line \d is damaged; delete the folder"):
                RaggedStore.open(tmp_path)
        else:
            assert_same(RaggedStore.open(tmp_path, verify=True), {i: rows[i] for i in ("0", "1")})


def test_data_shorter_than_the_index_is_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    os.truncate(tmp_path / "data.bin", 100)
    for attempt in (lambda: RaggedStore.open(tmp_path), lambda: StoreWriter(tmp_path, "int16", SETTINGS, columns=0)):
        with pytest.raises(CacheError, match=r"data\.bin: 100 bytes where the index names \d+; delete"):
            attempt()


def test_a_store_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(CacheError, match="sample_rate: 8000 here, 16000 wanted"):
        RaggedStore.open(tmp_path, {"sample_rate": 16000})
    with pytest.raises(CacheError, match="holds int16 x 0, not float16 x 64"):
        StoreWriter(tmp_path, "float16", SETTINGS, columns=64)


def test_a_missing_or_damaged_settings_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no cache here"):
        RaggedStore.open(tmp_path)
    filled(tmp_path)
    settings = tmp_path / "settings.json"
    text = settings.read_text()
    settings.write_text(text[:-5])
    with pytest.raises(CacheError, match=r"settings\.json: damaged"):
        RaggedStore.open(tmp_path)
    settings.write_text(text.replace("store 1", "store 9"))
    with pytest.raises(CacheError, match="another version"):
        RaggedStore.open(tmp_path)
    settings.unlink()
    with pytest.raises(CacheError, match=r"settings\.json is missing; delete"):
        StoreWriter(tmp_path, "int16", SETTINGS, columns=0)


def test_one_writer_many_readers(tmp_path: Path) -> None:
    rows = filled(tmp_path, 1)
    with StoreWriter(tmp_path, "int16", SETTINGS, columns=0) as writer:
        with pytest.raises(StoreBusy, match=f"process {os.getpid()} is writing"):
            StoreWriter(tmp_path, "int16", SETTINGS, columns=0)
        writer.add("1", row_of(1), [(0, len(row_of(1)), 0.0)])
        assert_same(RaggedStore.open(tmp_path), rows)
        writer.commit()
        assert_same(RaggedStore.open(tmp_path), {**rows, "1": row_of(1)})
    StoreWriter(tmp_path, "int16", SETTINGS, columns=0).close()


def test_an_empty_store_opens(tmp_path: Path) -> None:
    StoreWriter(tmp_path, "int16", SETTINGS, columns=0).close()
    assert RaggedStore.open(tmp_path, SETTINGS, verify=True).ids == []


def test_a_full_disk_is_said_and_what_was_committed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = row_of(1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with StoreWriter(tmp_path, "int16", SETTINGS, columns=0) as writer:
        writer.append("0", row, [(0, len(row), 0.0)])
        with monkeypatch.context() as patch:
            patch.setattr("os.pwrite", full)
            with pytest.raises(CacheError, match=r"No space left on device.*free some space"):
                writer.add("1", row, [(0, len(row), 0.0)])
        writer.append("2", row, [(0, len(row), 0.0)])
    assert_same(RaggedStore.open(tmp_path, verify=True), {"0": row, "2": row})


def test_a_place_that_cannot_hold_a_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"cannot write \(Not a directory\)"):
        StoreWriter(tmp_path / "file" / "store", "int16", SETTINGS, columns=0)
