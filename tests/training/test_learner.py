"""One step of learning: every optimiser, every objective, gradients in parts, and what a restart has to keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mirclr.config import OptimConfig
from mirclr.errors import CheckpointError, ConfigError, TrainingError
from mirclr.features.encoder_file import load_encoder
from mirclr.features.vector_file import write_vectors
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.table import LOSSES
from mirclr.reports import finish
from mirclr.training import pretrain as loop
from mirclr.training.checkpoint import LAST
from mirclr.training.gradients import frozen_statistics, projected_without_activations, push_back
from mirclr.training.journal import read_journal
from mirclr.training.lars import LARS
from mirclr.training.optimisers import STATE_OF, build_optimiser, state_shapes, state_tensors
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

Sound = tuple[pd.DataFrame, Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A track table, half of it tagged with artists and albums, and a cache folder."""
    folder = tmp_path_factory.mktemp("sound")
    return tone_folder(folder / "music"), folder / "cache"


@pytest.fixture(scope="module")
def teacher(sound: Sound, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with two probabilities for all tracks but the last."""
    path = tmp_path_factory.mktemp("teacher") / "tags.csv"
    names = [str(p) for p in sound[0]["path"]][:-1]
    write_vectors(path, names, np.array([[k % 2, 1 - k % 2] for k in range(len(names))], np.float32))
    return path


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_journal(run / "metrics.jsonl") if row["kind"] == "step"]


def train(sound: Sound, run: Path, resume: bool = False, **over: object) -> loop.Pretrained:
    return finish(loop.pretrain(sound[0], tiny(sound[1], **over), run, resume))


def in_two_sessions(sound: Sound, run: Path, **over: object) -> None:
    """Six steps, stopped after three."""
    optim = over.pop("optim", {})
    schedule = {**over, "optim": {"batch": 4, **optim}}  # type: ignore[dict-item]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_report", lambda run, meter: None)
        wish = iter([None, None, "SIGINT"])
        asked = lambda fabric, value: (value[0], next(wish)) if isinstance(value, tuple) else value  # noqa: E731
        patch.setattr(loop, "agreed", asked)
        with pytest.raises(loop.Interrupted):
            train(sound, run, budget={"steps": 6}, **schedule)
    train(sound, run, resume=True, budget={"steps": 6}, **schedule)


@pytest.mark.parametrize("name", LOSSES)
def test_every_objective_trains_and_goes_on_bit_for_bit(sound: Sound, tmp_path: Path, teacher: Path, name: str) -> None:
    given: dict[str, object] = {"loss": {"name": name}}
    if "labels" in LOSSES[name].wants:
        given["labels"] = {"teacher": str(teacher)}
    train(sound, tmp_path / "whole", budget={"steps": 6}, **given)
    in_two_sessions(sound, tmp_path / "parts", **given)
    assert len(losses(tmp_path / "whole")) == 6
    assert np.isfinite(losses(tmp_path / "whole")).all()
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert load_encoder(tmp_path / "parts").fingerprint == load_encoder(tmp_path / "whole").fingerprint


@pytest.mark.parametrize("name", STATE_OF)
def test_every_optimiser_trains_and_goes_on_bit_for_bit(sound: Sound, tmp_path: Path, name: str) -> None:
    optim = {"optimiser": name, "learning_rate": 0.02}
    train(sound, tmp_path / "whole", budget={"steps": 6}, optim=optim)
    in_two_sessions(sound, tmp_path / "parts", optim=optim)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert len(set(losses(tmp_path / "whole"))) == 6


def test_a_checkpoint_of_another_optimiser_is_refused(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"optim\.optimiser was 'adamw', is 'sgd'"):
        train(sound, tmp_path / "run", resume=True, optim={"optimiser": "sgd"})


@pytest.mark.parametrize("name", STATE_OF)
def test_the_state_of_an_optimiser_is_what_is_expected_of_a_checkpoint(name: str) -> None:
    layer, optim = nn.Linear(3, 2), OptimConfig(optimiser=name, momentum=0.9)
    optimiser = build_optimiser(list(layer.named_parameters()), optim)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    found = {key: t.shape for key, t in state_tensors(layer.named_parameters(), optimiser).items()}
    assert found == state_shapes(layer.named_parameters(), optim)


def test_lars_moves_every_layer_by_a_share_of_its_own_size() -> None:
    large, small = nn.Parameter(torch.full((4, 4), 100.0)), nn.Parameter(torch.full((4, 4), 0.01))
    bias = nn.Parameter(torch.zeros(4))
    groups = [{"params": [large, small], "weight_decay": 1e-9}, {"params": [bias], "weight_decay": 0.0}]
    optimiser = LARS(groups, lr=1.0, momentum=0.0, trust=0.01)
    before = [p.detach().clone() for p in (large, small)]
    for parameter, slope in ((large, 7.0), (small, 1e-3), (bias, 2.0)):
        parameter.grad = torch.full_like(parameter, slope)
    optimiser.step()
    for parameter, old in zip((large, small), before, strict=True):
        assert ((parameter - old).norm() / old.norm()).item() == pytest.approx(0.01, rel=1e-4)
    torch.testing.assert_close(bias.detach(), torch.full((4,), -2.0))


def test_lars_with_momentum_follows_the_papers_recursion() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimiser = LARS([{"params": [weight], "weight_decay": 0.1}], lr=0.5, momentum=0.9, trust=0.02)
    w, v = np.array([[3.0, 4.0]]), np.zeros((1, 2))
    for slope in (np.array([[1.0, 0.0]]), np.array([[0.0, -2.0]]), np.array([[1.0, 1.0]])):
        local = 0.02 * np.linalg.norm(w) / (np.linalg.norm(slope) + 0.1 * np.linalg.norm(w))
        v = 0.9 * v + 0.5 * local * (slope + 0.1 * w)
        w = w - v
        weight.grad = torch.from_numpy(slope).float()
        optimiser.step()
    np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-5)


def test_gradients_in_parts_are_the_gradient_of_the_whole() -> None:
    torch.manual_seed(0)
    model, clips, loss = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)), torch.randn(10, 5), NTXent()
    loss(model(clips).unflatten(0, (2, 5))).backward()
    whole = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    z, states = projected_without_activations(model, clips, 3)
    leaf = z.requires_grad_()
    loss(leaf.unflatten(0, (2, 5))).backward()
    push_back(model, clips, 3, states, leaf.grad, torch.Tensor.backward)
    for parameter, expected in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_the_second_pass_sees_the_random_numbers_of_the_first() -> None:
    torch.manual_seed(0)
    model, clips, seen = nn.Dropout(0.5), torch.ones(8, 4, requires_grad=True), []
    z, states = projected_without_activations(model, clips, 3)
    push_back(lambda part: seen.append(model(part)) or seen[-1], clips, 3, states, torch.ones_like(z), lambda x: None)
    assert torch.equal(torch.cat(seen), z)
    after = torch.rand(1)
    torch.manual_seed(0)
    projected_without_activations(model, clips, 3)
    assert torch.equal(torch.rand(1), after)  # and leaves the generator where the first pass left it


def test_batch_norm_counts_every_part_once() -> None:
    norm = nn.BatchNorm1d(2)
    with frozen_statistics(norm):
        norm(torch.randn(6, 2) + 3)
    assert torch.equal(norm.running_mean, torch.zeros(2))
    assert norm.num_batches_tracked == 0
    assert norm.momentum == 0.1


def test_a_part_as_large_as_the_batch_changes_nothing_but_time(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "whole")
    train(sound, tmp_path / "parts", optim={"encode_at_once": 64})
    np.testing.assert_allclose(losses(tmp_path / "parts"), losses(tmp_path / "whole"), rtol=1e-4)
    train(sound, tmp_path / "small", optim={"encode_at_once": 4})
    assert np.isfinite(losses(tmp_path / "small")).all()


def test_accumulating_takes_several_batches_a_step(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "run", optim={"batch": 2, "accumulate": 3}, budget={"steps": 4})
    rows = read_journal(tmp_path / "run" / "metrics.jsonl")
    assert len(losses(tmp_path / "run")) == 4
    tracks = len(pd.read_csv(tmp_path / "run" / "tracks.csv"))
    assert rows[-1]["epoch"] == 4 * 3 // -(-tracks // 2)


@pytest.mark.parametrize("bands", [1.0, 0.5])
def test_local_views_train_and_are_told_apart_from_whole_ones(sound: Sound, tmp_path: Path, bands: float) -> None:
    views = {"local": 2, "local_seconds": 0.4, "local_bands": bands}
    train(sound, tmp_path / "run", views=views, loss={"name": "nt_xent"})
    train(sound, tmp_path / "plain", loss={"name": "nt_xent"})
    assert losses(tmp_path / "run") != losses(tmp_path / "plain")
    assert np.isfinite(losses(tmp_path / "run")).all()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"loss": {"name": "supcon"}}, r"supcon learns from labels; give labels\.dataset or labels\.teacher"),
        ({"labels": {"teacher": "x.npz"}}, r"labels: dcl does not read them; those that do: .*supcon"),
        ({"views": {"same_album": 0.1}}, r"views\.same_album: dcl takes no soft positives"),
        ({"loss": {"name": "dcl", "temperature": -1}}, "temperature must be > 0"),
    ],
)
def test_what_an_objective_needs_or_does_not_read_is_said_before_decoding(
    sound: Sound, tmp_path: Path, over: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        train(sound, tmp_path / "run", **over)
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_knows_none_of_the_tracks_is_an_error(sound: Sound, tmp_path: Path) -> None:
    write_vectors(tmp_path / "t.csv", ["/nowhere/a.wav"], np.ones((1, 3), np.float32))
    with pytest.raises(TrainingError, match=r"none of its 1 files is among the \d+ tracks"):
        train(sound, tmp_path / "run", loss={"name": "distill"}, labels={"teacher": str(tmp_path / "t.csv")})


def test_another_encoder_and_handcrafted_descriptors_can_teach(sound: Sound, tmp_path: Path) -> None:
    train(sound, tmp_path / "teacher")
    names = {"encoder": str(tmp_path / "teacher"), "handcrafted": "handcrafted", "mfcc": "mfcc"}
    for name, teacher in names.items():
        train(sound, tmp_path / name, loss={"name": "distill"}, labels={"teacher": teacher})
        assert np.isfinite(losses(tmp_path / name)).all()
    assert len({losses(tmp_path / name)[-1] for name in names}) == 3


def test_checkpoints_of_an_objective_with_weights_hold_them(sound: Sound, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    train(sound, tmp_path / "run", loss={"name": "byol"})
    names = load_file(tmp_path / "run" / "checkpoints" / LAST).keys()
    assert any(name.startswith("loss.predictor") for name in names)
    assert any(name.startswith("target.embedder") for name in names)
    assert any(name.startswith("optim.exp_avg.loss.predictor") for name in names)
