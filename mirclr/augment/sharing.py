"""What two items of a batch may have in common: some effects of a chain, drawn once for both.

Leave-one-out learning (Xiao et al., "What should not be contrastive in contrastive learning", arXiv 2008.05659) tells
views apart by the parameters of one augmentation while all others differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mirclr.augment.chain import Chain, Drawn


def steps_changing(chain: Chain, attribute: str) -> list[int]:
    """The places in a chain of the effects that change an attribute (`Effect.changes`)."""
    return [place for place, step in enumerate(chain.steps) if attribute in step.effect.changes]


def shared(drawn: Drawn, steps: Sequence[int], source: np.ndarray) -> Drawn:
    """`drawn`, where item i has at those `steps` of the chain what was drawn for item `source[i]`, on or off included.

    What an effect that mixes lays under an item is not shared: it depends on where in the batch the item is.
    """
    on, parameters = drawn.on.copy(), list(drawn.parameters)
    for step in steps:
        on[step] = on[step][source]
        parameters[step] = {name: values[source] for name, values in parameters[step].items()}
    return replace(drawn, on=on, parameters=tuple(parameters))


def alike(drawn: Drawn, steps: Sequence[int], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether items `first` and `second` (indices of one shape) had the same drawn at all those `steps`: bool of that
    shape. Effects that are off are the same whatever their parameters."""
    same = np.ones(first.shape, bool)
    for step in steps:
        on = drawn.on[step]
        equal = on[first] == on[second]
        for values in drawn.parameters[step].values():
            # A parameter may be a vector, such as the gains of an equaliser.
            equal &= (values[first] == values[second]).reshape(*first.shape, -1).all(axis=-1)
        same &= equal | ~(on[first] | on[second])
    return same
