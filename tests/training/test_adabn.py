"""An encoder adapted to a folder: its statistics are those of the folder's clips, and accuracy comes back with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from mirclr.audio.decode import decode
from mirclr.config import validate
from mirclr.errors import CheckpointError, ConfigError, UsageError
from mirclr.features.encoder_file import load_encoder
from mirclr.features.head_file import load_head
from mirclr.models.embedder import Embedder
from mirclr.reports import finish
from mirclr.training import finetune as loop
from mirclr.training.adabn import Adapted, adabn
from mirclr.training.adabn_config import AdaBNConfig
from tests.support.labelled_tones import labelled, labelled_folder, tiny_encoder, tone, tuning
from tests.support.other_domain import accuracy, other_folder
from tests.support.tones import RATE


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untuned encoder here, `tuned` with a head for the tones of `music`, and others behind a wall in `other`."""
    folder = tmp_path_factory.mktemp("adapt")
    labelled_folder(folder / "music")
    other_folder(folder / "other")
    tiny_encoder(folder)
    settings = tuning(folder / "cache", encoder=str(folder), seed=3, budget={"steps": 40})
    finish(loop.finetune(labelled(folder / "music"), settings, folder / "tuned"))
    return folder


def adapted(ground: Path, output: Path, music: str = "other", encoder: str = "tuned", **over: Any) -> Adapted:
    given = {"encoder": ground / encoder, "cache": {"folder": ground / "cache", "workers": 1}, **over}
    return finish(adabn([ground / music], validate(AdaBNConfig, given, "test"), output))


@pytest.fixture(scope="module")
def whole(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Adapted]:
    output = tmp_path_factory.mktemp("whole") / "fitted"
    return output, adapted(ground, output)


def clips(embedder: Embedder, folder: Path) -> torch.Tensor:
    """Every clip of every track, as an extractor hears them, in float64."""
    parts = []
    for path in sorted(folder.glob("*.wav")):
        frames = embedder.frontend.track(torch.from_numpy(decode(path, RATE)))
        parts.append(embedder.clips(frames)[0])
    return torch.cat(parts).double()


def test_what_the_wall_took_away_comes_back(ground: Path, whole: tuple[Path, Adapted]) -> None:
    assert accuracy(ground / "tuned", ground / "other") == 0.5  # everything sounds low
    assert accuracy(whole[0], ground / "other") == 1.0


def test_the_statistics_are_those_of_all_clips_as_one_batch(ground: Path, whole: tuple[Path, Adapted]) -> None:
    """By training mode itself, in float64, with the adapted normalisation of the input before it."""
    run, _ = whole
    made = load_encoder(run, "cpu").embedder
    one = load_encoder(ground / "tuned", "cpu").embedder.double()
    everything = clips(one, ground / "other")
    one.fit([everything])
    one.train()
    norms = [m for m in one.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    inputs: list[torch.Tensor] = []
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    one.from_spectrogram(everything)
    tensors = dict(made.named_buffers())
    names = {module: name for name, module in one.named_modules()}
    # The store keeps frames as float16, and so every place may differ by that much.
    torch.testing.assert_close(tensors["normalise.mean"].double(), one.normalise.mean, rtol=2e-3, atol=2e-3)
    for norm, seen in zip(norms, inputs, strict=True):
        variance, mean = torch.var_mean(seen, (0, 2, 3), correction=0)
        scale = variance.sqrt().mean().item()
        for kind, expected in (("running_mean", mean), ("running_var", variance)):
            found = tensors[f"{names[norm]}.{kind}"].double()
            torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3 * scale)


def test_only_statistics_move_and_the_head_moves_with_them(ground: Path, whole: tuple[Path, Adapted]) -> None:
    for part in ("encoder", "head"):
        before, after = (load_file(run / part / f"{part}.safetensors") for run in (ground / "tuned", whole[0]))
        assert before.keys() == after.keys()
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        statistics = ("running_mean", "running_var", "normalise.mean", "normalise.std")
        assert moved == {name for name in before if name.endswith(statistics)}
    saved = load_head(whole[0], load_encoder(whole[0]).fingerprint)
    assert saved.vocabulary == ("high", "low")


def test_it_says_what_was_done_and_how_far_layers_moved(ground: Path, whole: tuple[Path, Adapted]) -> None:
    run, done = whole
    notes = load_encoder(run).notes
    assert notes[: len(notes) - 1] == load_encoder(ground / "tuned").notes
    assert notes[-1].startswith("AdaBN: statistics of input normalisation and batch norm measured on 12 tracks of ")
    assert notes[-1].endswith("other; all weights as they were")
    assert done.tracks == 12
    shifts = pd.read_csv(run / "shifts.csv")
    assert shifts["layer"].tolist() == [shift.layer for shift in done.shifts]
    assert (shifts["layer"].iloc[0], shifts["layer"].iloc[-1]) == ("normalise", "head.standardise")
    assert shifts["moved"].iloc[0] > 0.3
    config = json.loads((run / "config.json").read_text())
    assert (config["share"], config["encoder"]) == (1.0, str(ground / "tuned"))
    assert len(pd.read_csv(run / "tracks.csv")) == 12


