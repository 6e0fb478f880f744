"""The leakage audit finds what it names, where it is, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.datasets.collection import Collection, artist_groups, content_of, joined_groups
from mirclr.datasets.leakage import audit, refuse_leaks
from mirclr.datasets.registry import AllowedLeak
from mirclr.datasets.splits import Split
from mirclr.datasets.table import load_collection, read_collection
from mirclr.errors import DatasetError, UsageError
from tests.support.collections_on_disk import labelled_rows, write_csv, write_sound, write_table


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def collection(artists: list[str | None], split: Split, **columns: list[object]) -> Collection:
    """A collection of files that need not exist, with one split."""
    tracks = pd.DataFrame({"id": [f"{i}.wav" for i in range(len(artists))], "artist": artists, **columns}, dtype=object)
    groups, _ = artist_groups(artists)
    targets = np.zeros(len(artists), np.int64)
    return Collection("mine", Path("/m"), "multiclass", ("a", "b"), tracks, targets, groups, [split])


def test_disjoint_artists_and_different_sounds_are_clean() -> None:
    split = Split("s", rows(0, 1), rows(2), rows(3))
    assert audit(collection(["A", "A", "B", "C"], split, content=["x", "x", None, "y"])) == []


def test_an_artist_on_both_sides_is_found_per_pair_of_parts() -> None:
    split = Split("s", rows(0, 1), rows(2), rows(3, 4))
    leaks = audit(collection(["Abba", "Beck", "ABBA ", "beck", "Can"], split))
    found = {(leak.kind, leak.parts): (leak.count, leak.examples) for leak in leaks}
    assert found == {
        ("artist_overlap", ("train", "valid")): (1, ("Abba",)),
        ("artist_overlap", ("train", "test")): (1, ("Beck",)),
    }


def test_unknown_artists_and_compilations_share_nothing() -> None:
    split = Split("s", rows(0, 1), rows(2), rows(3, 4))
    assert audit(collection([None, "Various Artists", None, "various  artists", ""], split)) == []


def test_the_same_row_in_two_parts_is_one_finding() -> None:
    split = Split("s", rows(0, 1), rows(2), rows(1, 3))
    leaks = audit(collection(["A", "B", "C", "D"], split, content=["x", "y", None, None]))
    assert [(leak.kind, leak.parts, leak.examples) for leak in leaks] == [("same_file", ("train", "test"), ("1.wav",))]


@pytest.mark.parametrize("column", ["content", "audio_id"])
def test_a_recording_in_two_parts_is_found_by_bytes_or_by_sound(column: str) -> None:
    split = Split("s", rows(0, 1), rows(2), rows(3))
    leaks = audit(collection([None] * 4, split, **{column: ["x", "y", None, "x"]}))
    assert [(leak.kind, leak.parts, leak.examples) for leak in leaks] == [
        ("duplicate_audio", ("train", "test"), ("0.wav = 3.wav",))
    ]


def test_an_identical_copy_with_other_tags_is_known_once_the_audio_ids_are() -> None:
    split = Split("s", rows(0), rows(1), rows(2))
    made = collection(["A", "B", "C"], split, path=["/m/0.wav", "/m/1.wav", "/m/2.wav"])
    assert audit(made) == []
    scanned = pd.DataFrame({"path": ["/m/2.wav", "/m/0.wav"], "audio_id": ["same", "same"]})
    assert [leak.examples for leak in audit(made.with_audio_ids(scanned))] == [("0.wav = 2.wav",)]


def test_leaks_are_refused_with_counts_and_examples_unless_allowed_by_name() -> None:
    split = Split("s", rows(0, 1, 2, 3), rows(4), rows(5, 6, 7, 8))
    made = collection([*"ABCD", "E", *"ABCD"], split, content=["x", *[None] * 7, "x"])
    leaks = audit(made)
    with pytest.raises(DatasetError) as caught:
        refuse_leaks(made, leaks)
    assert "artist_overlap: s: 4 artists in train and test: A, B, C, ..." in str(caught.value)
    assert "duplicate_audio: s: 1 recording in train and test: 0.wav = 8.wav" in str(caught.value)
    assert "--allow-leak artist_overlap --allow-leak duplicate_audio" in str(caught.value)
    with pytest.raises(DatasetError, match="duplicate_audio") as one:
        refuse_leaks(made, leaks, ["artist_overlap"])
    assert "artist_overlap: s" not in str(one.value)
    notes = refuse_leaks(made, leaks, ["artist_overlap", "duplicate_audio"])
    assert [note.split(":")[0] for note in notes] == ["allowed leak (allowed by --allow-leak)"] * 2


def test_the_reason_of_the_declaration_is_printed() -> None:
    split = Split("s", rows(0), rows(1), rows(2))
    made = collection(["A", "B", "A"], split)
    allowed = AllowedLeak(kind="artist_overlap", reason="as published in 2002")
    (note,) = refuse_leaks(Collection(**{**vars(made), "allow": (allowed,)}), audit(made))
    assert note == "allowed leak (as published in 2002): artist_overlap: s: 1 artist in train and test: A"


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    made = collection(["A", "B", "C"], Split("s", rows(0), rows(1), rows(2)))
    with pytest.raises(UsageError, match=r"artist_overlop: no such leak\. Did you mean 'artist_overlap'"):
        refuse_leaks(made, [], ["artist_overlop"])


def test_content_is_read_only_where_sizes_agree(tmp_path: Path) -> None:
    a = write_sound(tmp_path / "a.wav", 1)
    b = Path(shutil.copy(a, tmp_path / "b.wav"))
    c, longer = write_sound(tmp_path / "c.wav", 2), write_sound(tmp_path / "d.wav", 1, seconds=0.06)
    first, copy, other, alone = content_of([str(p) for p in (a, b, c, longer)])
    assert first == copy != other
    assert alone is None
    (tmp_path / "e.wav").touch()
    (tmp_path / "f.wav").touch()
    assert content_of([str(tmp_path / name) for name in ("e.wav", "f.wav")]) == [None, None]
    assert content_of([str(tmp_path / name) for name in ("gone.wav", "a.wav", "lost.wav")]) == [None, None, None]


def test_groups_that_share_a_recording_are_one_group() -> None:
    joined = joined_groups(np.array([0, 1, 2, 3, 4]), ["x", "y", None, "x", "y"])
    assert joined[0] == joined[3]
    assert joined[1] == joined[4]
    assert len(set(joined.tolist())) == 3
    chain = joined_groups(np.array([0, 1, 1, 2]), ["x", "x", "y", "y"])
    assert len(set(chain.tolist())) == 1


def test_seeded_folds_keep_copies_together_but_a_published_split_is_held_to_account(tmp_path: Path) -> None:
    listed = [{**row, "split": "train" if i < 8 else "test"} for i, row in enumerate(labelled_rows())]
    path = write_table(tmp_path, listed)
    shutil.copy(tmp_path / "0-0.wav", tmp_path / "5-0.wav")
    assert audit(load_collection(path, split="folds", folds=3)) == []
    with pytest.raises(
        DatasetError, match=r"duplicate_audio: split: 1 recording in (train|valid) and test: 0-0.wav = 5-0.wav"
    ):
        load_collection(path)
    accepted = load_collection(path, allow=["duplicate_audio"])
    assert any(note.startswith("allowed leak") for note in accepted.notes)


def test_leaking_artists_of_a_published_split_are_refused_and_still_readable(tmp_path: Path) -> None:
    listed = [{**row, "split": "train" if i % 2 else "test"} for i, row in enumerate(labelled_rows())]
    path = write_table(tmp_path, listed)
    with pytest.raises(DatasetError, match=r"artist_overlap: split: \d artists in train and test"):
        load_collection(path)
    found = audit(read_collection(path))
    assert {leak.kind for leak in found} == {"artist_overlap"}
    assert sum(leak.count for leak in found if leak.parts[1] == "test") == 6


def test_a_list_that_names_a_track_twice_is_found(tmp_path: Path) -> None:
    listed = [{"path": row["path"], "label": row["label"]} for row in labelled_rows()]
    write_table(tmp_path, listed)
    names = [str(row["path"]) for row in listed]
    (tmp_path / "train.txt").write_text("\n".join(names[:8]))
    (tmp_path / "test.txt").write_text("\r\n".join(names[7:]))
    (tmp_path / "datasets.yaml").write_text(
        "version: 1\ncollections:\n  mine: {title: T, licence: L, citation: C, where: W, root: ., task: multiclass,\n"
        "    table: {file: labels.csv, labels: [label]}, splits: {p: {files: {train: train.txt, test: test.txt}}}}\n"
    )
    with pytest.raises(DatasetError, match=r"same_file: p: 1 file in (train|valid) and test: 3-1.wav"):
        load_collection("mine", registry=tmp_path / "datasets.yaml")
    write_csv(tmp_path / "labels.csv", listed[:-1])
    with pytest.raises(DatasetError, match=r"test.txt: 1 line\(s\) name no track of mine: '5-1.wav'"):
        load_collection("mine", registry=tmp_path / "datasets.yaml")
