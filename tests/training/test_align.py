"""An alignment as a user meets it: text finds music it was not trained with, or says that it does not; what is missing
is missing; it stops, goes on, and writes what it promises."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mirclr.errors import CheckpointError, ConfigError, DatasetError, Interrupted, TrainingError, UsageError
from mirclr.evaluation.text_scores import score_text
from mirclr.features.encoder_file import load_encoder
from mirclr.features.joint_file import load_joint
from mirclr.features.vector_file import write_vectors
from mirclr.reports import finish
from mirclr.training import align as loop
from mirclr.training.align_tracks import Listed, known_of
from mirclr.training.checkpoint import LAST
from mirclr.training.journal import read_journal
from tests.support.labelled_tones import tiny_encoder
from tests.support.paired import NOTHING, config, hear, listed_pairs, segments_of, without_text


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder."""
    return tiny_encoder(tmp_path_factory.mktemp("ground"))


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    hear(monkeypatch)
    monkeypatch.setattr(loop, "STEPS_BETWEEN_REPORTS", 4)


def align(ground: Path, run: Path, listed: Listed | None = None, resume: bool = False, **over: Any) -> loop.Aligned:
    return finish(loop.align(listed or listed_pairs(), config(ground, **over), run, resume))


def steps(run: Path) -> list[dict[str, float]]:
    return [row for row in read_journal(run / "metrics.jsonl") if row["kind"] == "step"]


@pytest.fixture(scope="module")
def learned(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, loop.Aligned]:
    """One run long enough to learn."""
    run = tmp_path_factory.mktemp("learned") / "joint"
    with pytest.MonkeyPatch.context() as patch:
        hear(patch)
        return run, align(ground, run, budget={"steps": 150})


def test_text_finds_music_of_artists_it_was_not_trained_with(learned: tuple[Path, loop.Aligned]) -> None:
    run, done = learned
    numbers = done.held_out["text"].numbers()
    assert done.held_out["text"].candidates == 16
    assert numbers["chance_r1"] < 0.08
    assert numbers["r1"] > 0.5
    assert numbers["r5"] > 0.9
    assert numbers["median_rank"] == 1
    assert numbers["ahead"] > 0.9
    assert steps(run)[-1]["loss"] < 0.5 * steps(run)[0]["loss"]


def test_it_says_in_words_which_field_finds_music_and_which_does_not(learned: tuple[Path, loop.Aligned]) -> None:
    _, done = learned
    scores = score_text(done.held_out, done.fields)
    assert scores.sentences[0].startswith("Text finds held-out music better than chance")
    assert scores.sentences[1] == (
        "Field by field, held-out music is found better than chance by genre; not better than chance by artist."
    )


def test_text_that_says_nothing_of_the_sound_is_said_not_to_find_it(ground: Path, tmp_path: Path) -> None:
    listed = listed_pairs()
    rng = np.random.default_rng(0)
    listed.tracks["genre"] = rng.permutation(listed.tracks["genre"].to_numpy())
    listed.tracks["audio_id"] = rng.permutation(listed.tracks["audio_id"].to_numpy())
    sounds = {row["audio_id"]: row["path"] for row in listed_pairs().tracks.to_dict("records")}
    assert set(sounds) == set(listed.tracks["audio_id"])
    segments = segments_of(listed_pairs(), load_encoder(ground).dim)

    def heard(*_: Any) -> Any:
        yield from ()
        return segments, NOTHING

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mirclr.training.align_run.heard", heard)
        done = align(ground, tmp_path / "run", listed, budget={"steps": 60})
    said = score_text(done.held_out, done.fields).sentences
    assert said[0].startswith("Text does not find held-out music better than chance")
    assert said[1].endswith("not better than chance by artist, genre.")


def test_a_run_leaves_everything_it_promises(learned: tuple[Path, loop.Aligned], ground: Path) -> None:
    run, done = learned
    promised = {"config.json", "tracks.csv", "quarantine.csv", "metrics.jsonl", "checkpoints", "joint"}
    assert {p.name for p in run.iterdir()} == promised
    table = pd.read_csv(run / "tracks.csv")
    assert table["part"].value_counts().to_dict() == {"train": 64, "held out": 16}
    artists = {part: set(rows["artist"]) for part, rows in table.groupby("part")}
    assert not artists["train"] & artists["held out"]
    assert "genre" not in table.columns
    assert set(table["text"].iloc[0].split("; ")[1].split()) <= {*table["text"].iloc[0].split()}
    joint = load_joint(run)
    assert (joint.encoder.fingerprint, joint.encoder.dim) == (
        load_encoder(ground).fingerprint,
        load_encoder(ground).dim,
    )
    assert joint.story["notes"] == [
        "aligned 150 steps on 64 tracks: audio, text",
        "80 of 80 tracks have a text",
        "16 of 80 tracks are held out, as whole artists",
    ]
    assert done.report["step"] == 150
    assert done.report["held_out_text_chance_r10"] == pytest.approx(10 / 16, abs=0.05)


