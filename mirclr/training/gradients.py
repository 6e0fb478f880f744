"""Gradients of a whole batch with the activations of a part of it in memory (GradCache, Gao et al., arXiv 2101.06983).

First every clip is projected without keeping activations; the loss of all projections gives each its gradient; then
every part is projected again, with activations, and takes its share of that gradient. The result is the gradient of the
whole batch, except that batch norm sees each part by itself. It costs one more forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Project = Callable[[Tensor], Tensor]


def projected_without_activations(project: Project, clips: Tensor, at_once: int) -> tuple[Tensor, list[Tensor]]:
    """Projections `(N, P)` of `(N, F, T)` clips, and the state of the random generator before each part."""
    states, parts = [], []
    with torch.no_grad():
        for part in clips.split(at_once):
            states.append(torch.get_rng_state())
            parts.append(project(part))
    return torch.cat(parts), states


def push_back(
    project: Project, clips: Tensor, at_once: int, states: list[Tensor], gradient: Tensor, backward: Callable[..., None]
) -> None:
    """Project every part again with the random numbers of the first time and send its share of `gradient` back."""
    after = torch.get_rng_state()
    for part, state, share in zip(clips.split(at_once), states, gradient.split(at_once), strict=True):
        torch.set_rng_state(state)
        # The product's gradient by the projections is exactly their share of the batch's.
        backward((project(part).float() * share).sum())
    torch.set_rng_state(after)


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Batch norms keep their running statistics: each part must count once, in the second pass."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    counted = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counted, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
