"""Draws that two items have in common: exactly those of the chosen effects, on or off included."""

from __future__ import annotations

import numpy as np
import torch

from mirclr.augment.chain import Drawn
from mirclr.augment.sharing import alike, shared, steps_changing
from mirclr.augment.table import build_chain
from mirclr.config import AugmentConfig
from mirclr.seeds import generator

CHAIN = build_chain([part.model_dump() for part in AugmentConfig().spec], "spec")
NAMES = [step.effect.name for step in CHAIN.steps]


def draw(items: int) -> Drawn:
    return CHAIN.draw([generator(0, item) for item in range(items)])


def test_the_effects_of_an_attribute_are_those_that_say_so() -> None:
    assert [NAMES[i] for i in steps_changing(CHAIN, "tempo")] == ["time_warp"]
    assert [NAMES[i] for i in steps_changing(CHAIN, "timbre")] == ["spec_eq", "frequency_shift", "frequency_mask"]
    assert steps_changing(CHAIN, "order") == []


def test_an_item_takes_over_the_chosen_effects_and_nothing_else() -> None:
    before, steps = draw(40), steps_changing(CHAIN, "timbre")
    source = np.arange(40)
    source[20:] = np.arange(20)
    after = shared(before, steps, source)
    for i in range(len(NAMES)):
        origin = source if i in steps else np.arange(40)
        assert np.array_equal(after.on[i], before.on[i][origin])
        for name, values in before.parameters[i].items():
            assert np.array_equal(after.parameters[i][name], values[origin])
    assert np.array_equal(after.partner, before.partner)
    assert not np.array_equal(after.on, before.on)


def test_the_draw_that_was_given_is_left_as_it_was() -> None:
    before, again = draw(10), draw(10)
    shared(before, list(range(len(NAMES))), np.zeros(10, int))
    assert np.array_equal(before.on, again.on)
    for a, b in zip(before.parameters, again.parameters, strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_shared_effect_does_the_same_to_the_same_sound() -> None:
    chain = build_chain([{"name": "time_warp"}, {"name": "spec_eq"}], "spec")
    one = torch.randn(1, 16, 40, generator=torch.Generator().manual_seed(0))
    drawn = shared(chain.draw([generator(1, i) for i in range(3)]), [0, 1], np.array([0, 0, 2]))
    out = chain.apply(one.expand(3, -1, -1), drawn)
    torch.testing.assert_close(out[0], out[1])
    assert (out[0] - out[2]).abs().max() > 0.1


def test_alike_is_the_same_parameters_or_off_in_both() -> None:
    on = np.array([[1, 1, 1, 0, 0, 1]], bool)
    values = {
        "gain": np.array([[1.0, 2], [1, 2], [1, 3], [1, 2], [9, 9], [9, 9]]),
        "place": np.array([0, 0, 0, 0, 1, 0]),
    }
    drawn = Drawn(on, (values,), np.zeros((1, 6)))
    rows = np.arange(6)
    found = alike(drawn, [0], *np.broadcast_arrays(rows[:, None], rows[None]))
    expected = np.eye(6, dtype=bool)
    expected[0, 1] = expected[1, 0] = True  # on with the same
    expected[3, 4] = expected[4, 3] = True  # off, whatever was drawn
    assert np.array_equal(found, expected)


def test_without_effects_all_are_alike() -> None:
    assert alike(draw(5), [], np.arange(4), np.arange(1, 5)).all()


def test_several_effects_have_to_agree_at_once() -> None:
    chain = build_chain([{"name": "time_warp", "p": 0.3}, {"name": "time_bend", "p": 0.3}], "spec")
    drawn, first, second = chain.draw([generator(0, i) for i in range(300)]), np.arange(150), np.arange(150, 300)
    assert steps_changing(chain, "tempo") == [0, 1]
    warp, bend, both = (alike(drawn, steps, first, second) for steps in ([0], [1], [0, 1]))
    assert np.array_equal(both, warp & bend)
    assert 0 < both.sum() < warp.sum()
