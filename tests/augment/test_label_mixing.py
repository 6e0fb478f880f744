"""The labels after a chain are of what the chain put together: the same partners, the same shares, in its order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.augment.chain import Chain, Drawn
from mirclr.augment.effect import Effect
from mirclr.augment.mixing import partners
from mirclr.augment.table import EFFECTS, build_chain
from mirclr.seeds import generator

ITEMS = 12
MIXED = [
    {"name": "spec_mixup", "p": 0.7},
    {"name": "spec_gain", "p": 0.5},
    {"name": "cutmix", "p": 0.6, "axis": "both"},
    {"name": "background_mix"},
    {"name": "spec_mixup", "p": 0.5, "alpha": 0.4},
    {"name": "cutmix", "max_share": 0.9},
]


def drawn_for(chain: Chain, items: int = ITEMS) -> Drawn:
    return chain.draw([generator(3, item) for item in range(items)])


def test_weights_are_a_slow_simulation_of_the_chain() -> None:
    chain = build_chain(MIXED, "spec")
    drawn = drawn_for(chain)
    labels = [{i: 1.0} for i in range(ITEMS)]
    for e in (0, 2, 4, 5):
        values, other = drawn.parameters[e], partners(drawn.partner[e])
        before = [dict(label) for label in labels]
        for i in range(ITEMS):
            if drawn.on[e, i]:
                share = values["share"][i] if "share" in values else values["width"][i] * values["height"][i]
                labels[i] = {k: (1 - share) * part for k, part in before[i].items()}
                for k, part in before[other[i]].items():
                    labels[i][k] = labels[i].get(k, 0.0) + share * part
    wanted = np.array([[label.get(k, 0.0) for k in range(ITEMS)] for label in labels])
    weights = chain.label_weights(drawn)
    assert weights.dtype == torch.float32
    np.testing.assert_allclose(weights, wanted, atol=1e-6)
    assert (weights > 0).sum(1).max() > 3  # mixes of mixes occurred


def test_rows_are_shares() -> None:
    weights = build_chain(MIXED, "spec").label_weights(drawn_for(build_chain(MIXED, "spec")))
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(1), torch.ones(ITEMS))


def test_the_power_of_steady_items_is_mixed_as_their_labels() -> None:
    """Three mixups in a row: power is linear in them, so that it obeys the same matrix, partners and all."""
    chain = build_chain([{"name": "spec_mixup", "p": 0.7}] * 3, "spec")
    drawn = drawn_for(chain)
    power = torch.rand(ITEMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1
    out = chain.apply(power.log().view(-1, 1, 1).expand(-1, 4, 5), drawn).exp()
    wanted = chain.label_weights(drawn).double() @ power
    torch.testing.assert_close(out, wanted.view(-1, 1, 1).expand(-1, 4, 5), rtol=1e-6, atol=0)


@pytest.mark.parametrize("axis", ["time", "frequency", "both"])
def test_the_area_of_steady_items_is_mixed_as_their_labels(axis: str) -> None:
    chain = build_chain([{"name": "cutmix", "p": 0.7, "axis": axis}, {"name": "spec_reverse"}], "spec")
    drawn = drawn_for(chain)
    value = torch.randn(ITEMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = chain.apply(value.view(-1, 1, 1).expand(-1, 9, 23), drawn).mean((1, 2))
    torch.testing.assert_close(out, chain.label_weights(drawn).double() @ value, rtol=1e-6, atol=1e-6)


def test_backgrounds_are_noise_and_leave_the_labels_alone() -> None:
    spec = build_chain([{"name": "background_mix"}, {"name": "time_mask"}], "spec")
    wave = build_chain([{"name": "wave_mix"}, {"name": "gain"}], "wave")
    for chain in (spec, wave, build_chain([], "spec")):
        assert torch.equal(chain.label_weights(drawn_for(chain)), torch.eye(ITEMS))


def test_an_item_alone_and_a_batch_of_none_keep_their_labels() -> None:
    chain = build_chain(MIXED, "spec")
    assert chain.label_weights(drawn_for(chain, 1)).tolist() == [[1.0]]
    assert chain.label_weights(chain.draw([])).shape == (0, 0)


def test_items_whose_effects_are_off_keep_their_label_exactly() -> None:
    chain = build_chain([{"name": "cutmix", "p": 0.5}], "spec")
    drawn = drawn_for(chain)
    kept = torch.from_numpy(~drawn.on[0])
    assert 0 < kept.sum() < ITEMS
    assert torch.equal(chain.label_weights(drawn)[kept], torch.eye(ITEMS)[kept])


def test_a_draw_of_another_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="drawn for 6 effects and 12 items, applied with 1 effects to 12 items"):
        build_chain(MIXED[:1], "spec").label_weights(drawn_for(build_chain(MIXED, "spec")))


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS.keys())
def test_an_effect_mixes_labels_only_where_it_mixes_items_and_says_by_how_much(effect: type[Effect]) -> None:
    made = effect()
    share = made.partner_share(made.parameters(np.random.default_rng(0).random((40, made.draws))))
    assert share.shape == (40,)
    assert effect.mixes or not effect.mixes_labels
    assert (share > 0).all() == effect.mixes_labels
    assert share.max() <= 0.5  # by default the item stays the larger part
