"""What a run is told beside the sound: labels of some tracks, weights to begin with, which albums belong together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from mirclr.cli.main import main
from mirclr.config import LabelsConfig, dump
from mirclr.errors import UsageError
from mirclr.features.descriptors import Descriptors
from mirclr.features.vector_file import read_vectors, write_vectors
from mirclr.reports import finish
from mirclr.training.affinity import affinity_of, album_keys
from mirclr.training.journal import read_journal
from mirclr.training.labels import label_rows
from mirclr.training.source import banded, mixed_rows
from tests.support.tiny import tiny
from tests.support.tones import tone_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight tones, a table that labels six of them (two by a third artist are the test part), tiny settings."""
    tracks = tone_folder(tmp_path / "music")
    rows = [
        {"path": f"music/{Path(p).name}", "label": "ab"[k % 2], "artist": a, "part": "test" if k in (4, 5) else "train"}
        for k, (p, a) in enumerate(zip(tracks["path"], tracks["artist"], strict=True))
        if k < 6
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    settings = json.loads(dump(tiny(tmp_path / "cache")))
    del settings["loss"]  # nobody chose one
    (tmp_path / "tiny.json").write_text(json.dumps(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pretrain(*words: str) -> Result:
    return CliRunner().invoke(main, ["pretrain", "music", "--config", "tiny.json", *words])


def test_labels_of_the_training_part_alone_are_told(home: Path) -> None:
    tracks = pd.DataFrame({"path": sorted(str(p) for p in (home / "music").iterdir())})
    rows = finish(label_rows(tracks, LabelsConfig(dataset=str(home / "labels.csv"), split="part"), None))
    assert rows.shape == (8, 2)
    assert np.isnan(rows).all(1).tolist() == [False] * 4 + [True] * 4
    np.testing.assert_array_equal(rows[:4], [[1, 0], [0, 1], [1, 0], [0, 1]])


def test_labels_of_any_split_are_told_by_its_name(home: Path) -> None:
    table = pd.read_csv(home / "labels.csv").assign(fold=[0, 0, 1, 1, 2, 2])
    table.to_csv(home / "folds.csv", index=False)
    tracks = pd.DataFrame({"path": sorted(str(p) for p in (home / "music").iterdir())})
    for split, tested in (("fold", 0), ("fold/0", 0), ("fold/2", 2)):
        rows = finish(label_rows(tracks, LabelsConfig(dataset=str(home / "folds.csv"), split=split), None))
        assert np.isnan(rows).all(1).tolist() == [fold == tested for fold in (0, 0, 1, 1, 2, 2)] + [True, True]
    with pytest.raises(UsageError, match=r"no split 'fold/7'. Did you mean 'fold/"):
        finish(label_rows(tracks, LabelsConfig(dataset=str(home / "folds.csv"), split="fold/7"), None))


def test_handcrafted_descriptors_teach_timbre_harmony_and_rhythm_alike(home: Path) -> None:
    tracks = pd.DataFrame({"path": sorted(str(p) for p in (home / "music").iterdir())})
    rows = finish(label_rows(tracks, LabelsConfig(teacher="handcrafted"), None))
    blocks = np.split(rows, np.cumsum(Descriptors().blocks)[:-1], axis=1)
    lengths = [(block**2).sum(axis=1).mean() for block in blocks]
    np.testing.assert_allclose(lengths, 1, rtol=0.05)  # less where a number is the same for all tracks
    plain = finish(label_rows(tracks, LabelsConfig(teacher="mfcc"), None))
    assert plain.shape == (8, blocks[0].shape[1])


def test_labels_choose_an_objective_that_reads_them_and_the_story_says_so(home: Path) -> None:
    done = pretrain("-o", "run", "--labels", "labels.csv", "--split", "part")
    assert done.exit_code == 0, done.output
    assert json.loads((home / "run" / "config.json").read_text())["loss"]["name"] == "gen_supcon"
    notes = json.loads((home / "run" / "encoder" / "encoder.json").read_text())["story"]["notes"]
    assert any("labels.csv on 4 tracks" in note and "not blind" in note for note in notes)


def test_a_run_begins_with_the_weights_of_another(home: Path) -> None:
    assert pretrain("-o", "first").exit_code == 0
    done = pretrain("-o", "second", "--from", "first", "--set", "optim.learning_rate=1e-12")
    assert done.exit_code == 0, done.output
    one, two = (load_file(home / run / "encoder" / "encoder.safetensors") for run in ("first", "second"))
    same = [name for name in one if name.endswith("weight")]
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in same)
    assert torch.equal(one["normalise.mean"], two["normalise.mean"])
    assert "began with" in (home / "second" / "encoder" / "encoder.json").read_text()


def test_a_part_of_foreign_weights_is_refused_or_listed(home: Path) -> None:
    assert pretrain("-o", "first").exit_code == 0
    weights = load_file(home / "first" / "encoder" / "encoder.safetensors")
    lost = next(name for name in weights if name.endswith("weight"))
    save_file({f"theirs.{n}": t for n, t in weights.items() if n != lost}, home / "foreign.safetensors")
    (home / "names.yaml").write_text("'theirs\\.(.*)': '\\1'\n")
    given = ["--from", "foreign.safetensors", "--key-map", "names.yaml"]
    refused = pretrain("-o", "second", *given)
    assert refused.exit_code == 1
    assert lost in refused.stderr
    taken = pretrain("-o", "third", *given, "--allow-partial")
    assert taken.exit_code == 0, taken.output
    assert lost in taken.stderr
    assert json.loads((home / "third" / "transfer.json").read_text())["missing"] == [lost]
    steps = [row for row in read_journal(home / "third" / "metrics.jsonl") if row["kind"] == "step"]
    assert len(steps) == 12


def test_albums_are_those_of_an_artist_and_an_unknown_one_is_like_nothing() -> None:
    tracks = pd.DataFrame({"artist": ["A", "A", "B", None, "A"], "album": ["Live", "live ", "Live", "Live", None]})
    keys = album_keys(tracks)
    assert keys[0] == keys[1] >= 0
    assert keys[2] not in (keys[0], -1)
    assert keys[3] == keys[4] == -1
    artists = np.array([0, 0, 1, -1, 0])
    expected = np.zeros((5, 5), np.float32)
    expected[0, 1] = expected[1, 0] = 0.6
    for i, j in ((0, 4), (1, 4)):
        expected[i, j] = expected[j, i] = 0.3
    np.testing.assert_array_equal(affinity_of(artists, keys, 0.3, 0.6), expected)


def test_a_local_patch_shows_its_bands_where_they_are() -> None:
    frames = torch.arange(10.0).view(1, 1, 10, 1).expand(1, 3, 10, 4)
    seen = banded(frames, torch.tensor([[0.0, 0.5, 0.999]]), 0.3)
    shown = [torch.nonzero(seen[0, k, :, 0] == frames[0, k, :, 0]).flatten().tolist() for k in range(3)]
    assert shown == [[0, 1, 2], [4, 5, 6], [7, 8, 9]]  # eight places of three bands
    assert seen[0, 0, 9, 0] == 4.5


def test_a_mix_with_an_unlabelled_item_is_unlabelled() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [torch.nan, torch.nan]])
    mixed = mixed_rows(rows, torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.4, 0.0, 0.6]]))
    torch.testing.assert_close(mixed[:2], torch.tensor([[0.7, 0.3], [0.0, 1.0]]))
    assert mixed[2].isnan().all()


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_vectors_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    write_vectors(tmp_path / f"v{suffix}", ["/a", "/b", "/c d"], vectors)
    paths, found = read_vectors(tmp_path / f"v{suffix}")
    assert paths == ["/a", "/b", "/c d"]
    np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,v0\n/a,1\n/a,2\n", "/a is given twice"),
        ("path,v0\n/a,1\n/b,\n", "the row of /b"),
        ("file,v0\n/a,1\n", "cannot be read as vectors"),
        ("path,v0\n", "0 paths"),
    ],
)
def test_a_table_that_holds_no_vectors_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_vectors(tmp_path / "v.csv")
