"""One process of several: `torchrun ... -m tests.support.gather_child OUT`; writes the gradient it ends up with.

A linear model under distributed training, its projections gathered from all processes, one loss of all of them.
"""

from __future__ import annotations

import sys

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import nn

from mirclr.losses.nt_xent import NTXent
from mirclr.training.processes import agreed, gathered, leave, seat


def items() -> torch.Tensor:
    """`(V, B, 5)` inputs, the same in every process."""
    return torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))


def model() -> nn.Linear:
    """The same weights in every process."""
    torch.manual_seed(1)
    return nn.Linear(5, 3)


def main() -> None:
    """Forward this process's items, gather, one loss, backward; the first process writes."""
    place = seat()
    fabric = Fabric(accelerator="cpu", devices=place.local, strategy="ddp")
    fabric.launch()
    bare = model()
    wrapped = fabric.setup_module(bare)
    own = items().chunk(place.size, dim=1)[place.rank]
    z = gathered(fabric, wrapped(own.flatten(0, 1)).unflatten(0, (2, -1)), 1)
    fabric.backward(NTXent()(z))
    assert agreed(fabric, place.rank) == 0
    if place.first:
        save_file({name: p.grad for name, p in bare.named_parameters()}, sys.argv[1])
    leave(fabric)


if __name__ == "__main__":
    main()
