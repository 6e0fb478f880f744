"""LoRA: at first the base exactly, then the base and a pair of thin layers, and merged the same numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.lora import LowRankUpdate, adaptable, add_lora, merge_lora
from mirclr.models.resnet import ResidualEncoder


@pytest.fixture
def encoder() -> ResidualEncoder:
    torch.manual_seed(0)
    return ResidualEncoder(width=4, stages=2).eval()


def moved(module: nn.Module) -> nn.Module:
    """As after training: every B away from zero."""
    for part in module.modules():
        if isinstance(part, LowRankUpdate):
            nn.init.normal_(part.up, std=0.3)
    return module


def test_at_first_it_is_the_base_to_the_bit(encoder: ResidualEncoder) -> None:
    frames, before = torch.randn(3, 16, 20), encoder
    adapted = copy.deepcopy(encoder)
    names = add_lora(adapted, rank=2)
    assert len(names) == sum(isinstance(m, nn.Conv2d) for m in encoder.modules())
    assert torch.equal(adapted(frames), before(frames))


def test_merged_is_a_plain_module_that_computes_the_same(encoder: ResidualEncoder) -> None:
    frames, plain = torch.randn(3, 16, 20), encoder.state_dict().keys()
    adapted = copy.deepcopy(encoder)
    add_lora(adapted, rank=2)
    moved(adapted)
    expected = adapted(frames)
    assert not torch.allclose(expected, encoder(frames), atol=1e-2)
    merge_lora(adapted)
    assert adapted.state_dict().keys() == plain
    assert [type(m) for m in adapted.modules()] == [type(m) for m in encoder.modules()]
    torch.testing.assert_close(adapted(frames), expected, atol=1e-5, rtol=1e-5)
    encoder.load_state_dict(adapted.state_dict())
    torch.testing.assert_close(encoder(frames), expected, atol=1e-5, rtol=1e-5)


def test_merging_a_copy_leaves_the_original_adapted(encoder: ResidualEncoder) -> None:
    frames = torch.randn(3, 16, 20)
    add_lora(encoder, rank=2)
    moved(encoder)
    expected = encoder(frames)
    merge_lora(copy.deepcopy(encoder))
    assert torch.equal(encoder(frames), expected)
    assert sum(isinstance(m, LowRankUpdate) for m in encoder.modules()) > 0


def pair(layer: nn.Module) -> tuple[Tensor, Tensor, float]:
    update = layer.parametrizations.weight[0]
    return update.down, update.up, update.scale


def test_a_linear_layer_adds_b_a_x_times_alpha_over_rank() -> None:
    """Hu et al., eq. 3, and the factor of section 4.1."""
    torch.manual_seed(0)
    base, x = nn.Linear(7, 5), torch.randn(11, 7)
    adapted = copy.deepcopy(base)
    add_lora(adapted, rank=3, alpha=6.0)
    moved(adapted)
    down, up, scale = pair(adapted)
    assert scale == 2.0
    torch.testing.assert_close(adapted(x), base(x) + 2.0 * (x @ down.T @ up.T))


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_adds_a_thin_convolution_and_a_1x1_one(kernel: int) -> None:
    torch.manual_seed(0)
    for conv, function, shape in ((nn.Conv2d, functional.conv2d, (9, 8)), (nn.Conv1d, functional.conv1d, (9,))):
        base, x = conv(4, 6, kernel, stride=2, padding=1), torch.randn(2, 4, *shape)
        adapted = copy.deepcopy(base)
        add_lora(adapted, rank=3, alpha=3.0)
        moved(adapted)
        down, up, _ = pair(adapted)
        thin = function(x, down.view(3, *base.weight.shape[1:]), stride=2, padding=1)
        wide = function(thin, up.view(6, 3, *[1] * len(shape)))
        torch.testing.assert_close(adapted(x), base(x) + wide, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norms", [False, True])
def test_only_the_pairs_train_and_norms_where_asked(encoder: ResidualEncoder, norms: bool) -> None:
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    add_lora(encoder, rank=2, norms=norms)
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # A has no gradient before B has moved
        optimiser.zero_grad()
        encoder(torch.randn(3, 16, 20)).square().sum().backward()
        optimiser.step()
    after = {name.replace("parametrizations.weight.original", "weight"): p for name, p in encoder.named_parameters()}
    changed = {name for name, p in before.items() if not torch.equal(after[name], p)}
    affine = {n for n, p in before.items() if p.ndim == 1}
    assert changed == (affine if norms else set())
    pairs = [p for name, p in after.items() if name.endswith(("up", "down"))]
    assert len(pairs) == 2 * len(list(adaptable(encoder)))
    assert all(p.abs().max() > 0 for p in pairs)


def test_depthwise_convolutions_stay_and_a_module_without_layers_is_refused() -> None:
    depthwise = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1))
    assert add_lora(depthwise, rank=2) == ["1"]
    with pytest.raises(ValueError, match="no Linear, Conv1d or Conv2d layer"):
        add_lora(nn.GRU(3, 3))


def test_a_rank_larger_than_a_layer_is_named_and_nothing_is_changed(encoder: ResidualEncoder) -> None:
    names = [name for name, _ in encoder.named_parameters()]
    with pytest.raises(ValueError, match=r"lora\.rank must be in 1\.\.4 for a 4 x 49 layer, got 5 \(stem\.0\)"):
        add_lora(encoder, rank=5)
    with pytest.raises(ValueError, match=r"lora\.alpha must be > 0, got 0"):
        add_lora(encoder, rank=2, alpha=0)
    assert [name for name, _ in encoder.named_parameters()] == names
    assert all(p.requires_grad for p in encoder.parameters())
