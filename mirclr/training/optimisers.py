"""The optimisers by name, and which of their state a checkpoint has to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mirclr.config import OptimConfig
from mirclr.training.lars import LARS
from mirclr.training.schedules import decay_groups

STATE_OF: dict[str, tuple[str, ...]] = {
    "adamw": ("exp_avg", "exp_avg_sq", "step"),
    "adam": ("exp_avg", "exp_avg_sq", "step"),
    "sgd": ("momentum_buffer",),
    "lars": ("momentum_buffer",),
}
"""Per optimiser the state of one parameter; all but `step` have the parameter's shape."""


def build_optimiser(named: Sequence[tuple[str, nn.Parameter]], optim: OptimConfig) -> torch.optim.Optimizer:
    """The optimiser of a configuration over named parameters; norms and biases are not decayed.

    "adamw" decouples the decay from the gradient (Loshchilov and Hutter, arXiv 1711.05101); "adam" adds it to the
    gradient (Kingma and Ba, arXiv 1412.6980, with L2); "sgd" has Nesterov momentum; "lars" is mirclr.training.lars.
    """
    groups: Any = decay_groups(list(named), optim.weight_decay)
    rate = optim.learning_rate
    if optim.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    if optim.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if optim.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=optim.momentum, nesterov=optim.momentum > 0)
    return LARS(groups, lr=rate, momentum=optim.momentum)


def state_tensors(named: Iterable[tuple[str, nn.Parameter]], optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state under flat names `optim.<state>.<parameter>`."""
    out: dict[str, Tensor] = {}
    for name, parameter in named:
        state = optimiser.state.get(parameter, {})
        out |= {f"optim.{key}.{name}": torch.as_tensor(v) for key, v in state.items() if v is not None}
    return out


def state_shapes(named: Iterable[tuple[str, nn.Parameter]], optim: OptimConfig) -> dict[str, torch.Size]:
    """What `state_tensors` gives after a step."""
    keys = STATE_OF[optim.optimiser] if optim.momentum or optim.optimiser.startswith("adam") else ()
    return {f"optim.{k}.{n}": torch.Size([]) if k == "step" else p.shape for n, p in named for k in keys}


def restore_state(
    named: Iterable[tuple[str, nn.Parameter]], optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Take back what `state_tensors` gave."""
    for name, parameter in named:
        tail = f".{name}"
        found = {k[6 : -len(tail)]: t for k, t in tensors.items() if k.startswith("optim.") and k.endswith(tail)}
        found = {key: t for key, t in found.items() if "." not in key}  # not another parameter whose name ends alike
        # empty_like keeps channels_last: the moments must be laid out as their weights were, bit for bit.
        optimiser.state[parameter] = {
            k: t if k == "step" else torch.empty_like(parameter).copy_(t) for k, t in found.items()
        }
