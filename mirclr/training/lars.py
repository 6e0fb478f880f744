"""Layer-wise adaptive rate scaling, for batches of thousands (You, Gitman and Ginsburg, arXiv 1708.03888)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step is scaled in every layer to a share of the layer's own weights (algorithm 1):

    `v = m v + lr * trust * |w| / (|g| + decay |w|) * (g + decay w)`, `w = w - v`.

    The local rate keeps layers with large gradients from diverging where the global rate suits the others. Groups with
    `weight_decay` 0 (norms and biases) take plain momentum steps, as SimCLR and BYOL do: a bias of zero would
    otherwise never move.

    Args:
        params: parameters or groups with `weight_decay`.
        lr: global rate. Note the scale: 0.1 to 5, not the 1e-3 of Adam.
        momentum: m in 0..1.
        trust: the coefficient eta of the paper, 0.001 there.
    """

    def __init__(self, params: Any, lr: float = 1.0, momentum: float = 0.9, trust: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; the value of `closure`, which is called first."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        pull = parameter.grad + group["weight_decay"] * parameter
        if group["weight_decay"]:
            pull = pull * _local_rate(parameter, parameter.grad, group)
        state = self.state[parameter]
        kept = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
        kept.mul_(group["momentum"]).add_(pull, alpha=group["lr"])
        parameter.sub_(kept)


def _local_rate(weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
    """`trust |w| / (|g| + decay |w|)`; 1 where either norm is zero, so that such a layer can move at all."""
    size, slope = weights.norm(), gradient.norm()
    rate = group["trust"] * size / (slope + group["weight_decay"] * size)
    return torch.where((size > 0) & (slope > 0), rate, torch.ones_like(rate))
