"""Made-up projections, and what an objective may want beside them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mirclr.losses.objective import Objective


def projections(
    views: int = 2, items: int = 5, dimensions: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """`(V, B, P)` normal numbers, of which every dtype has the same, rounded."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(views, items, dimensions, generator=generator, dtype=torch.float64).to(dtype)


def supplies(loss: Objective, z: Tensor, seed: int = 7) -> dict[str, Tensor]:
    """What `loss` wants for the projections `z`: three labels (the last item has none), a target, an affinity."""
    views, items, _ = z.shape
    generator = torch.Generator().manual_seed(seed)
    labels = torch.eye(3)[torch.arange(items) % 3].repeat(views, 1, 1)
    labels[:, -1] = torch.nan
    alike = torch.rand(items, items, generator=generator)
    target = z.detach() + 0.3 * torch.randn(z.shape, generator=generator).to(z)
    every = {"labels": labels.to(z), "target": target, "affinity": ((alike + alike.T) / 2).to(z)}
    return {name: every[name] for name in loss.wants}


def evaluated(loss: Objective, z: Tensor, groups: Tensor | None = None, **given: Any) -> tuple[Tensor, Tensor]:
    """The loss and its gradient by `z`, by a copy of `loss`: neither a queue nor a running mean remembers the call."""
    z = z.detach().clone().requires_grad_()
    value = copy.deepcopy(loss)(z, groups, **(given or supplies(loss, z)))
    return value.detach(), torch.autograd.grad(value, z)[0]


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


def assert_same(got: Tensor, want: Tensor, z: Tensor) -> None:
    """Two scalars and their gradients in `z`, float64, to the rounding of sums in another order."""
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)
    gradients = [torch.autograd.grad(x, z)[0] for x in (got, want)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)
