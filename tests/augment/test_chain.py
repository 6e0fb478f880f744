"""Chains: built from parts with every mistake named, drawn item by item, applied batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.augment.mixing import partners
from mirclr.augment.table import build_chain
from mirclr.config import AugmentConfig
from mirclr.seeds import generator

PARTS = [part.model_dump() for part in AugmentConfig().spec]


def rngs(items: range, seed: int = 0) -> list[np.random.Generator]:
    return [generator(seed, item) for item in items]


def test_the_default_chain_draws_an_item_alike_in_any_company() -> None:
    chain = build_chain(PARTS, "spec")
    whole, part = chain.draw(rngs(range(10))), chain.draw(rngs(range(7, 10)))
    assert np.array_equal(whole.on[:, 7:], part.on)
    assert np.array_equal(whole.partner[:, 7:], part.partner)
    for a, b in zip(whole.parameters, part.parameters, strict=True):
        assert all(np.array_equal(a[key][7:], b[key]) for key in a)


def test_an_effects_probability_does_not_change_what_the_others_draw() -> None:
    rare = build_chain([{**PARTS[0], "p": 0.01}, *PARTS[1:]], "spec").draw(rngs(range(20)))
    usual = build_chain(PARTS, "spec").draw(rngs(range(20)))
    assert np.array_equal(rare.on[1:], usual.on[1:])
    assert rare.on[0].sum() < usual.on[0].sum()
    assert np.array_equal(rare.parameters[1]["db"], usual.parameters[1]["db"])


def test_an_effect_is_on_with_its_probability() -> None:
    chain = build_chain([{"name": "time_mask", "p": 0.3}, {"name": "spec_gain"}], "spec")
    on = chain.draw([generator(5, item) for item in range(4000)]).on
    assert abs(on[0].mean() - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    assert on[1].all()


def test_the_whole_default_chain_item_by_item_equals_the_batch_when_backgrounds_are_given() -> None:
    chain, noise = build_chain(PARTS, "spec"), torch.Generator().manual_seed(0)
    batch, under = torch.randn(2, 9, 64, 100, generator=noise)
    whole = chain.apply(batch, chain.draw(rngs(range(9))), background=under)
    for i in range(9):
        alone = chain.apply(batch[i : i + 1], chain.draw(rngs(range(i, i + 1))), background=under[i : i + 1])
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-5, atol=1e-5)


def test_blocks_of_a_large_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, batch = build_chain(PARTS, "spec"), torch.randn(20, 64, 100, generator=torch.Generator().manual_seed(0))
    drawn = chain.draw(rngs(range(20)))
    whole = chain.apply(batch, drawn)
    monkeypatch.setattr("mirclr.augment.chain.BLOCK_BYTES", 3 * batch[0].nbytes)
    torch.testing.assert_close(chain.apply(batch, drawn), whole, rtol=1e-5, atol=1e-5)


def test_an_empty_chain_is_a_copy() -> None:
    chain, batch = build_chain([], "spec"), torch.randn(3, 4, 5)
    out = chain.apply(batch, chain.draw(rngs(range(3))))
    assert torch.equal(out, batch)
    assert out.data_ptr() != batch.data_ptr()


def test_a_batch_of_none_stays_a_batch_of_none() -> None:
    chain = build_chain(PARTS, "spec")
    assert chain.apply(torch.empty(0, 64, 100), chain.draw([])).shape == (0, 64, 100)


def test_a_single_item_has_nothing_to_be_mixed_with() -> None:
    chain, batch = build_chain([{"name": "background_mix"}], "spec"), torch.randn(1, 4, 5)
    assert torch.equal(chain.apply(batch, chain.draw(rngs(range(1)))), batch)


def test_a_draw_for_another_batch_is_refused() -> None:
    chain = build_chain(PARTS, "spec")
    with pytest.raises(ValueError, match="drawn for 7 effects and 3 items, applied with 7 effects to 4 items"):
        chain.apply(torch.randn(4, 64, 100), chain.draw(rngs(range(3))))


def test_partners_are_every_other_item_equally_often_and_never_oneself() -> None:
    u = np.random.default_rng(0).random((20_000, 5))
    chosen = np.stack([partners(row) for row in u])
    counts = np.stack([(chosen == other).sum(0) for other in range(5)])
    assert (np.diag(counts) == 0).all()
    off = counts[~np.eye(5, dtype=bool)]
    assert ((off - 5000) ** 2 / 5000).sum() < 45  # chi-square, 15 degrees of freedom, p = 1e-4
    assert partners(np.array([1 - 2**-53, 0.0])).tolist() == [1, 0]
    with pytest.raises(ValueError, match="at least 2 items, got 1"):
        partners(np.array([0.5]))


def test_every_mistake_is_named_at_once() -> None:
    parts = [
        {"name": "time_maks"},
        {"name": "time_mask", "p": 1.5, "max_fracton": 0.1},
        {"name": "spec_gain", "max_db": -1},
        {"name": "spec_eq", "max_db": 100, "points": 2.5},
        {"name": "spec_low_pass", "lowest_corner": 0.9, "highest_corner": 0.3},
        {"p": 0.5},
        {"name": ["time_mask"]},
        {"name": "spec_gain", "p": float("nan"), "max_db": float("nan")},
    ]
    with pytest.raises(ValueError, match=r"effect 1: unknown effect 'time_maks'\. Did you mean 'time_mask'") as error:
        build_chain(parts, "spec")
    text = str(error.value)
    assert "effect 2: time_mask: p must be a number in 0..1, got 1.5" in text
    assert "effect 2: time_mask: unknown option 'max_fracton'. Did you mean 'max_fraction'?" in text
    assert "effect 3: spec_gain: max_db must be a number in 0..60, got -1" in text
    assert "max_db must be a number in 0..40, got 100; points must be a whole number in 2..32, got 2.5" in text
    assert "effect 5: spec_low_pass: lowest_corner=0.9 must not exceed highest_corner=0.3" in text
    assert "effect 6: unknown effect None" in text
    assert "effect 7: unknown effect ['time_mask']" in text
    assert "effect 8: spec_gain: p must be a number in 0..1, got nan" in text


def test_an_unknown_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="domain must be 'wave' or 'spec', got 'mel'"):
        build_chain([], "mel")
