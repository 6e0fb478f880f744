"""Declared formats read as collections: what a published table gets wrong is named with file and line."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mirclr.datasets.checksums import checksum, different
from mirclr.datasets.registry import shipped_file
from mirclr.datasets.table import load_collection, read_collection
from mirclr.errors import DatasetError
from tests.support.collections_on_disk import write_sound
from tests.support.published_collections import BUILDERS, ENTRIES, write_text


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the fixture of an entry and say where it is."""

    def build(name: str) -> Path:
        BUILDERS[name](tmp_path)
        monkeypatch.setenv(ENTRIES[name].root.strip("${}"), str(tmp_path))
        return tmp_path

    return build


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())


def load(name: str, **options: Any) -> Any:
    return load_collection(name, registry=shipped_file(), **options)


def test_a_tag_outside_the_vocabulary_is_named_with_file_and_line(built: Any) -> None:
    table = built("mtg-jamendo-top50") / "data/splits/split-0/autotagging_top50tags-validation.tsv"
    edit(table, "genre---world", "genre---wurld")
    with pytest.raises(
        DatasetError,
        match=r"top50tags-validation\.tsv: label 'genre---wurld' is not in the vocabulary\. Did you mean "
        r"'genre---world'.* at line \d+\)",
    ):
        load("mtg-jamendo-top50")
    load("mtg-jamendo-top50", split="split-1")


def test_a_track_listed_twice_is_named_with_file_and_lines(built: Any) -> None:
    table = built("mtg-jamendo-genre") / "data/splits/split-0/autotagging_genre-test.tsv"
    first = table.read_bytes().split(b"\r\n")[1]
    table.write_bytes(table.read_bytes() + first + b"\r\n")
    with pytest.raises(
        DatasetError, match=r"genre-test\.tsv: the same file is listed twice \(2 rows, at line 2, \d+\)"
    ):
        load("mtg-jamendo-genre")


def test_an_empty_part_is_named(built: Any) -> None:
    root = built("emomusic")
    edit(root / "annotations/songs_info.csv", "evaluation", "development")
    text = (root / "annotations/songs_info.csv").read_text().replace("evaluation", "development")
    (root / "annotations/songs_info.csv").write_text(text)
    with pytest.raises(DatasetError, match="emomusic: split mediaeval: the test part is empty"):
        load("emomusic")
    (root / "annotations/songs_info.csv").write_text(text.replace("development", "elsewhere"))
    with pytest.raises(DatasetError, match="holds 'elsewhere', which is in no part of the split"):
        load("emomusic")


def test_a_list_that_names_no_track_and_a_track_in_two_folds_are_named(built: Any) -> None:
    root = built("giantsteps-tempo")
    fold = root / "splits/fold03.txt"
    before = fold.read_text()
    fold.write_text(before + "1000.LOFI.mp3\n")
    with pytest.raises(DatasetError, match=r"fold03\.txt: 'audio/1000\.LOFI\.mp3' is in fold01\.txt too"):
        load("giantsteps-tempo")
    fold.write_text(before + "7.LOFI.mp3\n")
    with pytest.raises(DatasetError, match=r"fold03\.txt: 1 line\(s\) name no track .*'audio/7\.LOFI\.mp3'"):
        load("giantsteps-tempo")


def test_keys_are_spelt_as_mir_eval_does_and_tempo_is_in_beats_per_minute(built: Any) -> None:
    import mir_eval

    built("giantsteps-key")
    made = load("giantsteps-key")
    assert made.kind == "key"
    assert len(made.vocabulary) == 24
    for label in made.vocabulary:
        mir_eval.key.validate_key(label)
    found = dict(zip(made.tracks["id"], (made.vocabulary[t] for t in made.targets), strict=True))
    assert found["audio/1003.LOFI.mp3"] == "Eb major"
    assert found["audio/1020.LOFI.mp3"] == "Ab minor"
    built("gtzan-key")
    made = load("gtzan-key")
    found = dict(zip(made.tracks["id"], (made.vocabulary[t] for t in made.targets), strict=True))
    assert found["blues/blues.00003.wav"] == "C major"  # 3, from A upward
    assert found["country/country.00000.wav"] == "A minor"  # 12
    built("giantsteps-tempo")
    tempo = load("giantsteps-tempo")
    assert (tempo.kind, tempo.vocabulary) == ("tempo", ("tempo",))
    assert 2.0 ** tempo.targets[0, 0] == pytest.approx(99.0, rel=1e-6)
    assert "1 row(s) without a label ('0.0') are left out" in tempo.notes


def test_both_splits_of_magnatagatune_agree_with_the_published_lists(built: Any) -> None:
    built("magnatagatune")
    every, tagged, minz = (load("magnatagatune", split=rule) for rule in ("folders", "tagged", "minz"))
    assert sum(map(len, every.splits[0].parts.values())) == 64
    assert sum(map(len, tagged.splits[0].parts.values())) == int(every.targets.any(axis=1).sum()) < 64
    np.testing.assert_equal(tagged.splits[0].parts, minz.splits[0].parts)
    assert set(every.excluded) == set(ENTRIES["magnatagatune"].known_bad)


