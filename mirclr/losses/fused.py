"""The engine under the contrastive losses: every row against every column, in chunks, its gradient made on the way.

A contrastive loss of N rows needs an N x N matrix of similarities, and again as much for its gradient: 16,000 rows are
1 GB each. But a row's loss depends on its negatives only through one number, `log sum exp(similarity / temperature)`,
and the gradient of that number is a softmax that is known as soon as the row is. So each chunk of rows is computed,
turned into its share of the gradient and dropped: memory is `chunk` x N, and the similarities are computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

RowLoss = Callable[[Tensor, Tensor], Tensor]


class FusedContrast(torch.autograd.Function):
    """Mean over rows of `row_loss(negatives (c,), positives (c, K)) -> (c,)`.

    `negatives[i]` is the log-sum-exp of `rows[i] . columns[j] / temperature` over all j with another label and, where
    `mask_above` is a number, `rows[i] . columns[j] <= mask_above`; minus infinity where there is none. `row_loss` is an
    ordinary differentiable function of whole chunks.

    Rows and columns are separate arguments: under several processes the columns are everybody's, the rows one's own.
    """

    @staticmethod
    def forward(  # autograd passes everything by position
        ctx: Any,
        rows: Tensor,
        columns: Tensor,
        positives: Tensor,
        row_labels: Tensor,
        column_labels: Tensor,
        temperature: float,
        chunk: int,
        row_loss: RowLoss,
        mask_above: float | None = None,
    ) -> Tensor:
        """rows `(R, P)`, columns `(C, P)`, positives `(R, K)`, labels `(R,)` and `(C,)` to a scalar."""
        learning, by_columns = any(ctx.needs_input_grad[:3]), ctx.needs_input_grad[1]
        row_grad, column_grad, positive_grad = (torch.zeros_like(x) for x in (rows, columns, positives))
        total = rows.new_zeros(())
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            blocked = row_labels[part, None] == column_labels[None, :]
            products = rows[part] @ columns.T
            if mask_above is not None:
                blocked |= products > mask_above
            negatives, softmax = _negatives(products.div_(temperature), blocked)
            if not learning:
                total += row_loss(negatives, positives[part]).sum()
                continue
            losses, slopes, positive_grad[part] = _with_slopes(row_loss, negatives, positives[part])
            total += losses.sum()
            pull = softmax.mul_(slopes[:, None] / temperature)
            torch.mm(pull, columns, out=row_grad[part])
            if by_columns:  # a queue of keys is not learnt from, and would cost a third of the whole
                column_grad.addmm_(pull.T, rows[part])
        count = len(rows)
        ctx.save_for_backward(row_grad.div_(count), column_grad.div_(count), positive_grad.div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """The stored gradients, scaled."""
        return *(upstream * grad for grad in ctx.saved_tensors), None, None, None, None, None, None


def _negatives(logits: Tensor, blocked: Tensor) -> tuple[Tensor, Tensor]:
    """`(c,)` log-sum-exp of the logits that are not blocked, and the `(c, C)` softmax over them, made in place.

    A row with everything blocked has minus infinity and a softmax of zeros: no NaN to carry into the gradient.
    """
    tiny = torch.finfo(logits.dtype)
    logits.masked_fill_(blocked, -torch.inf)
    peak = logits.amax(dim=1, keepdim=True).clamp_(min=tiny.min)
    weights = logits.sub_(peak).exp_()
    mass = weights.sum(dim=1, keepdim=True)
    return (peak + mass.log())[:, 0], weights.div_(mass.clamp(min=tiny.tiny))


def _with_slopes(row_loss: RowLoss, negatives: Tensor, positives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of each row and its derivatives by its negatives `(c,)` and positives `(c, K)`."""
    with torch.enable_grad():
        inputs = negatives.detach().requires_grad_(), positives.detach().requires_grad_()
        losses = row_loss(*inputs)
        slopes = torch.autograd.grad(losses.sum(), inputs)
    return losses.detach(), slopes[0], slopes[1]
