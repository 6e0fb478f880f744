"""`mirclr align` and `mirclr search` as typed, on real files, and the same as steps of a recipe."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from tests.support.labelled_tones import tiny_encoder
from tests.support.paired import tagged_tones

SMALL = [
    *("--set", "text={buckets: 512, width: 16, drop_words: 0}"),
    *("--set", "space={width: 32, common: 16, hidden: 32, dim: 16, dropout: 0.1}"),
    *("--set", "optim={batch: 16, learning_rate: 0.003}", "--set", "threads=1", "--set", "workers=1"),
    *("--set", "device=cpu"),
]


def mirclr(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, f"{done.stderr}\n{done.stdout}"
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """music/ with twelve songs by six artists, an encoder, library.db, vectors.npz and joint/."""
    folder = tmp_path_factory.mktemp("align")
    tagged_tones(folder / "music")
    tiny_encoder(folder)
    mirclr("index", folder / "music", "--encoder", folder, "--store", folder / "library.db", "--workers", 1)
    mirclr("embed", folder / "music", "--encoder", folder, "-o", folder / "vectors.npz", "--workers", 1)
    said = [f"{('bright', 'dark')[artist % 2]} sound" for artist in range(6)]
    lines = [f"music/{artist}-{n}.flac,{said[artist]}" for artist in range(6) for n in range(2)]
    (folder / "texts.csv").write_text("\n".join(["path,text", *lines]))
    given = ("--encoder", folder, "--texts", folder / "texts.csv", "--steps", 120, "--set", "hold_out=0.34")
    done = mirclr("align", folder / "music", "-o", folder / "joint", *given, *SMALL)
    (folder / "said").write_text(done.stderr)
    (folder / "shown").write_text(done.stdout)
    return folder


def found(*words: object) -> list[str]:
    return [hit["path"] for hit in json.loads(mirclr("search", *words, "--json").stdout)]


def test_the_card_goes_to_stdout_and_the_words_to_stderr(place: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((place / "shown").read_text()), delimiter="\t"))
    assert [row["asked by"] for row in rows][:1] == ["text, all fields"]
    assert "artist alone" in [row["asked by"] for row in rows]
    said = (place / "said").read_text()
    assert "12 of 12 tracks have a text" in said
    assert "4 of 12 tracks are held out, as whole artists" in said
    assert "cannot be judged by 2 held-out artists" in said
    assert f"joint space: {place / 'joint' / 'joint'}" in said
    assert json.loads((place / "joint" / "held_out.json").read_text())["sentences"]


@pytest.mark.parametrize(("text", "kind"), [("high chords", 0), ("LOW", 1), ("bright", 0), ("Dark sound", 1)])
def test_text_finds_music_held_out_tracks_too(place: Path, text: str, kind: int) -> None:
    wanted = {str(place / "music" / f"{artist}-{n}.flac") for artist in range(kind, 6, 2) for n in range(2)}
    joint, store = ("--joint", place / "joint"), ("--store", place / "library.db")
    assert set(found(text, *joint, *store, "-k", 3)) < wanted
    assert found(text, *joint, *store) == found(text, *joint, "--vectors", place / "vectors.npz")


def test_it_prints_like_similar_and_names_words_it_never_learned(place: Path) -> None:
    done = mirclr("search", "low xyzzy", "--joint", place / "joint", "--store", place / "library.db", "-k", 2)
    rows = list(csv.DictReader(io.StringIO(done.stdout), delimiter="\t"))
    assert list(rows[0]) == ["rank", "similarity", "artist", "title", "path"]
    assert rows[0]["artist"].startswith("Artist")
    told = json.loads((place / "joint" / "held_out.json").read_text())
    luck = [] if told["whole"]["text"]["better"] else ["so take this order for luck"]
    expected = [
        "for low xyzzy",
        *told["sentences"],
        *luck,
        "in no text it learned from: xyzzy; only their letters place",
    ]
    said = done.stderr.splitlines()
    assert len(said) == len(expected)
    assert all(line.startswith(beginning) for line, beginning in zip(said, expected, strict=True))


def test_a_resumed_run_takes_its_own_settings_and_embeds_nothing_again(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "joint"
    shutil.copytree(place / "joint", run)
    done = mirclr("align", place / "music", "-o", run, "--resume", "--steps", 122, "--json")
    told = json.loads(done.stdout)
    assert told["steps"] == 122
    assert told["held_out"]["whole"]
    assert "embed" not in done.stderr
    refused = mirclr("align", place / "music", "-o", run, "--encoder", place, code=2)
    assert "add --resume" in refused.stderr


def test_a_table_names_the_files_and_its_columns_replace_their_tags(place: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{place}/music/{n}-0.flac,{genre}" for n, genre in enumerate(("polka", "tango", "polka", "tango"))]
    table.write_text("\n".join(["path,genre", *rows, "gone.flac,waltz"]))
    done = mirclr("align", table, "-o", tmp_path / "run", "--encoder", place, "--steps", 2, *SMALL, code=3)
    assert "quarantined: missing_file" in done.stderr
    texts = pd.read_csv(tmp_path / "run" / "tracks.csv")["text"]
    assert len(texts) == 4
    assert texts.str.contains("polka|tango").all()
    assert texts.str.contains("Song").all()
    assert not texts.str.contains("chords").any()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "give the encoder that hears the music"),
        (["--encoder", "/nowhere"], 1, "no encoder here"),
        (["--encoder", "{place}", "--vectors", "lyrics.npz"], 2, "write it as NAME=FILE"),
        (["--encoder", "{place}", "--vectors", "a=x.npz", "--vectors", "a=y.npz"], 2, "a is given twice"),
        (["--encoder", "{place}", "--vectors", "audio=x.npz"], 2, "neither audio nor text"),
        (["--encoder", "{place}", "--vectors", "lyrics=gone.npz"], 2, "cannot be read as vectors"),
        (["--encoder", "{place}", "--texts", "gone.csv"], 1, "cannot be read"),
        (["--encoder", "{place}", "--set", "spce.dim=3"], 2, "Did you mean 'space'?"),
        (["--encoder", "{place}", "--steps", "2", "--minutes", "1"], 2, "give steps or minutes, not both"),
    ],
)
def test_mistakes_have_their_exit_code_and_leave_nothing(
    place: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = mirclr("align", place / "music", "-o", tmp_path / "run", *(w.format(place=place) for w in words), code=code)
    assert done.stdout == ""
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_search_refuses_what_it_cannot_compare(place: Path, tmp_path: Path) -> None:
    other = tiny_encoder(tmp_path / "other", encoder={"width": 6})
    mirclr("index", place / "music", "--encoder", other, "--store", tmp_path / "other.db", "--workers", 1)
    joint = ("--joint", place / "joint")
    refused = mirclr("search", "low", *joint, "--store", tmp_path / "other.db", code=1)
    assert "Their vectors cannot be compared" in refused.stderr
    both = mirclr("search", "low", *joint, "--store", "a.db", "--vectors", "b.npz", code=2)
    assert "give --store or --vectors, not both" in both.stderr
    assert "no word to search for" in mirclr("search", "?", *joint, "--store", place / "library.db", code=2).stderr
    assert "no joint space here" in mirclr("search", "low", "--joint", tmp_path, code=1).stderr


RECIPE = """
title: Words
why: To see the steps
inputs:
  audio: {help: the music, required: true}
  encoder: {help: the encoder, required: true}
  texts: {help: own texts, default: []}
