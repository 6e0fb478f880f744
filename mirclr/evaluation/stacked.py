"""Many multilayer perceptrons of one shape as one module: a matrix product for all of them at a time.

Networks of a grid differ in what does not change their shape (dropout, which input they see). Every parameter has a
leading axis of P networks, and elementwise optimisers treat each as if it were alone. Batch normalisation counts each
network's units as channels of its own. What P networks compute here is what each would compute by itself (held by a
test against torch's own layers).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Initial = Literal["torch", "xavier_uniform", "xavier_normal"]


@dataclass(frozen=True)
class Shape:
    """Sizes of `hidden` layers (ReLU); `input_dropout`: the input is dropped too; `batch_norm` before each ReLU;
    how weights start: as torch's linear layers, or Xavier with the gain of what comes before (torch.nn.init)."""

    hidden: tuple[int, ...]
    input_dropout: bool = False
    batch_norm: bool = False
    initial: Initial = "torch"


class StackedMlp(nn.Module):
    """P networks of one `shape` from D inputs to K outputs; `dropout[p]` is network p's probability.

    All start from the same weights, drawn from `generator`: points of a grid then differ by their settings alone.
    """

    def __init__(
        self, shape: Shape, inputs: int, outputs: int, dropout: Sequence[float], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.shape, self.generator = shape, generator
        self.register_buffer("dropout", torch.tensor(dropout, dtype=torch.float32))
        sizes = (inputs, *shape.hidden, outputs)
        count = len(dropout)
        for place, (before, after) in enumerate(itertools.pairwise(sizes)):
            weight, bias = _drawn(shape, before, after, place > 0, generator)
            self.register_parameter(f"weight{place}", nn.Parameter(weight.repeat(count, 1, 1)))
            self.register_parameter(f"bias{place}", nn.Parameter(bias.repeat(count, 1, 1)))
        for place, size in enumerate(shape.hidden if shape.batch_norm else ()):
            self.register_parameter(f"scale{place}", nn.Parameter(torch.ones(count, size)))
            self.register_parameter(f"shift{place}", nn.Parameter(torch.zeros(count, size)))
            self.register_buffer(f"mean{place}", torch.zeros(count, size))
            self.register_buffer(f"variance{place}", torch.ones(count, size))

    def forward(self, x: Tensor) -> Tensor:
        """`(P, B, D)` to `(P, B, K)`."""
        if self.shape.input_dropout:
            x = self._dropped(x)
        for place in range(len(self.shape.hidden)):
            x = self._linear(x, place)
            if self.shape.batch_norm:
                x = self._normed(x, place)
            x = self._dropped(x.relu())
        return self._linear(x, len(self.shape.hidden))

    def _linear(self, x: Tensor, place: int) -> Tensor:
        return torch.baddbmm(self.get_parameter(f"bias{place}"), x, self.get_parameter(f"weight{place}"))

    def _dropped(self, x: Tensor) -> Tensor:
        """Dropout with a probability of each network's own, drawn from the module's generator."""
        if not self.training:
            return x
        chance = self.get_buffer("dropout")[:, None, None]
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= chance
        return x * kept / (1 - chance)

    def _normed(self, x: Tensor, place: int) -> Tensor:
        flat = x.transpose(0, 1).flatten(1)  # (B, P * H): a channel is one unit of one network
        mean, variance = (self.get_buffer(f"{name}{place}").view(-1) for name in ("mean", "variance"))
        scale, shift = (self.get_parameter(f"{name}{place}").view(-1) for name in ("scale", "shift"))
        # One example has no variance: torch refuses it, and running statistics are the best there is.
        alone = len(flat) == 1
        normed = functional.batch_norm(flat, mean, variance, scale, shift, training=self.training and not alone)
        return normed.view(x.shape[1], x.shape[0], -1).transpose(0, 1)


def _drawn(shape: Shape, before: int, after: int, hidden: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights `(before, after)` and biases `(after,)` of one layer. Biases start as torch's do, whatever the weights.

    `hidden`: a ReLU comes before. On a GPU too the numbers are drawn by `generator`, so that a seed means one start
    per device.
    """
    place = generator.device
    weight = torch.empty(after, before, device=place)
    bound = before**-0.5
    if shape.initial == "torch":  # kaiming_uniform_(a=sqrt(5)) is uniform within 1 / sqrt(inputs)
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    else:
        draw = {"xavier_uniform": nn.init.xavier_uniform_, "xavier_normal": nn.init.xavier_normal_}[shape.initial]
        draw(weight, gain=nn.init.calculate_gain("relu" if hidden else "linear"), generator=generator)
    return weight.T, nn.init.uniform_(torch.empty(after, device=place), -bound, bound, generator=generator)


def rows_of(module: StackedMlp, rows: Tensor) -> StackedMlp:
    """A module of the networks `rows` of `module`, weights copied."""
    state = {name: tensor[rows].clone() for name, tensor in module.state_dict().items()}
    sizes = (module.get_parameter("weight0").shape[1], module.get_parameter(f"bias{len(module.shape.hidden)}").shape[2])
    unused = torch.Generator(module.generator.device)
    made = StackedMlp(module.shape, *sizes, [0.0] * len(rows), unused).to(rows.device)
    made.load_state_dict(state)
    made.generator = module.generator
    return made.train(module.training)