def test_the_exported_space_says_what_the_report_said(learned: tuple[Path, loop.Aligned]) -> None:
    """From the files alone: text against the mean of the segments, by cosine."""
    run, done = learned
    joint, table = load_joint(run), pd.read_csv(run / "tracks.csv")
    held = table[table["part"] == "held out"]
    listed = listed_pairs()
    sounds = dict(zip(listed.tracks["path"], listed.tracks["audio_id"], strict=True))
    segments = segments_of(listed, joint.encoder.dim)
    audio = joint.vectors(np.stack([segments[sounds[path]].mean(0) for path in held["path"]]))
    text = joint.texts(held["text"].tolist())
    np.testing.assert_allclose(np.linalg.norm(audio, axis=1), 1, rtol=1e-5)
    first = (text @ audio.T).argmax(1) == np.arange(len(held))
    assert first.mean() == pytest.approx(done.held_out["text"].numbers()["r1"])


@pytest.mark.parametrize("stop", [3, 9])
def test_interrupted_and_resumed_equals_never_stopped(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Dropout, batches, texts, moments and averages all go on where they were."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    over: dict[str, Any] = {"text": {"drop_words": 0.3}, "space": {"dropout": 0.5}}
    align(ground, whole, **over)
    learn = loop._learn

    def stopping(run: loop.Alignment) -> float:
        loss = learn(run)
        if run.at.step == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return loss

    monkeypatch.setattr(loop, "_learn", stopping)
    with pytest.raises(Interrupted, match=rf"SIGINT: saved at step {stop} of 12.*--resume"):
        align(ground, run, **over)
    monkeypatch.setattr(loop, "_learn", learn)
    align(ground, run, resume=True, **over)
    assert steps(run) == steps(whole)
    last = (load_file(folder / "checkpoints" / LAST) for folder in (run, whole))
    assert all(torch.equal(a, b) for a, b in zip(*(t.values() for t in last), strict=True))
    assert (run / "joint" / "joint.safetensors").read_bytes() == (whole / "joint" / "joint.safetensors").read_bytes()


def test_a_finished_run_resumed_says_the_same_and_is_never_overwritten(ground: Path, tmp_path: Path) -> None:
    first = align(ground, tmp_path / "run")
    again = align(ground, tmp_path / "run", resume=True)
    assert again.steps == first.steps == 12
    np.testing.assert_array_equal(again.held_out["text"].rank, first.held_out["text"].rank)
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        align(ground, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"align\.loss\.temperature was 0\.1, is 0\.5"):
        align(ground, tmp_path / "run", resume=True, loss={"temperature": 0.5})
    with pytest.raises(CheckpointError, match="other tracks"):
        align(ground, tmp_path / "run", listed_pairs(artists=10), resume=True)
    other = tiny_encoder(tmp_path / "other", clip_seconds=0.5)
    with pytest.raises(CheckpointError, match=r"align\.hears_by was"):
        align(other, tmp_path / "run", resume=True)


def test_the_seed_decides_everything(ground: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        align(ground, tmp_path / name, seed=seed, budget={"steps": 3})
    assert steps(tmp_path / "a") == steps(tmp_path / "b") != steps(tmp_path / "c")


def test_a_clock_ends_a_run_and_the_rate_comes_down(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Alignment, "elapsed_s", property(lambda run: 0.1 * run.at.step))
    done = align(ground, tmp_path / "run", budget={"steps": None, "minutes": 3.05 / 60})
    assert done.steps in (30, 31)
    rates = [row["learning_rate"] for row in steps(tmp_path / "run")]
    assert rates[-1] < 0.05 * max(rates)


def test_not_a_number_stops_with_advice(ground: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss became nan at step \d+ .*optim\.learning_rate"):
        align(ground, tmp_path / "run", optim={"learning_rate": 1e30, "warmup": 0})


def test_tracks_without_a_text_are_left_out_counted_and_still_found(ground: Path, tmp_path: Path) -> None:
    listed = without_text(listed_pairs(), list(range(40, 80)))
    done = align(ground, tmp_path / "run", listed, budget={"steps": 4})
    assert done.notes[0] == "40 of 80 tracks have a text"
    assert len(pd.read_csv(tmp_path / "run" / "tracks.csv")) == 40


def vector_file(folder: Path, listed: Listed, rows: slice, scale: float = 1.0) -> Path:
    """Another modality that knows of some tracks what they are."""
    paths = listed.tracks["path"].tolist()[rows]
    numbers = {sound: segments.mean(0)[:5] for sound, segments in segments_of(listed, 24).items()}
    sounds = listed.tracks["audio_id"].tolist()[rows]
    write_vectors(folder / "scores.npz", paths, scale * np.stack([numbers[sound] for sound in sounds]))
    return folder / "scores.npz"


def test_a_third_modality_that_half_the_tracks_have_is_aligned_too(ground: Path, tmp_path: Path) -> None:
    listed = without_text(listed_pairs(), list(range(20)))
    file = vector_file(tmp_path, listed, slice(0, 60))
    done = align(ground, tmp_path / "run", listed, vectors={"scores": str(file)}, budget={"steps": 150}, hold_out=0.4)
    assert done.notes[0] == "60 of 80 tracks have a text, 60 have scores"
    joint = load_joint(tmp_path / "run")
    assert joint.space.names == ("audio", "scores", "text")
    for name in ("text", "scores"):
        numbers = done.held_out[name].numbers()
        assert numbers["ahead"] > 0.8, name
    assert len(done.held_out["scores"].rank) < done.held_out["scores"].candidates
    moved = listed_pairs()
    moved.tracks["path"] = "/elsewhere" + moved.tracks["path"]
    with pytest.raises(UsageError, match=r"scores\.npz: none of its 60 files"):
        known_of(moved, config(ground, vectors={"scores": str(file)}))


def test_without_any_text_vectors_alone_are_aligned(ground: Path, tmp_path: Path) -> None:
    listed = without_text(listed_pairs(), list(range(80)))
    file = vector_file(tmp_path, listed, slice(None))
    done = align(ground, tmp_path / "run", listed, vectors={"scores": str(file)}, budget={"steps": 4})
    assert list(done.held_out) == ["scores"]
    assert done.fields == {}
    with pytest.raises(UsageError, match=r"aligns audio, scores and no text; align again with tagged files or --texts"):
        load_joint(tmp_path / "run").texts(["calm"])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            {"artist": None, "genre": None},
            r"0 of 80 tracks have a text; at least 2 .*tag the files .*--texts FILE\.csv",
        ),
        ({"artist": "Various Artists", "genre": None}, "0 of 80 tracks have a text"),
        ({"artist": None, "genre": "rock"}, r"80 of 80 tracks have a text, and it is the same text everywhere"),
    ],
)
def test_a_folder_that_says_nothing_says_what_to_do(
    ground: Path, tmp_path: Path, texts: dict[str, Any], said: str
) -> None:
    with pytest.raises(DatasetError, match=said):
        align(ground, tmp_path / "run", listed_pairs(**texts))
    assert not (tmp_path / "run").exists()


