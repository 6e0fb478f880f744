"""`mirclr pretrain --keep --ignore --heads` as typed: the chain in config.json, what is said, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mirclr.cli.main import main
from tests.support.tones import tone_folder

SMALL = [
    *("--set", "audio.sample_rate=8000", "--set", "views.seconds=1", "--set", "optim.batch=4"),
    *("--set", "frontend={n_fft: 256, hop: 128, n_mels: 16}", "--set", "encoder={width: 4, stages: 2}"),
    *("--set", "projection={hidden: 16, dim: 8}", "--set", "cache.workers=1", "--set", "threads=1"),
]


def pretrain(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["pretrain", str(folder / "music"), "-o", str(folder / "run"), *words])


def chain(folder: Path) -> dict[str, dict[str, object]]:
    return {p["name"]: p for p in json.loads((folder / "run" / "config.json").read_text())["augment"]["spec"]}


def test_the_chain_of_the_run_is_in_its_config_and_the_same_words_resume_it(tmp_path: Path) -> None:
    tone_folder(tmp_path / "music")
    words = ["--keep", "key,loudness", "--ignore", "tempo"]
    done = pretrain(tmp_path, "--steps", "2", *words, *SMALL)
    assert done.exit_code == 0, done.stderr
    assert list(chain(tmp_path)) == ["background_mix", "time_warp", "time_mask", "frequency_mask"]
    assert chain(tmp_path)["time_warp"] == {"name": "time_warp", "p": 0.8, "max_rate": 1.25}
    assert "to keep key: frequency_shift removed (it changes key, pitch, timbre)" in done.stderr
    assert "to ignore tempo: time_warp with p=0.8, max_rate=1.25" in done.stderr
    first = chain(tmp_path)
    again = pretrain(tmp_path, "--steps", "3", "--resume", *words)
    assert again.exit_code == 0, again.stderr
    assert chain(tmp_path) == first


def test_heads_leave_the_chain_as_it_is_and_the_story_names_them(tmp_path: Path) -> None:
    tone_folder(tmp_path / "music")
    done = pretrain(tmp_path, "--steps", "2", "--heads", "tempo,key", *SMALL)
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["views"]["heads"] == ["tempo", "key"]
    assert {"time_warp", "frequency_shift"} <= set(chain(tmp_path))
    story = json.loads((tmp_path / "run" / "encoder" / "encoder.json").read_text())["story"]
    assert "heads of their own for tempo, key: the embedding tells them apart" in story["notes"]
    again = pretrain(tmp_path, "--steps", "3", "--resume")
    assert again.exit_code == 0, again.stderr


def test_contradictions_are_usage_errors_before_anything_is_written(tmp_path: Path) -> None:
    tone_folder(tmp_path / "music")
    for words, said in [
        (["--keep", "tempo", "--ignore", "tempo"], "tempo cannot be both kept and ignored"),
        (["--keep", "rhythm"], "no attribute 'rhythm'"),
        (["--keep", "order"], "nothing in the chain changes order"),
        (["--keep", "lodness,timbr"], "2 mistake(s)"),
        (["--heads", "tempoo"], "views.heads: no attribute 'tempoo'. Did you mean 'tempo'?"),
        (["--heads", "order"], "views.heads: nothing in the chain changes order"),
        (["--heads", "tempo", "--keep", "tempo"], "tempo cannot be kept and have a head"),
        (["--set", "views.heads=[key]", "--ignore", "key"], "key cannot be ignored and have a head"),
        (["--heads", "key", "--set", "loss.name=simsiam"], "loss simsiam cannot serve them"),
    ]:
        done = pretrain(tmp_path, *words)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "run").exists()
