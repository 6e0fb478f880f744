"""The engine for losses that are sums over rows: any function of some rows against all columns, in chunks.

Where a row's loss is more than one log-sum-exp of its negatives (that case has a faster engine, mirclr.losses.fused),
this computes a chunk of rows with autograd, adds its gradient, and drops it: memory is `chunk` x N instead of N x N.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

RowFunction = Callable[..., tuple[Tensor, Tensor]]


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: RowFunction, chunk: int, rows: Tensor, *shared: Tensor) -> tuple[Tensor, Tensor]:
        learning = any(ctx.needs_input_grad)
        total, count = rows.new_zeros(()), rows.new_zeros(())
        row_grad, shared_grads = torch.zeros_like(rows), [torch.zeros_like(s) for s in shared]
        leaves = [s.detach().requires_grad_(learning) for s in shared]
        for start in range(0, len(rows), chunk):
            part = slice(start, min(start + chunk, len(rows)))
            mine = rows[part].detach().requires_grad_(learning)
            with torch.set_grad_enabled(learning):
                loss, counted = function(mine, part, *leaves)
            total, count = total + loss.detach(), count + counted.detach()
            if learning and loss.requires_grad:
                grads = torch.autograd.grad(loss, [mine, *leaves], allow_unused=True)
                row_grad[part] = 0 if grads[0] is None else grads[0]
                for kept, grad in zip(shared_grads, grads[1:], strict=True):
                    kept.add_(0 if grad is None else grad)
        ctx.save_for_backward(row_grad, *shared_grads)
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        row_grad, *shared_grads = ctx.saved_tensors
        return None, None, upstream * row_grad, *(upstream * grad for grad in shared_grads)


def chunked(function: RowFunction, chunk: int, rows: Tensor, *shared: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over all chunks of `function(some rows (c, P), their slice, *shared) -> (sum of losses, how many)`.

    `shared` is what every chunk reads and gradients may reach: all columns `(N, P)`, a temperature. Masks and labels
    are closed over and cut with the slice. Returns two scalars: the sum of the losses and of the counts, which carry
    no gradient. The result does not depend on `chunk` but for rounding. Raises ValueError when `chunk` < 1.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be >= 1 row, got {chunk}")
    total, count = _Chunked.apply(function, chunk, rows, *shared)
    return total, count