steps:
  - run: align
    with:
      folder: ${audio}
      encoder: ${encoder}
      texts: ${texts}
      output: ${out}/joint
      config: {budget: {steps: 60}, text: {buckets: 512, width: 16}, optim: {learning_rate: 0.003}, hold_out: 0.34,
               workers: 1, threads: 1, device: cpu}
  - run: index
    with: {folder: "${audio}", encoder: "${encoder}", store: "${out}/library.db"}
  - run: search
    with: {store: "${out}/library.db", joint: "${out}/joint", texts: [high chords, low], output: "${out}/found.csv",
           count: 6}
"""


def test_as_steps_of_a_recipe_they_are_checked_run_and_not_done_twice(place: Path, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    given = ["-o", tmp_path / "out", "--audio", place / "music", "--set", f"encoder={place / 'encoder'}"]
    given += ["--set", f"texts={place / 'texts.csv'}"]
    done = mirclr("recipe", "run", tmp_path / "r.yaml", *given)
    assert "text, all fields" in done.stdout
    table = pd.read_csv(tmp_path / "out" / "found.csv")
    assert list(table.columns) == ["text", "rank", "similarity", "artist", "title", "path"]
    for text, kind in (("high chords", 0), ("low", 1)):
        artists = table[table["text"] == text]["artist"].str.removeprefix("Artist ").astype(int)
        assert set(artists % 2) == {kind}
    assert mirclr("recipe", "run", tmp_path / "r.yaml", *given).stderr.count("already done") == 3
    wrong = mirclr("recipe", "check", tmp_path / "r.yaml", *given, "--set", "align.config.texts=a.csv", code=2)
    assert "give encoder, texts and vectors as options of the step" in wrong.stderr
