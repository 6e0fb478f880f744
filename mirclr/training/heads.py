"""Attributes with a space of their own: which views are drawn for them, and which views are alike in them.

For every attribute one more view of each item is cut from the item's own track. The effects that change the attribute
do to it what they did to the first view, all others are drawn anew (leave-one-out, mirclr.losses.leave_one_out).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirclr.augment.chain import Chain, Drawn
from mirclr.augment.sharing import alike, shared, steps_changing


def with_shared(chain: Chain, drawn: Drawn, heads: Sequence[str], items: int) -> Drawn:
    """What was drawn for `(V * B)` crops, view-major, of which the last view of each of `heads` shares the attribute's
    effects with the first view of its item."""
    for place, attribute in enumerate(heads):
        steps = steps_changing(chain, attribute)
        if steps:
            source = np.arange(len(drawn))
            first = len(drawn) - (len(heads) - place) * items
            source[first : first + items] = np.arange(items)
            drawn = shared(drawn, steps, source)
    return drawn


def kinds_of(
    heads: Sequence[str], chains: Sequence[tuple[Chain, Drawn]], rows: np.ndarray, track: np.ndarray
) -> np.ndarray:
    """`(H, W, B)` int64: views of an item are alike in an attribute where theirs are equal; -1 is a view that is cut
    from another track than the item's own, whose tempo or key is another one anyway.

    `rows` (W, B): where in what was drawn each whole view is; `track` (W, B): of which track it is.
    """
    return np.stack([np.where(track == track[0], _kinds(attribute, chains, rows), -1) for attribute in heads])


def _kinds(attribute: str, chains: Sequence[tuple[Chain, Drawn]], rows: np.ndarray) -> np.ndarray:
    """`(W, B)`: of every view the number of the first view of its item that is alike."""
    same = np.ones((len(rows), len(rows), rows.shape[1]), bool)
    for chain, drawn in chains:
        same &= alike(drawn, steps_changing(chain, attribute), *np.broadcast_arrays(rows[:, None], rows[None]))
    return same.argmax(axis=1)