def test_adapted_twice_is_adapted_once_and_a_run_repeats_to_the_bit(
    ground: Path, whole: tuple[Path, Adapted], tmp_path: Path
) -> None:
    run, done = whole
    adapted(ground, tmp_path / "again")
    assert load_encoder(tmp_path / "again").fingerprint == load_encoder(run).fingerprint
    twice = adapted(ground, tmp_path / "twice", encoder=str(run))
    assert max(shift.moved for shift in twice.shifts) < 1e-3 < max(shift.moved for shift in done.shifts)
    assert all(shift.spread == pytest.approx(1, abs=1e-3) for shift in twice.shifts)


def test_a_share_lies_between_and_the_input_can_be_left_alone(
    ground: Path, whole: tuple[Path, Adapted], tmp_path: Path
) -> None:
    adapted(ground, tmp_path / "half", share=0.5, normalisation=False)
    before, after = (dict(load_encoder(run).embedder.named_buffers()) for run in (ground / "tuned", tmp_path / "half"))
    assert torch.equal(before["normalise.mean"], after["normalise.mean"])
    assert "weighed 0.5 beside those it had" in load_encoder(tmp_path / "half").notes[-1]
    adapted(ground, tmp_path / "full", normalisation=False)
    full = dict(load_encoder(tmp_path / "full").embedder.named_buffers())
    first = "encoder.stem.1.running_mean"
    torch.testing.assert_close(after[first], (before[first] + full[first]) / 2)
    adapted(ground, tmp_path / "none", share=0.0)
    assert load_encoder(tmp_path / "none").fingerprint == load_encoder(ground / "tuned").fingerprint


def test_an_encoder_without_a_head_has_none_afterwards(ground: Path, tmp_path: Path) -> None:
    done = adapted(ground, tmp_path / "out", encoder="encoder")
    assert done.head is None
    assert done.shifts[-1].layer.startswith("encoder.")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("encoder", "config.json", "tracks.csv", "quarantine.csv", "shifts.csv")
    }


def test_the_head_of_another_step_is_not_taken_along(ground: Path, tmp_path: Path) -> None:
    last = ground / "tuned" / "checkpoints" / "last.safetensors"
    assert adapted(ground, tmp_path / "out", encoder=str(last)).head is None
    assert adapted(ground, tmp_path / "same", encoder="tuned/encoder").head == tmp_path / "same" / "head"


def test_mistakes_are_found_before_anything_is_decoded(ground: Path, tmp_path: Path) -> None:
    cold = {"cache": {"folder": tmp_path / "cache", "workers": 1}}
    plan = {"encoder": {"name": "transformer", "width": 8, "depth": 1, "heads": 2}}
    tiny_encoder(tmp_path / "plain", **plan)
    with pytest.raises(UsageError, match="transformer: no layer has batch norm"):
        adapted(ground, tmp_path / "out", encoder=str(tmp_path / "plain"), **cold)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: 0 readable track\(s\) to adapt to, at least 2 needed"):
        adapted(ground, tmp_path / "out", music=str(tmp_path / "empty"), **cold)
    with pytest.raises(UsageError, match="nowhere"):
        adapted(ground, tmp_path / "out", music=str(tmp_path / "nowhere"), **cold)
    with pytest.raises(CheckpointError, match="no encoder here"):
        adapted(ground, tmp_path / "out", encoder=str(tmp_path / "empty"), **cold)
    with pytest.raises(UsageError, match="tuned: already holds an encoder; choose another folder"):
        adapted(ground, ground / "tuned", **cold)
    with pytest.raises(ConfigError, match=r"share: .*less than or equal to 1 \(got 1\.5\)"):
        adapted(ground, tmp_path / "out", share=1.5)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


def test_a_file_that_cannot_be_read_is_listed_and_the_rest_is_done(ground: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in range(2):
        soundfile.write(music / f"{number}.wav", tone("low", f"some {number}", 2.0), RATE)
    (music / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    done = adapted(ground, tmp_path / "out", music=str(music))
    assert done.quarantine["path"].tolist() == [str(music / "bad.wav")]
    assert pd.read_csv(tmp_path / "out" / "quarantine.csv")["path"].tolist() == [str(music / "bad.wav")]