def test_sound_under_another_suffix_is_found(built: Any) -> None:
    built("gtzan")
    made = load("gtzan")
    assert made.tracks["id"][0].endswith(".wav")
    assert made.tracks["path"][0].endswith(".au")
    assert made.excluded == {"jazz/jazz.00054.wav": "the file is damaged and does not decode"}


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    write_text(tmp_path / "k/b.key", "D major")
    write_text(tmp_path / "k/a.key", "C minor")
    one, two = (sha256(text).hexdigest() for text in (b"C minor", b"D major"))
    both = sha256(f"{one}  k/a.key\n{two}  k/b.key\n".encode()).hexdigest()
    assert (checksum(tmp_path, "k/a.key"), checksum(tmp_path, "k/*.key")) == (one, both)
    assert (checksum(tmp_path, "k/c.key"), checksum(tmp_path, "k/*.txt")) == (None, None)
    assert list(different(tmp_path, {"k/a.key": one, "k/*.key": both, "gone.txt": "0" * 64})) == []
    (text,) = different(tmp_path, {"k/a.key": two})
    assert text == f"{tmp_path}/k/a.key: not the published annotation (SHA-256 {one}, declared {two})"


JAMS = '{"file_metadata": {"title": "T", "artist": "Band %d"}, "annotations": [{"namespace": "tag_open", "data": %s}]}'


def declare(folder: Path, layout: str, task: str = "multiclass") -> Path:
    facts = "title: T, licence: L, citation: C, where: W, root: ., splits: {s: {folds: 3}}"
    path = folder / "datasets.yaml"
    path.write_text(f"version: 1\ncollections:\n  mine: {{{facts}, task: {task}, {layout}}}\n")
    return path


def test_a_folder_of_jams_files_is_a_collection(tmp_path: Path) -> None:
    for number in range(12):
        data = [{"value": ("jig", "reel")[number % 2], "confidence": 1}, {"value": "loud", "confidence": 0.1}]
        write_text(tmp_path / f"jams/{number}.jams", JAMS % (number // 2, str(data).replace("'", '"')))
        write_sound(tmp_path / f"audio/{number}.flac", number)
    where = "file: jams/*.jams, format: jams, path: 'audio/{stem}.wav', suffixes: [.flac], artist: artist"
    one = load_collection("mine", registry=declare(tmp_path, f"table: {{{where}, labels: [tag_open]}}"))
    assert (one.vocabulary, one.listed) == (("jig", "reel"), (6, 6))
    assert sorted(set(one.tracks["artist"])) == [f"Band {number}" for number in range(6)]
    many = f'table: {{{where}, labels: [tag_open.all], separator: "\\t"}}'
    made = load_collection("mine", registry=declare(tmp_path, many, "multilabel"))
    assert made.vocabulary == ("jig", "loud", "reel")
    assert made.targets.sum(axis=0).tolist() == [6, 12, 6]


def fake_mirdata(root: Path, tracks: dict[str, Any]) -> SimpleNamespace:
    """What is used of mirdata: a list of loaders, and a dataset that knows its tracks."""

    def initialize(name: str, data_home: str, version: str) -> SimpleNamespace:
        assert (name, data_home, version) == ("dances", str(root), "default")
        return SimpleNamespace(track_ids=list(tracks), track=tracks.__getitem__)

    return SimpleNamespace(list_datasets=lambda: ["dances"], initialize=initialize)


def test_a_loader_of_mirdata_is_a_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = {}
    for number in range(12):
        path = write_sound(tmp_path / f"{number}.wav", number)
        label = None if number == 3 else ("jig", "reel")[number % 2]
        tracks[str(number)] = SimpleNamespace(
            track_id=str(number), audio_path=str(path), dance=label, artists=[f"Band {number // 2}"]
        )
    monkeypatch.setitem(sys.modules, "mirdata", fake_mirdata(tmp_path, tracks))
    layout = "mirdata: {loader: dances, label: dance, artist: artists, rename: {reel: Reel}, no_label: ['']}"
    made = load_collection("mine", registry=declare(tmp_path, layout))
    assert (made.vocabulary, made.listed, made.tracks["artist"][4]) == (("Reel", "jig"), (5, 6), "Band 2")
    assert any("without a label" in note for note in made.notes)
    with pytest.raises(DatasetError, match=r"dances: its tracks have no 'dancer'\. Did you mean 'dance'"):
        load_collection("mine", registry=declare(tmp_path, "mirdata: {loader: dances, label: dancer}"))
    with pytest.raises(DatasetError, match=r"mirdata has no loader 'dance'\. Did you mean 'dances'"):
        load_collection("mine", registry=declare(tmp_path, "mirdata: {loader: dance, label: dance}"))
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(DatasetError, match="pip install mirdata"):
        read_collection("mine", registry=declare(tmp_path, layout))
