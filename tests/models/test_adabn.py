"""AdaBN: the statistics of one batch of everything, exactly, and nothing else changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from mirclr.models.adabn import BatchNorm, Shift, adapt_batch_norms, adapt_normalisation, batch_norms
from mirclr.models.embedder import Embedder
from mirclr.models.frontend_normalise import Normalise
from mirclr.models.table import ENCODERS

CLIPS, BANDS, FRAMES = 12, 16, 40
WITH_BATCH_NORM = sorted(set(ENCODERS) - {"transformer"})


def built(name: str = "resnet", **options: object) -> Embedder:
    """An embedder in float64 whose batch norms have seen something, in eval mode."""
    torch.manual_seed(1)
    small = {"resnet": {"width": 4, "stages": 2}, "depthwise": {"width": 4, "stages": 2}}.get(name, {"width": 4})
    frontend = {"name": "raw"} if ENCODERS[name].domain == "wave" else {"name": "logmel", "n_mels": BANDS}
    plan = {
        "sample_rate": 8000,
        "clip_seconds": 1.0,
        "frontend": frontend,
        "encoder": {"name": name, **small, **options},
    }
    made = Embedder(plan).double().train()
    made.from_spectrogram(frames(made, seed=5))
    return made.eval()


def frames(embedder: Embedder, seed: int = 0, clips: int = CLIPS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (clips, embedder.frontend.bands, 3000 if embedder.frontend.domain == "wave" else FRAMES)
    return torch.randn(size, generator=generator, dtype=torch.float64) * 2 + 0.7


def adapted(embedder: Embedder, clips: Tensor, share: float = 1.0, batch: int = 5) -> list[Shift]:
    norms = batch_norms(embedder, embedder.from_spectrogram, clips[:1])
    return list(adapt_batch_norms(norms, embedder.from_spectrogram, lambda: clips.split(batch), share))


def norms_of(module: nn.Module) -> list[BatchNorm]:
    return [m for m in module.modules() if isinstance(m, BatchNorm)]


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_the_statistics_are_those_of_one_big_batch_in_training_mode(name: str) -> None:
    embedder = built(name)
    clips, whole = frames(embedder), copy.deepcopy(embedder).train()
    for norm in norms_of(whole):
        norm.momentum = 1.0  # what is left is the last batch, and there is only one
    seen = dict.fromkeys(norms_of(whole), 0)
    for norm in seen:
        norm.register_forward_pre_hook(lambda norm, given: seen.update({norm: given[0].numel() // given[0].shape[1]}))
    expected = whole.from_spectrogram(clips)
    adapted(embedder, clips)
    for mine, theirs in zip(norms_of(embedder), norms_of(whole), strict=True):
        torch.testing.assert_close(mine.running_mean, theirs.running_mean, rtol=1e-9, atol=1e-9)
        population = theirs.running_var * (seen[theirs] - 1) / seen[theirs]
        torch.testing.assert_close(mine.running_var, population, rtol=1e-9, atol=1e-9)
    if not any(isinstance(m, nn.Dropout) for m in embedder.modules()):
        torch.testing.assert_close(embedder.from_spectrogram(clips), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("batch", [1, 4, 12])
def test_batches_and_the_order_of_clips_are_nothing(batch: int) -> None:
    one, other = built(), built()
    clips = frames(one)
    adapted(one, clips)
    adapted(other, clips[torch.randperm(CLIPS)], batch=batch)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, rtol=1e-10, atol=1e-10)


def test_every_channel_then_has_mean_zero_and_variance_one_before_scale_and_shift() -> None:
    embedder = built()
    clips, caught = frames(embedder), []
    adapted(embedder, clips)
    for norm in norms_of(embedder):
        norm.register_forward_hook(lambda norm, _, out: caught.append((norm, out)))
    embedder.from_spectrogram(clips)
    for norm, out in caught:
        shape = (-1, *[1] * (out.ndim - 2))
        plain = ((out - norm.bias.view(shape)) / norm.weight.view(shape)).transpose(0, 1).flatten(1)
        torch.testing.assert_close(plain.mean(1), torch.zeros(len(plain), dtype=torch.float64), rtol=0, atol=1e-9)
        # eps stands beside the variance: a channel of little of it comes out below one
        expected = norm.running_var / (norm.running_var + norm.eps)
        torch.testing.assert_close(plain.var(1, correction=0), expected, rtol=1e-6, atol=0)


def test_weights_and_counters_stay_to_the_bit() -> None:
    embedder = built()
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    adapted(embedder, frames(embedder))
    moved = {name for name, tensor in embedder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if name.endswith(("running_mean", "running_var"))}


def test_adapting_again_to_the_same_music_changes_nothing() -> None:
    embedder = built()
    clips = frames(embedder)
    adapted(embedder, clips)
    once = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    shifts = adapted(embedder, clips)
    for name, tensor in embedder.state_dict().items():
        torch.testing.assert_close(tensor, once[name], rtol=1e-9, atol=1e-9)
    assert all(shift.moved < 1e-6 and shift.spread == pytest.approx(1, abs=1e-6) for shift in shifts)


def test_a_share_of_none_is_the_encoder_to_the_bit_and_half_lies_in_the_middle() -> None:
    start, none, half, whole = (built() for _ in range(4))
    clips = frames(start)
    shifts = adapted(none, clips, share=0.0)
    assert all(torch.equal(tensor, start.state_dict()[name]) for name, tensor in none.state_dict().items())
    assert shifts[0].moved > 0.01  # what was measured is told all the same
    adapted(half, clips, share=0.5)
    adapted(whole, clips)
    first = (norms_of(model)[0] for model in (start, half, whole))
    (a, b), (c, d), (e, f) = ((norm.running_mean, norm.running_var) for norm in first)
    torch.testing.assert_close(c, (a + e) / 2)
    torch.testing.assert_close(d, (b + f) / 2)


def test_layers_come_in_the_order_of_the_network_and_say_how_far_they_moved() -> None:
    embedder = built()
    names = [shift.layer for shift in adapted(embedder, frames(embedder))]
    assert names[0] == "encoder.stem.1"
    assert len(names) == len(set(names)) == len(norms_of(embedder))
    layer = nn.BatchNorm1d(2).double().eval()
    layer.running_mean.copy_(torch.tensor([0.0, 1.0]))
    layer.running_var.copy_(torch.tensor([4.0, 1.0]))
    rows = torch.tensor([[1.0, 1.0], [3.0, 3.0]], dtype=torch.float64)  # means 2 and 2, deviations 1 and 1
    (shift,) = adapt_batch_norms({"it": layer}, layer, lambda: [rows])
    assert (shift.layer, shift.channels) == ("it", 2)
    assert shift.moved == pytest.approx((2 / 2 + 1 / 1) / 2, rel=1e-4)
    assert shift.spread == pytest.approx((1 / 2 * 1) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("per_band", [True, False])
def test_the_normalisation_of_the_input_is_measured_in_the_same_way(per_band: bool) -> None:
    normalise = Normalise(BANDS, per_band=per_band).double()
    clips = torch.randn(6, BANDS, 30, dtype=torch.float64) * 3 - 8
    normalise.fit([torch.randn(4, BANDS, 30, dtype=torch.float64)])
    start, fresh = copy.deepcopy(normalise), Normalise(BANDS, per_band=per_band).double().fit([clips])
    adapt_normalisation(normalise, clips.split(4), share=0.25)
    torch.testing.assert_close(normalise.mean, 0.75 * start.mean + 0.25 * fresh.mean)
    torch.testing.assert_close(normalise.std.square(), 0.75 * start.std.square() + 0.25 * fresh.std.square())
    shift = adapt_normalisation(normalise, clips.split(4))
    torch.testing.assert_close(normalise.mean, fresh.mean)
    torch.testing.assert_close(normalise.std, fresh.std)
    assert (shift.layer, shift.channels) == ("normalise", BANDS if per_band else 1)


def test_without_batch_norm_there_is_nothing_to_adapt() -> None:
    plan = {"name": "transformer", "width": 8, "depth": 1, "heads": 2}
    embedder = Embedder({
        "sample_rate": 8000, "clip_seconds": 1.0, "frontend": {"name": "logmel", "n_mels": BANDS}, "encoder": plan
    }).eval()  # fmt: skip
    with pytest.raises(ValueError, match="no layer has batch norm"):
        batch_norms(embedder, embedder.from_spectrogram, torch.zeros(1, BANDS, FRAMES))


def test_a_layer_that_serves_two_places_and_one_that_keeps_no_statistics() -> None:
    norm = nn.BatchNorm1d(3)
    twice = nn.Sequential(norm, nn.Linear(3, 3), norm).eval()
    with pytest.raises(ValueError, match="gone through twice"):
        batch_norms(twice, twice, torch.zeros(1, 3))
    loose = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="no layer has batch norm"):
        batch_norms(loose, loose, torch.zeros(2, 3))


def test_bad_values_are_named() -> None:
    layer = nn.BatchNorm1d(2).eval()

    def run(rows: list[Tensor], share: float = 1.0) -> Iterator[Shift]:
        return adapt_batch_norms({"it": layer}, layer, lambda: rows, share)

    with pytest.raises(ValueError, match=r"share must be in 0\.\.1, got 1\.5"):
        next(run([torch.zeros(3, 2)], 1.5))
    with pytest.raises(ValueError, match="no frames were given"):
        next(run([]))
    with pytest.raises(ValueError, match="a value is not finite"):
        next(run([torch.full((3, 2), torch.nan)]))
    with pytest.raises(ValueError, match="share must be in"):
        adapt_normalisation(Normalise(2), [torch.zeros(1, 2, 3)], share=-0.1)
    assert torch.equal(layer.running_mean, torch.zeros(2))