def test_mistakes_are_found_before_anything_is_heard(ground: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("path,text\n/nowhere/a.wav,calm\n")
    with pytest.raises(UsageError, match=r"texts\.csv: none of its 1 files is among the 80 tracks"):
        align(ground, tmp_path / "run", texts=str(tmp_path / "texts.csv"))
    with pytest.raises(ConfigError, match="give the encoder that hears the music, with --encoder RUN"):
        finish(loop.align(listed_pairs(), config(ground).model_copy(update={"encoder": None}), tmp_path / "run"))
    with pytest.raises(CheckpointError, match="no encoder here"):
        align(tmp_path, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"text\.longest must be a whole number in 4\.\.16, got 3"):
        align(ground, tmp_path / "run", text={"shortest": 4, "longest": 3})
    with pytest.raises(ConfigError, match=r"vectors: .*'text': name it with letters, digits and _, and neither audio"):
        config(ground, vectors={"text": "a.npz"})
    with pytest.raises(ConfigError, match=r"text\.fields: .*no field 'gendre'\. Did you mean 'genre'\?"):
        config(ground, text={"fields": ["gendre"]})
    assert not (tmp_path / "run").exists()


def test_tracks_that_cannot_be_read_are_listed_and_too_few_are_an_error(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = listed_pairs()

    def heard(extractor: Any, tracks: pd.DataFrame, *_: Any) -> Any:
        yield from ()
        bad = pd.DataFrame({"path": tracks["path"][left:], "reason": "undecodable", "detail": "noise"})
        return dict(list(segments_of(listed, extractor.dim).items())[:left]), bad

    monkeypatch.setattr("mirclr.training.align_run.heard", heard)
    left = 70
    done = align(ground, tmp_path / "run", listed, budget={"steps": 2})
    assert len(done.quarantine) == 10
    assert len(pd.read_csv(tmp_path / "run" / "tracks.csv")) == 70
    left = 1
    with pytest.raises(TrainingError, match=r"1 track\(s\) left to learn from, at least 2 needed"):
        align(ground, tmp_path / "other", listed)


def test_own_texts_are_joined_by_path_and_copies_share_what_is_known(ground: Path, tmp_path: Path) -> None:
    listed = listed_pairs(artists=2, tracks=2, artist=None)
    paths = listed.tracks["path"].tolist()
    listed.tracks.loc[1, "audio_id"] = listed.tracks.loc[0, "audio_id"]
    lines = ["path,text", f"{paths[1]},for the night", f"{paths[1]},very late", "/gone.wav,lost"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    known = known_of(listed, config(ground, texts=str(tmp_path / "t.csv")))
    assert len(known.tracks) == 3
    assert known.texts[0]["text"] == ("for the night", "very late")
    assert len(known.texts[0]["genre"]) == 2
    assert known.fields == ("genre", "text")
    assert known.notes[0].endswith("t.csv: 1 of its 2 files are not among the tracks")
    only = known_of(listed, config(ground, texts=str(tmp_path / "t.csv"), text={"fields": ["genre"]}))
    assert only.fields == ("genre",)
