"""DATASET is a name, a folder per label or a table of one's own; what is listed and what is there are told apart."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from mirclr.datasets.folders import artist_from_tags
from mirclr.datasets.listing import on_disk
from mirclr.datasets.table import load_collection, read_collection
from mirclr.errors import DatasetError, UsageError
from tests.support.collections_on_disk import labelled_rows, write_csv, write_sound, write_table


def declare(folder: Path, changes: str = "", table: str = "file: labels.csv, labels: [label], artist: artist") -> Path:
    """A datasets.yaml with the one entry `mine` over labels.csv beside it."""
    path = folder / "datasets.yaml"
    facts = "title: T, licence: Some licence, citation: C, where: Ask them, root: ., task: multiclass"
    path.write_text(
        f"version: 1\ncollections:\n  mine: {{{facts}, table: {{{table}}}, splits: {{s: {{folds: 3}}}}{changes}}}\n"
    )
    return path


def folders(root: Path, *names: str, each: int = 4) -> Path:
    for name in names:
        for number in range(each):
            write_sound(root / name / f"{number}.wav", f"{name}{number}")
    return root


def test_a_declared_table_becomes_tracks_targets_and_groups(tmp_path: Path) -> None:
    write_table(tmp_path, labelled_rows())
    made = load_collection("mine", registry=declare(tmp_path))
    assert (made.name, made.root, made.task, made.vocabulary) == ("mine", tmp_path, "multiclass", ("jig", "reel"))
    assert made.tracks["id"].tolist() == [row["path"] for row in labelled_rows()]
    assert made.tracks["path"].tolist() == [str(tmp_path / str(row["path"])) for row in labelled_rows()]
    assert made.tracks["artist"].tolist() == [row["artist"] for row in labelled_rows()]
    assert made.targets.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
    assert made.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert (made.licence, made.listed, made.missing, made.excluded) == ("Some licence", (6, 6), (), {})
    assert [split.name for split in made.splits] == ["s/0", "s/1", "s/2"]


def test_compilations_are_no_single_artist(tmp_path: Path) -> None:
    write_table(tmp_path, labelled_rows())
    made = load_collection("mine", registry=declare(tmp_path, ", not_artists: [artist 0]"))
    assert made.tracks["artist"].tolist()[:3] == [None, None, "Artist 1"]
    assert len(set(made.groups.tolist())) == 7
    assert "2 of 12 tracks name no single artist: overlap cannot be judged there" in made.notes


def test_known_bad_files_are_left_out_with_their_reasons(tmp_path: Path) -> None:
    write_table(
        tmp_path, [{**row, "label": "" if row["path"] == "0-0.wav" else row["label"]} for row in labelled_rows()]
    )
    made = load_collection("mine", registry=declare(tmp_path, ", known_bad: {./0-0.wav: no label, 9-9.wav: not mine}"))
    assert made.excluded == {"0-0.wav": "no label"}
    assert "0-0.wav" not in made.tracks["id"].tolist()
    assert made.listed == (5, 6)
    assert "1 known-bad file(s) are left out" in made.notes


def test_missing_files_are_counted_up_to_a_twentieth_and_refused_beyond(tmp_path: Path) -> None:
    rows = labelled_rows(artists=10, tracks_each=4)
    path = write_table(tmp_path, rows)
    for row in rows[:2]:
        (tmp_path / str(row["path"])).unlink()
    made = load_collection(path)
    assert made.missing == ("0-0.wav", "0-1.wav")
    assert len(made.tracks) == len(made.targets) == len(made.groups) == 38
    assert made.listed == (20, 20)
    assert max(split.test.max() for split in made.splits) == 37
    assert "2 listed file(s) are missing" in made.notes
    (tmp_path / str(rows[5]["path"])).unlink()
    with pytest.raises(DatasetError, match=r"3 of 40 listed files are missing .* at most 5% may be: 0-0\.wav, "):
        load_collection(path)
    assert len(read_collection(path, max_missing=1.0).tracks) == 37


def test_a_split_column_follows_its_rows_past_missing_and_bad_files(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if i % 8 > 5 else "train"} for i, row in enumerate(labelled_rows(12, 4))]
    write_table(tmp_path, rows)
    (tmp_path / "0-0.wav").unlink()
    table = declare(tmp_path, ", known_bad: {0-1.wav: broken}")
    table.write_text(table.read_text().replace("{folds: 3}", "{column: split}"))
    (split,) = read_collection("mine", registry=table).splits
    ids = read_collection("mine", registry=table).tracks["id"].to_numpy()
    assert ids[split.test].tolist() == [row["path"] for row in rows if row["split"] == "test"]


def test_nothing_at_all_is_always_an_error_that_says_where_to_get_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "labels.csv", labelled_rows())
    with pytest.raises(DatasetError, match=r"12 of 12 listed files are missing .* Ask them"):
        read_collection("mine", registry=declare(tmp_path), max_missing=1.0)


@pytest.mark.parametrize("name", ["../out.wav", "a/../../out.wav", ".."])
def test_a_path_never_leaves_the_root(tmp_path: Path, name: str) -> None:
    rows = labelled_rows()
    write_table(tmp_path / "in", rows)
    write_sound(tmp_path / "out.wav", 1)
    write_csv(tmp_path / "in" / "labels.csv", [*rows, {**rows[0], "path": name}])
    for dataset, kwargs in (("mine", {"registry": declare(tmp_path / "in")}), (tmp_path / "in" / "labels.csv", {})):
        with pytest.raises(DatasetError, match=r"paths lead out of .* \(1 row, at line 14\)"):
            load_collection(dataset, **kwargs)


def test_absolute_paths_are_for_ones_own_table_only(tmp_path: Path) -> None:
    rows = labelled_rows()
    write_table(tmp_path / "in", rows[1:])
    outside = write_sound(tmp_path / "out.wav", 1)
    path = write_csv(tmp_path / "in" / "labels.csv", [{**rows[0], "path": str(outside)}, *rows[1:]])
    made = load_collection(path, folds=3)
    assert made.tracks["id"].tolist()[:2] == [str(outside), "0-1.wav"]
    assert made.tracks["path"].tolist()[:2] == [str(outside), str(tmp_path / "in" / "0-1.wav")]
    with pytest.raises(DatasetError, match=r"paths have to be relative to .* \(1 row, at line 2\)"):
        load_collection("mine", registry=declare(tmp_path / "in"))


def test_a_file_listed_twice_is_named(tmp_path: Path) -> None:
    rows = labelled_rows()
    path = write_table(tmp_path, [*rows, {**rows[3], "path": "./1-1.wav"}])
    with pytest.raises(DatasetError, match=r"the same file is listed twice \(2 rows, at line 5, 14\)"):
        load_collection(path)


@pytest.mark.parametrize("header", [("path", "label"), ("File", "GENRE"), ("filename", "class")])
def test_columns_of_ones_own_table_are_recognised(tmp_path: Path, header: tuple[str, str]) -> None:
    rows = [{header[0]: row["path"], header[1]: row["label"], "noise": 1} for row in labelled_rows()]
    for row in labelled_rows():
        write_sound(tmp_path / str(row["path"]), str(row["path"]))
    made = load_collection(write_csv(tmp_path / "t.tsv", rows, delimiter="\t"))
    assert made.vocabulary == ("jig", "reel")
    assert made.tracks["artist"].isna().all()
    assert len(set(made.groups.tolist())) == 12


def test_unrecognised_columns_are_an_error_that_lists_them(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [{"wav": "a.wav", "mood": "calm"}])
    with pytest.raises(DatasetError, match="no path column; columns found: wav, mood; recognised as path: path, file"):
        load_collection(path)
    path = write_csv(tmp_path / "t.csv", [{"path": "a.wav", "mood": "calm"}])
    with pytest.raises(
        DatasetError, match="no label column; columns found: path, mood; recognised as label: label, genre"
    ):
        load_collection(path)


def test_another_label_column_can_be_named(tmp_path: Path) -> None:
    rows = [{**row, "mood": f"mood {i % 3}"} for i, row in enumerate(labelled_rows(tracks_each=6))]
    path = write_table(tmp_path, rows)
    assert load_collection(path, label="mood").vocabulary == ("mood 0", "mood 1", "mood 2")
    registry = declare(tmp_path, ", vocabulary: [jig, reel]")
    assert load_collection("mine", registry=registry, label="mood").vocabulary == ("mood 0", "mood 1", "mood 2")
    with pytest.raises(
        DatasetError, match=r"no column 'modo'; columns found: path, label, artist, mood\. Did you mean 'mood'"
    ):
        load_collection(path, label="modo")
    with pytest.raises(UsageError, match="is a folder per label"):
        load_collection(folders(tmp_path / "f", "a", "b"), label="mood")


def test_one_target_of_a_regression_can_be_named(tmp_path: Path) -> None:
    rows = [{**row, "valence": i / 12, "arousal": -i} for i, row in enumerate(labelled_rows())]
    write_table(tmp_path, rows)
    registry = declare(tmp_path, table="file: labels.csv, labels: [valence, arousal], artist: artist")
    registry.write_text(registry.read_text().replace("multiclass", "regression"))
    assert load_collection("mine", registry=registry).targets.shape == (12, 2)
    one = load_collection("mine", registry=registry, label="arousal")
    assert (one.task, one.vocabulary, one.targets[:3, 0].tolist()) == ("regression", ("arousal",), [0, -1, -2])


def test_a_split_column_is_used_when_named_or_called_split_or_fold(tmp_path: Path) -> None:
    rows = [{**row, "fold5": i // 2 % 3, "fold": i // 2 % 2} for i, row in enumerate(labelled_rows())]
    path = write_table(tmp_path, rows)
    assert [s.name for s in load_collection(path).splits] == ["fold/0", "fold/1"]
    assert [s.name for s in load_collection(path, split="fold5").splits] == ["fold5/0", "fold5/1", "fold5/2"]
    assert [s.name for s in load_collection(path, split="folds", folds=4).splits][-1] == "folds/3"
    with pytest.raises(DatasetError, match="no column 'fold6'"):
        load_collection(path, split="fold6")
    with pytest.raises(UsageError, match=r"mine: no split 'r'\. Known: s"):
        load_collection("mine", registry=declare(tmp_path), split="r")


def test_a_folder_per_label(tmp_path: Path) -> None:
    root = folders(tmp_path / "moods", "calm", "Wild Ones")
    write_sound(root / "calm" / "deeper" / "x.wav", "x")
    write_sound(root / "calm" / ".hidden.wav", "h")
    write_sound(root / ".trash" / "t.wav", "t")
    write_sound(root / "loose.wav", "l")
    write_sound(root / "calm" / "sound without a suffix", "s")
    (root / "calm" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "pictures").mkdir()
    (root / "calm" / "lost.wav").symlink_to(tmp_path / "nowhere.wav")
    made = load_collection(root)
    assert made.name == "moods"
    assert made.vocabulary == ("Wild Ones", "calm")
    found = sorted(id_ for id_, label in zip(made.tracks["id"], made.targets, strict=True) if label == 1)
    assert found == sorted([*(f"calm/{n}.wav" for n in range(4)), "calm/deeper/x.wav", "calm/sound without a suffix"])
    assert f"left out, {root / 'calm' / 'lost.wav'}: points at nothing" in made.notes
    assert "folder 'pictures' holds no sound and is no label" in made.notes
    assert any(note.startswith("1 sound file(s) directly in") for note in made.notes)


def test_links_between_labels_are_not_more_of_a_label(tmp_path: Path) -> None:
    root = folders(tmp_path / "m", "a", "b")
    outside = folders(tmp_path / "elsewhere", "wild")
    (root / "b" / "up").symlink_to(root, target_is_directory=True)
    (root / "b" / "across").symlink_to(root / "a", target_is_directory=True)
    (root / "c").symlink_to(outside / "wild", target_is_directory=True)
    made = load_collection(root)
    assert made.vocabulary == ("a", "b", "c")
    assert made.listed == (4, 4, 4)
    assert made.tracks["id"].tolist()[-1] == "c/3.wav"
    assert any("b/up: leads back to" in note for note in made.notes)


def test_artists_of_a_folder_come_from_the_tags(tmp_path: Path) -> None:
    root = folders(tmp_path / "m", "a", "b")
    made = load_collection(root, artist_of=lambda path: f"Artist {int(path.stem) // 2} of {path.parent.name}", folds=3)
    assert made.tracks["artist"][0] == "Artist 0 of a"
    assert len(set(made.groups.tolist())) == 4
    for split in made.splits:
        assert not set(made.groups[split.train]) & set(made.groups[split.test])


def test_a_files_own_tag_names_its_artist(tmp_path: Path) -> None:
    from mutagen.wave import WAVE

    path = write_sound(tmp_path / "x.wav", 1)
    assert artist_from_tags(path) is None
    from mutagen.id3 import TPE1

    sound = WAVE(str(path))
    sound.add_tags()
    sound.tags.add(TPE1(encoding=3, text=["Sigur Rós"]))
    sound.save()
    assert artist_from_tags(path) == "Sigur Rós"
    (tmp_path / "text.mp3").write_text("no sound")
    assert artist_from_tags(tmp_path / "text.mp3") is None
    assert artist_from_tags(tmp_path / "gone.mp3") is None


def test_folders_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"train, valid are parts of a split, not labels"):
        load_collection(folders(tmp_path / "s", "train", "valid"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no subfolder with sound"):
        load_collection(tmp_path / "empty")
    with pytest.raises(DatasetError, match="only one label, 'a'"):
        load_collection(folders(tmp_path / "one", "a"))


def test_a_locked_folder_is_an_error_and_not_a_smaller_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folders(tmp_path / "m", "a", "b", "locked")
    scandir = os.scandir

    def refuse(folder: str) -> object:
        # By hand, because an administrator may enter every folder.
        if os.fspath(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="locked: Permission denied; a label cannot be read in part"):
        load_collection(root)


def test_a_name_comes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path, labelled_rows())
    declare(tmp_path)
    folders(tmp_path / "mine", "a", "b")
    monkeypatch.chdir(tmp_path)
    assert load_collection("mine").vocabulary == ("jig", "reel")
    assert load_collection("./mine").vocabulary == ("a", "b")
    assert load_collection(Path("mine").absolute()).vocabulary == ("a", "b")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("emotfy", "neither a collection in datasets.yaml nor a folder or csv here. Did you mean 'emotify'"),
        ("./nowhere", "nowhere is not there"),
        ("nowhere.csv", r"nowhere\.csv is not there"),
        ("./sound.wav", "is neither a folder nor a .csv or .tsv table"),
    ],
)
def test_what_is_no_dataset_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, message: str
) -> None:
    write_sound(tmp_path / "sound.wav", 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=message):
        load_collection(dataset)


def test_an_empty_name_does_not_mean_the_current_folder() -> None:
    with pytest.raises(UsageError, match="DATASET is empty"):
        load_collection(" ")


def test_a_declared_table_that_is_not_there_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"mine: .*labels\.csv is not there\. Ask them"):
        load_collection("mine", registry=declare(tmp_path))


def test_names_are_found_however_their_accents_are_coded(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Rós.wav") for form in ("NFC", "NFD"))
    write_sound(tmp_path / apart, 1)
    assert on_disk(str(tmp_path / composed)) == str(tmp_path / apart)
    assert on_disk(str(tmp_path / "Ros.wav")) is None


def test_odd_file_names_survive(tmp_path: Path) -> None:
    names = [b"a\nb.wav", b"Bj\xf6rk.wav", b" spaced .wav", "日本.wav".encode(), b'"quoted", comma.wav', b"$HOME.wav"]
    root = folders(tmp_path / "m", "a", "b")
    for number, name in enumerate(names):
        os.rename(root / "a" / "0.wav", os.fsencode(root / "a") + b"/" + name)
        write_sound(root / "a" / "0.wav", f"again {number}")
    made = load_collection(root)
    assert {os.fsencode(path) for path in made.tracks["path"]} >= {os.fsencode(root / "a") + b"/" + n for n in names}


def test_notes_tell_what_cannot_be_judged(tmp_path: Path) -> None:
    rows = [{**row, "label": "solo" if row["artist"] == "Artist 5" else row["label"]} for row in labelled_rows()]
    write_table(tmp_path, rows)
    made = load_collection("mine", registry=declare(tmp_path, ", vocabulary: [jig, reel, solo, waltz]"))
    assert "no track has the label(s) waltz" in made.notes
    assert "label(s) with a single artist, never both learnt and tested: solo" in made.notes


def test_the_same_call_gives_the_same_collection(tmp_path: Path) -> None:
    path = write_table(tmp_path, labelled_rows())
    first, again = load_collection(path, seed=3), load_collection(path, seed=3)
    assert first.tracks.equals(again.tracks)
    np.testing.assert_equal([s.parts for s in first.splits], [s.parts for s in again.splits])
