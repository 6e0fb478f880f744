"""From labels to tags in files as typed: train-head, tag, write, index, restore, export; search beside its store."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from mirclr.audio.synth_catalogue import make_collection
from mirclr.audio.tag_writer import read_fields
from mirclr.cli.main import main
from mirclr.features.encoder_file import save_encoder
from mirclr.models.embedder import Embedder
from mirclr.reports import finish
from tests.support.tiny import TINY

PLAN = {
    "sample_rate": TINY["audio"]["sample_rate"],
    "clip_seconds": TINY["views"]["seconds"],
    "frontend": TINY["frontend"],
    "encoder": TINY["encoder"],
}


def mirclr(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.stderr
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """songs/ of the band with their truth, run/ with an untrained encoder, and head/ for the styles."""
    folder = tmp_path_factory.mktemp("place")
    finish(make_collection(folder / "songs", artists=12, tracks=2, seconds=4, truth=True, workers=1))
    torch.manual_seed(0)
    save_encoder(folder / "run" / "encoder", Embedder(PLAN), {"name": "tiny"})
    labels = folder / "songs" / "labels.csv"
    done = mirclr("train-head", labels, "--encoder", folder / "run", "-o", folder / "head", "--json")
    told = json.loads(done.stdout)
    assert told["task"] == "multiclass"
    assert told["field"] == "genre"
    assert {"right, of answers given", "calibration error before"} <= set(told["calibration"]["story"]["measures"])
    return folder


@pytest.fixture
def home(place: Path, tmp_path: Path) -> Path:
    """A copy of `place`, and library.db of it."""
    shutil.copytree(place, tmp_path / "home")
    folder = tmp_path / "home"
    mirclr("index", folder / "songs", "--encoder", folder / "run", "--store", folder / "library.db")
    return folder


def tag(folder: Path, *words: object, code: int = 0) -> Result:
    rule = ("--head", folder / "head", "--min-confidence", 0, "--field", "style")
    return mirclr("tag", "--store", folder / "library.db", *rule, *words, code=code)


def test_the_table_has_every_track_and_the_files_are_as_they_were(home: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "songs").rglob("*") if path.is_file()}
    done = tag(home, "-o", home / "tags.csv", "--json")
    rows = json.loads(done.stdout)
    assert len(rows) == 24
    with (home / "tags.csv").open(newline="") as file:
        assert [row["tags"] for row in csv.DictReader(file)] == [row["tags"][0]["label"] for row in rows]
    planned = tag(home, "--write")
    assert "nothing was written; say --write --yes" in planned.stderr
    assert "24 to add" in planned.stderr
    assert planned.stdout.splitlines()[0] == "action\tfield\told\tnew\tpath"
    assert {path: path.read_bytes() for path in before} == before
    assert not (home / "library.tags.jsonl").exists()


def test_written_tags_are_seen_without_embedding_again_and_all_comes_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in (home / "songs").rglob("*.flac")}
    done = tag(home, "--write", "--yes")
    assert "changed 24 file(s); put them back with: mirclr tag --restore" in done.stderr
    assert all(read_fields(path, ["style"])["style"] for path in before)

    def embedded(*_: Any) -> Any:
        raise AssertionError("a new tag is no new sound")

    with monkeypatch.context() as patch:
        patch.setattr("mirclr.features.encoder.EncoderExtractor.segments", embedded)
        again = mirclr("index", home / "songs", "--encoder", home / "run", "--store", home / "library.db", "--json")
    assert json.loads(again.stdout)["changed"] == 24
    assert "24 there already" in tag(home, "--write", "--yes").stderr
    back = mirclr("tag", "--restore", home / "library.tags.jsonl", "--json")
    assert json.loads(back.stdout) == {"whole": 24, "fields": 0, "same": 0}
    assert {path: path.read_bytes() for path in before} == before


def test_tags_go_to_other_programs(home: Path) -> None:
    tag(home, "-o", home / "tags.json")
    (home / "lists").mkdir()
    music = ("--music", home / "songs", "-o", home / "lists")
    rows = json.loads(mirclr("export", "mpd", "--tags", home / "tags.json", *music, "--json").stdout)
    assert sum(row["tracks"] for row in rows) == 24
    assert all(Path(row["playlist"]).name.startswith("style ") for row in rows)
    told = json.loads(mirclr("export", "beets", home / "tags.json", "-o", home / "b.sh", "--json").stdout)
    assert told["tracks"] == 24
    left = mirclr("export", "listenbrainz", rows[0]["playlist"], "-o", home / "l.jspf", "--json", code=3)
    assert json.loads(left.stdout)["tracks"] == 0
    assert "nothing to hand over" in mirclr("export", "jellyfin", *music, code=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--yes"], "--yes is of use with --write only"),
        (["--head", "h", "--overwrite"], "--overwrite is of use with --write only"),
        ([], "nothing to ask: name a --head"),
        (["--restore", "m", "--head", "h"], "--restore puts tags back and does nothing else"),
        (["--head", "h", "--top", "5", "--min-confidence", "0.5"], "two rules; give one"),
    ],
)
def test_options_that_do_not_fit_together(words: list[str], said: str, tmp_path: Path) -> None:
    assert said in mirclr("tag", "--store", tmp_path / "none.db", *words, code=2).stderr


def test_a_field_that_is_none_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    words = ("train-head", "x", "--encoder", "y", "-o", tmp_path / "h", "--field", "artist")
    assert "says who made what" in mirclr(*words, code=2).stderr


def test_search_finds_the_joint_space_beside_the_store_and_says_what_it_is_worth(home: Path) -> None:
    missing = mirclr("search", "rock", "--store", home / "library.db", code=2)
    assert "no joint space beside" in missing.stderr
    assert f"-o {home / 'library.joint'}" in missing.stderr
    mirclr("align", home / "songs", "--encoder", home / "run", "-o", home / "library.joint", "--steps", 2)
    found = mirclr("search", "rock", "--store", home / "library.db", "--json")
    assert len(json.loads(found.stdout)) == 10
    told = json.loads((home / "library.joint" / "held_out.json").read_text())
    assert all(sentence in found.stderr for sentence in told["sentences"])
    assert ("take this order for luck" in found.stderr) == (not told["whole"]["text"]["better"])
    told["whole"]["text"]["better"] = not told["whole"]["text"]["better"]
    (home / "library.joint" / "held_out.json").write_text(json.dumps(told))
    other = mirclr("search", "rock", "--store", home / "library.db")
    assert ("take this order for luck" in other.stderr) != ("take this order for luck" in found.stderr)
    (home / "library.joint" / "held_out.json").unlink()
    assert (
        "nobody knows whether its words mean anything"
        in mirclr("search", "rock", "--store", home / "library.db", "--joint", home / "library.joint").stderr
    )
