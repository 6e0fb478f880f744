"""A first-order recursive filter without a loop over time: triangular matrix products in blocks, blocks of blocks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 32
"""Steps per product. A row of N numbers costs N * (BLOCK + 1) multiplications, and log(N) / log(BLOCK) products."""


def decayed_sum(rows: Tensor, decay: Tensor) -> Tensor:
    """`y[n] = decay * y[n - 1] + rows[n]` from `y[-1] = 0`, over the last axis of `(F, C, N)`.

    `decay` is `(F,)` or `(1,)`, in 0..1; both may need gradients. Time and memory are linear in N.
    """
    count = rows.shape[2]
    width = min(BLOCK, count)
    blocks = functional.pad(rows, (0, -count % width)).unflatten(2, (-1, width))
    # Within a block, as if it were the first. Flat, so that one product serves all clips and blocks of a band.
    within = (blocks.flatten(1, 2) @ _powers(decay, width)).view_as(blocks)
    if blocks.shape[2] > 1:
        # The last value of a block is the sum over all before it, itself such a filter with one step a block.
        ends = decayed_sum(within[..., -1], decay**width)
        carried = functional.pad(ends[..., :-1], (1, 0))
        steps = torch.arange(1, width + 1, device=rows.device, dtype=rows.dtype)
        within = torch.addcmul(within, carried[..., None], (decay[:, None] ** steps)[:, None, None])
    return within.flatten(2)[..., :count]


def _powers(decay: Tensor, width: int) -> Tensor:
    """`(F, width, width)`: what step i (row) still contributes at step n (column), `decay ** (n - i)`, 0 before."""
    step = torch.arange(width, device=decay.device)
    lag = step - step[:, None]
    return torch.where(lag >= 0, decay[:, None, None] ** lag.clamp(min=0), torch.zeros_like(decay[:, None, None]))


def smoothed(power: Tensor, share: Tensor) -> Tensor:
    """`m[n] = (1 - share) * m[n - 1] + share * power[n]` from `m[0] = power[0]`, over the last axis of `(B, F, N)`.

    `share` is `(F,)` or `(1,)`, in 0..1.
    """
    first, rest = power[..., :1], power[..., 1:] * share[:, None]
    rows = torch.cat([first, rest], dim=2).transpose(0, 1)
    if len(share) == 1:  # one filter for all bands is one product
        return decayed_sum(rows.flatten(0, 1)[None], 1 - share)[0].unflatten(0, rows.shape[:2]).transpose(0, 1)
    return decayed_sum(rows, 1 - share).transpose(0, 1)
