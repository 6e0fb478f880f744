"""The loop as a user meets it: what it writes, how it stops, and that stopping changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mirclr.config import PretrainConfig, dump
from mirclr.errors import CheckpointError, ConfigError, TrainingError, UsageError
from mirclr.features.encoder_file import load_encoder
from mirclr.models.table import build_frontend
from mirclr.reports import finish
from mirclr.training import pretrain as loop
from mirclr.training.checkpoint import BEST, LAST
from mirclr.training.journal import read_journal
from mirclr.training.material import prepare
from mirclr.training.prepared import Prepared
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """A track table and a cache folder, decoded once for the module."""
    folder = tmp_path_factory.mktemp("sound")
    return tone_folder(folder / "music"), folder / "cache"


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_journal(run / "metrics.jsonl") if row["kind"] == "step"]


def train(sound: tuple[pd.DataFrame, Path], run: Path, resume: bool = False, **over: object) -> loop.Pretrained:
    return finish(loop.pretrain(sound[0], tiny(sound[1], **over), run, resume))


@pytest.fixture(scope="module")
def whole(sound: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(sound, run)
    return run


def test_a_run_leaves_everything_it_promises(whole: Path) -> None:
    expected = {"config.json", "tracks.csv", "quarantine.csv", "metrics.jsonl", "checkpoints", "encoder"}
    assert expected <= {p.name for p in whole.iterdir()}
    report = read_journal(whole / "metrics.jsonl")[-1]
    named = {"loss", "learning_rate", "clips_per_s", "data_share", "batch_alignment", "batch_uniformity"}
    assert named | {"batch_effective_rank", "batch_spread"} <= report.keys()
    assert len(losses(whole)) == 12
    assert load_encoder(whole).fingerprint == load_encoder(whole / "checkpoints" / LAST).fingerprint


def test_the_loss_falls_and_the_rate_warms_up_and_comes_down(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    train(sound, tmp_path / "run", budget={"steps": 60}, optim={"batch": 8, "learning_rate": 1e-2})
    curve = losses(tmp_path / "run")
    assert sum(curve[-10:]) < sum(curve[:10]) - 3
    rates = [r["learning_rate"] for r in read_journal(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "step"]
    assert rates[0] < rates[2] <= max(rates) <= 1e-2
    assert rates[-1] < 1e-4


def test_same_seed_same_curve_other_seed_another(sound: tuple[pd.DataFrame, Path], whole: Path, tmp_path: Path) -> None:
    train(sound, tmp_path / "same", workers=2)
    train(sound, tmp_path / "other", seed=1)
    assert losses(tmp_path / "same") == losses(whole)
    assert losses(tmp_path / "other") != losses(whole)


def spawn(sound: tuple[pd.DataFrame, Path], config: PretrainConfig, run: Path) -> subprocess.Popen[bytes]:
    table, settings = run.parent / "tracks.csv", run.parent / "config.json"
    sound[0].to_csv(table, index=False)
    settings.write_text(dump(config))
    command = [sys.executable, "-m", "tests.support.train_child", str(table), str(settings), str(run)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


def wait_for_steps(run: Path, steps: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while len(losses(run)) < steps:
        assert child.poll() is None, "the child ended before it could be killed"
        assert time.monotonic() < deadline, "the child is not training"
        time.sleep(0.01)


@pytest.mark.parametrize("after", [1, 61])
def test_killed_at_any_moment_and_resumed_equals_never_stopped(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path, after: int
) -> None:
    run, uninterrupted, steps = tmp_path / "killed", tmp_path / "uninterrupted", {"steps": 150}
    child = spawn(sound, tiny(sound[1], budget=steps), run)
    wait_for_steps(run, after, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(losses(run)) < 150
    train(sound, run, resume=True, budget=steps)
    train(sound, uninterrupted, budget=steps)
    assert losses(run) == losses(uninterrupted)
    assert load_encoder(run).fingerprint == load_encoder(uninterrupted).fingerprint
    last = (load_file(folder / "checkpoints" / LAST) for folder in (run, uninterrupted))
    assert all(torch.equal(a, b) for a, b in zip(*(t.values() for t in last), strict=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    child = spawn(sound, tiny(sound[1], budget={"steps": 100_000}), run)
    wait_for_steps(run, 5, child)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"--resume" in said
    assert number.name.encode() in said
    assert (run / "checkpoints" / LAST).is_file()
    done = len(losses(run))
    train(sound, run, resume=True, budget={"steps": done + 3})
    assert len(losses(run)) == done + 3


def test_a_run_is_never_overwritten(sound: tuple[pd.DataFrame, Path], whole: Path) -> None:
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        train(sound, whole)


def test_a_finished_run_resumed_does_nothing_more(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    train(sound, tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert train(sound, tmp_path / "run", resume=True).steps == 12
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_other_settings_or_tracks_are_refused(sound: tuple[pd.DataFrame, Path], whole: Path) -> None:
    with pytest.raises(CheckpointError, match=r"optim.learning_rate was 0.002, is 0.5"):
        train(sound, whole, resume=True, optim={"learning_rate": 0.5})
    fewer = (sound[0].iloc[:6], sound[1])
    with pytest.raises(CheckpointError, match="other tracks"):
        train(fewer, whole, resume=True)


def test_damage_is_found_before_anything_is_loaded(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(sound, run)
    file = run / "checkpoints" / LAST
    good = bytearray(file.read_bytes())
    for damage in (good[: len(good) // 2], good[:-100] + bytes([good[-100] ^ 1]) + good[-99:], b"no", b""):
        file.write_bytes(damage)
        with pytest.raises(CheckpointError, match=r"last\.safetensors"):
            train(sound, run, resume=True, budget={"steps": 20})


def test_not_a_number_stops_with_advice_and_keeps_the_checkpoint(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Run, "prepared", lambda run, loaded: Prepared(torch.full((2, 4, 16, 63), torch.nan), None))
    with pytest.raises(TrainingError, match=r"the loss became nan at step 1 .*optim\.learning_rate"):
        train(sound, tmp_path / "run")


def test_collapse_stops_with_an_explanation(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_BETWEEN_REPORTS", 2)
    # Constant inputs leave the encoder nothing to tell apart: a collapse by construction.
    monkeypatch.setattr(loop.Run, "prepared", lambda run, loaded: Prepared(torch.zeros(2, 4, 16, 63), None))
    with pytest.raises(TrainingError, match="collapsed"):
        train(sound, tmp_path / "run")


def test_a_wall_clock_budget_plans_steps_and_keeps_to_it(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    done = train(sound, tmp_path / "run", budget={"steps": None, "minutes": 0.05})
    assert done.steps > 3
    assert done.report["learning_rate"] < 1e-3
    assert "steps in" in done.outlook


def test_a_wall_clock_budget_ends_after_the_most_passes(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    done = train(sound, tmp_path / "run", budget={"steps": None, "minutes": 60}, most_passes=4)
    steps = [row for row in read_journal(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "step"]
    reports = [row for row in read_journal(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "epoch"]
    assert (done.steps, reports[-1]["epoch"]) == (len(steps), 4)
    assert steps[-1]["learning_rate"] < steps[len(steps) // 2]["learning_rate"] / 2, "the schedule ends with it"
    assert "the most there is" in done.outlook


def test_held_out_tracks_are_not_trained_on_and_are_judged(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    done = train(sound, tmp_path / "run", hold_out=0.5, optim={"batch": 2})
    assert done.report["held_out_count"] == 4
    assert 0 <= done.report["held_out_recall_at_1"] <= 1
    assert (tmp_path / "run" / "checkpoints" / BEST).is_file()


def test_every_mistake_of_a_configuration_is_said_before_decoding(
    sound: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    wrong = {"encoder": {"name": "resnet", "widht": 4}, "loss": {"name": "dlc"}, "augment": {"spec": [{"name": "eq"}]}}
    with pytest.raises(ConfigError, match=r"(?s)widht.*'width'.*dlc.*'dcl'.*eq") as caught:
        train(sound, tmp_path / "run", **wrong)
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "run").exists()


def test_effects_on_samples_train_from_the_sample_cache(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    wave = [{"name": "gain", "p": 0.5}, {"name": "low_pass", "p": 0.5}]
    assert train(sound, tmp_path / "run", augment={"wave": wave}).steps == 12


def test_the_mel_level_holds_what_the_frontend_makes_of_the_samples(sound: tuple[pd.DataFrame, Path]) -> None:
    frames = finish(prepare(sound[0], tiny(sound[1])))
    samples = finish(prepare(sound[0], tiny(sound[1], augment={"wave": [{"name": "gain"}]})))
    assert (frames.level, samples.level) == ("mel", "samples")
    assert frames.collection == samples.collection
    track = frames.tracks["id"].iloc[3]
    made = build_frontend("logmel", 8_000, n_fft=256, hop=128, n_mels=16)
    expected = made(torch.from_numpy(samples.store.read(track).astype("float32") / 32768)[None])[0].T
    kept = torch.from_numpy(frames.store.read(track).astype("float32"))
    torch.testing.assert_close(kept, expected, atol=8e-3, rtol=0)


def test_few_artists_are_not_used_and_the_story_says_so(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    """With one artist for all, masking would leave no negative and the loss would be 0 for ever."""
    one = sound[0].assign(artist="the only one")
    done = train((one, sound[1]), tmp_path / "run")
    assert done.report["loss"] > 0.1
    assert "artist tags not used" in (done.encoder / "encoder.json").read_text()


def test_one_track_is_too_few(sound: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least 2"):
        finish(loop.pretrain(sound[0].iloc[:1], tiny(sound[1]), tmp_path / "run"))


def test_the_story_says_that_artist_tags_were_used(whole: Path) -> None:
    notes = json.loads((whole / "encoder" / "encoder.json").read_text())["story"]["notes"]
    assert any("artist tags of 8 tracks made positives (p = 0.5)" in note for note in notes)
