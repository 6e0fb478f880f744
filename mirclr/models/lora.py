"""LoRA: a trained layer moves only by a product of two thin matrices (Hu et al., arXiv 2106.09685).

`W' = W + alpha / rank * B A`, with `A` `(rank, inputs)` drawn from a Gaussian and `B` `(outputs, rank)` zero, so that
training begins exactly at the pretrained layer (section 4.1). The weight of a convolution is the matrix
`(outputs, inputs * kernel)`: `A` is then a convolution of the same kernel to `rank` channels and `B` a 1x1 convolution
back, and their sum with the base is one convolution.

The product is added to the weight and not to the output. The function is the same; it costs the product of two thin
matrices instead of a second pass over the maps, code that reads `layer.weight` itself (attention does) is adapted too,
and merging is exact: the merged layer computes with the very numbers the adapted one used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class LowRankUpdate(nn.Module):
    """The weight of one layer, `(outputs, ...)`, to the adapted weight of the same shape.

    `down` is the paper's A, `up` its B. Raises ValueError when `rank` is more than the layer's matrix can have.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        if not 1 <= rank <= min(outputs, inputs):
            raise ValueError(f"rank must be in 1..{min(outputs, inputs)} for a {outputs} x {inputs} layer, got {rank}")
        self.scale = alpha / rank
        # Unit variance of A x for inputs of unit variance, whatever the layer's size.
        self.down = nn.Parameter(torch.randn(rank, inputs).to(weight) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank).to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """`(outputs, ...)` to the same shape."""
        change = self.scale * (self.up @ self.down).view(weight.shape)
        # Laid out as the weight is (channels last): another layout computes with another rounding, and slower.
        return torch.empty_like(weight, requires_grad=False).copy_(weight + change)


def adaptable(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names and layers that LoRA reaches: Linear, Conv1d and Conv2d.

    Grouped convolutions are left as they are: a depthwise kernel has one input and one output a group, and nothing in
    it has a rank to lower.
    """
    for name, layer in module.named_modules():
        plain = isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups == 1
        if plain or isinstance(layer, nn.Linear):
            yield name, layer


def add_lora(module: nn.Module, rank: int = 8, alpha: float = 16.0, norms: bool = False) -> list[str]:
    """Adapt every layer `adaptable` finds and freeze all other parameters of `module`; the names of the layers.

    `norms`: the scales and shifts of normalisation layers train too. A is drawn from torch's generator, as the weights
    of any layer are. Nothing is changed when something does not fit.

    Raises ValueError when no layer can be adapted, on `alpha` <= 0, and when `rank` does not fit a layer, naming it.
    """
    layers = list(adaptable(module))
    if not layers:
        raise ValueError("lora: there is no Linear, Conv1d or Conv2d layer to adapt")
    if alpha <= 0:
        raise ValueError(f"lora.alpha must be > 0, got {alpha!r}")
    updates = [_update(name, layer, rank, alpha) for name, layer in layers]
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    if norms:
        _train_norms(module)
    for (_, layer), update in zip(layers, updates, strict=True):
        parametrize.register_parametrization(layer, "weight", update)
    return [name for name, _ in layers]


def merge_lora(module: nn.Module) -> nn.Module:
    """Make every adapted layer of `module` the plain layer it computes as; returns `module`."""
    for layer in list(module.modules()):
        if parametrize.is_parametrized(layer, "weight") and _is_ours(layer):
            _make_plain(layer)
    return module


def _make_plain(layer: nn.Module) -> None:
    """Not by torch's `remove_parametrizations`: it takes the weight from the class, and copies share their class."""
    weight = layer.weight.detach()  # type: ignore[operator]  # a tensor, computed by the parametrization
    del layer.parametrizations
    layer.__class__ = type(layer).__mro__[1]  # the class that the parametrization was put over
    layer.weight = nn.Parameter(weight)


def _update(name: str, layer: nn.Module, rank: int, alpha: float) -> LowRankUpdate:
    weight = layer.weight
    assert isinstance(weight, Tensor), "Linear and convolutions have a weight"
    try:
        return LowRankUpdate(weight, rank, alpha)
    except ValueError as error:
        raise ValueError(f"lora.{error} ({name or 'the layer itself'})") from error


def _train_norms(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, _NORMS):
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad_(True)


def _is_ours(layer: nn.Module) -> bool:
    chain = layer.parametrizations["weight"]  # type: ignore[index]  # what is_parametrized has just found
    return isinstance(chain[0], LowRankUpdate)
