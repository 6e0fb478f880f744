"""Several processes that train one model, started by torchrun: who is who, what all agree on, what is gathered.

    torchrun --nproc-per-node 2 -m mirclr pretrain FOLDER -o RUN --steps 1000

Every process plans the same batches, reads its own share of each, and computes the loss of all projections together, so
negatives come from every process and any objective works unchanged. The first process alone writes.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.distributed import distributed_c10d


@dataclass(frozen=True)
class Seat:
    """This process is number `rank` of `size`; `local` of them share its machine."""

    rank: int = 0
    size: int = 1
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


ALONE = Seat()


def seat() -> Seat:
    """What torchrun says in the environment; without it one process alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Seat(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")))


def gathered(fabric: Fabric, tensor: Tensor, dim: int) -> Tensor:
    """The tensors of all processes side by side along `dim`, in their order; gradients flow back to each.

    Every process computes the same loss of the whole, so the gradients that come back from all of them sum to as many
    times the true one as there are processes, and the mean that distributed training takes makes it true again.
    """
    if fabric.world_size == 1:
        return tensor
    every = fabric.all_gather(tensor.contiguous(), sync_grads=tensor.requires_grad)
    assert isinstance(every, Tensor)
    return torch.cat(list(every.unbind(0)), dim=dim)


def leave(fabric: Fabric) -> None:
    """Wait for each other at the end: a process that goes while another still talks to it takes that one down.

    A Gloo barrier alone is not enough: who has passed it may hang up before another has noticed that it passed too, and
    that one then fails. So each also writes down that it is through, in the store that torchrun keeps for all of them.

    The group itself is taken apart only when the interpreter ends. If it went now, the gradient reducer of the model
    would be its last owner and would join Gloo's threads while holding the interpreter's lock, and one of those threads
    may be waiting for that lock to let go of a tensor: both would wait forever.
    """
    if fabric.world_size > 1:
        fabric.barrier()
        store = distributed_c10d._get_default_store()
        store.set(f"mirclr/through/{fabric.global_rank}", "yes")
        store.wait([f"mirclr/through/{rank}" for rank in range(fabric.world_size)])
        atexit.register(torch.distributed.destroy_process_group)


def agreed(fabric: Fabric, value: Any) -> Any:
    """What the first process says: clocks and signals differ, decisions must not."""
    return value if fabric.world_size == 1 else fabric.broadcast(value)
