"""Every augmentation in the table keeps the same promises."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from mirclr.augment.chain import Chain, Step
from mirclr.augment.effect import Effect
from mirclr.augment.table import EFFECTS, effect_rows
from mirclr.seeds import generator

SIZE = 6
ASPECTS = {"tempo", "key", "pitch", "timbre", "loudness", "order", "content", "phase"}


def batch_for(effect: type[Effect], dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    noise = torch.Generator().manual_seed(seed)
    shape = (SIZE, 3001) if effect.domain == "wave" else (SIZE, 40, 51)
    return torch.randn(shape, generator=noise, dtype=dtype)


def rngs(seed: int = 0, size: int = SIZE) -> list[np.random.Generator]:
    return [generator(seed, item) for item in range(size)]


def neutral_parameters(effect: Effect, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    drawn = effect.parameters(np.full((len(batch), effect.draws), 0.5))
    values = {
        key: np.full_like(value, effect.neutral[key]) if key in effect.neutral else value
        for key, value in drawn.items()
    }
    return {key: torch.from_numpy(value).to(batch.dtype) for key, value in values.items()}


every_effect = pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS.keys())


@every_effect
def test_shape_dtype_and_finiteness_are_kept_and_the_input_is_not_touched(effect: type[Effect]) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        batch = batch_for(effect, dtype=torch.float64).to(dtype)
        before, chain = batch.clone(), Chain((Step(effect(), 1.0),))
        out = chain.apply(batch, chain.draw(rngs()))
        assert (out.shape, out.dtype) == (batch.shape, dtype)
        assert out.isfinite().all()
        assert torch.equal(batch, before)
        assert not torch.equal(out, batch)


@every_effect
def test_the_same_generators_give_the_same_bits_and_others_give_other_sounds(effect: type[Effect]) -> None:
    chain, batch = Chain((Step(effect(), 1.0),)), batch_for(effect)
    once, again, other = (chain.apply(batch, chain.draw(rngs(seed))) for seed in (0, 0, 1))
    assert torch.equal(once, again)
    if effect().draws:
        assert not torch.equal(once, other)


@every_effect
def test_an_item_alone_is_the_item_in_the_batch(effect: type[Effect]) -> None:
    chain, batch, under = Chain((Step(effect(), 0.7),)), batch_for(effect), batch_for(effect, seed=1)
    whole = chain.apply(batch, chain.draw(rngs()), background=under)
    for i in range(SIZE):
        alone = chain.apply(batch[i : i + 1], chain.draw([generator(0, i)]), background=under[i : i + 1])
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-5, atol=1e-5)


@every_effect
def test_the_draw_of_one_item_is_its_row_of_the_batch(effect: type[Effect]) -> None:
    made = effect()
    rows = made.parameters(np.stack([rng.random(made.draws) for rng in rngs()]))
    for i, rng in enumerate(rngs()):
        alone = made.draw(rng)
        assert alone.keys() == rows.keys()
        assert all(np.array_equal(alone[key], rows[key][i]) for key in rows)


@every_effect
def test_probability_zero_is_the_identity_bit_for_bit(effect: type[Effect]) -> None:
    chain, batch = Chain((Step(effect(), 0.0),)), batch_for(effect)
    assert torch.equal(chain.apply(batch, chain.draw(rngs())), batch)


@every_effect
def test_items_with_the_effect_off_pass_through_bit_for_bit(effect: type[Effect]) -> None:
    chain, batch = Chain((Step(effect(), 0.5),)), batch_for(effect)
    drawn = chain.draw(rngs())
    out = chain.apply(batch, drawn)
    assert 0 < drawn.on.sum() < SIZE
    for i in range(SIZE):
        assert torch.equal(out[i], batch[i]) == (not drawn.on[0, i])


@every_effect
def test_neutral_parameters_are_the_identity(effect: type[Effect]) -> None:
    made, batch = effect(), batch_for(effect, torch.float64)
    if not effect.differentiable:
        assert not effect.neutral, "a lossy effect has no neutral parameters to declare"
        return
    assert effect.neutral
    assert set(effect.neutral) <= set(made.parameters(np.full((1, made.draws), 0.5)))
    out = made.apply(batch, neutral_parameters(made, batch), batch_for(effect, torch.float64, seed=1))
    torch.testing.assert_close(out, batch, rtol=1e-9, atol=1e-9)


@every_effect
def test_every_corner_of_the_options_is_finite(effect: type[Effect]) -> None:
    made, batch = effect(), batch_for(effect)
    for u in (0.0, 1 - 2**-53):
        drawn = made.parameters(np.full((SIZE, made.draws), u))
        tensors = {
            k: torch.from_numpy(v).to(torch.float32 if v.dtype.kind == "f" else torch.int64) for k, v in drawn.items()
        }
        assert made.apply(batch, tensors, batch_for(effect, seed=1)).isfinite().all()


@every_effect
def test_gradients_pass_to_the_input_so_that_a_frontend_can_learn(effect: type[Effect]) -> None:
    chain, batch = Chain((Step(effect(), 0.7),)), batch_for(effect).requires_grad_()
    drawn = chain.draw(rngs())
    chain.apply(batch, drawn).square().sum().backward()
    assert batch.grad is not None
    assert batch.grad.isfinite().all()
    reached = (batch.grad.flatten(1) != 0).any(1).tolist()
    assert reached == [effect.differentiable or not on for on in drawn.on[0]]


@every_effect
@pytest.mark.parametrize("length", [1, 2, 3])
def test_very_short_items_come_back_finite(effect: type[Effect], length: int) -> None:
    chain, batch = Chain((Step(effect(), 1.0),)), batch_for(effect)[..., :length]
    out = chain.apply(batch, chain.draw(rngs()))
    assert out.shape == batch.shape
    assert out.isfinite().all()


@every_effect
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_what_a_cpu_computes(effect: type[Effect]) -> None:
    chain, batch = Chain((Step(effect(), 0.7),)), batch_for(effect)
    drawn = chain.draw(rngs())
    torch.testing.assert_close(chain.apply(batch.cuda(), drawn).cpu(), chain.apply(batch, drawn), rtol=1e-4, atol=1e-4)


@every_effect
def test_an_entry_describes_itself(effect: type[Effect]) -> None:
    assert EFFECTS[effect.name] is effect
    assert effect.domain in ("wave", "spec")
    assert set(effect.changes) <= ASPECTS
    row = next(row for row in effect_rows() if row["name"] == effect.name)
    assert row["what"].endswith((".", ")"))
    assert row["changes"] == ", ".join(effect.changes) != ""
    assert all(f"{name}=" in row["options"] for name in inspect.signature(effect).parameters)


@every_effect
def test_every_numeric_option_is_checked_against_its_range(effect: type[Effect]) -> None:
    for name, parameter in inspect.signature(effect).parameters.items():
        with pytest.raises(ValueError, match=f"{effect.name}: {name} must be"):
            effect(**{name: "loud" if isinstance(parameter.default, str) else 1e12})
        with pytest.raises(ValueError, match=f"{effect.name}: {name} must be"):
            effect(**{name: True})


def test_the_page_of_augmentations_says_what_the_code_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "augmentations.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    cells = ("domain", "changes", "what", "options")
    assert lines == ["| " + " | ".join([f"`{row['name']}`", *(row[c] for c in cells)]) + " |" for row in effect_rows()]
