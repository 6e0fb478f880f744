"""Every objective in the table keeps the same promises: see `mirclr.losses.objective.Objective`."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from mirclr.losses.objective import WANTS, Objective
from mirclr.losses.table import LOSSES, build_loss, loss_rows
from mirclr.tables import options_of
from tests.support.projections import evaluated, projections, supplies

ITEMS, DIM = 6, 8
GROUPS = torch.tensor([4, -1, 4, 0, 0, -1])

every_loss = pytest.mark.parametrize("name", LOSSES)
some_views = pytest.mark.parametrize("views", [2, 3])


def built(name: str, dtype: torch.dtype = torch.float32, seed: int = 0, **options: object) -> Objective:
    torch.manual_seed(seed)
    return build_loss(name, dim=DIM, **options).to(dtype)


def made(views: int = 2, dtype: torch.dtype = torch.float64, items: int = ITEMS) -> Tensor:
    return projections(views, items, DIM, dtype=dtype)


@some_views
@every_loss
def test_the_gradient_reaches_the_projections_and_every_parameter(name: str, views: int) -> None:
    loss, z = built(name, torch.float64), made(views).requires_grad_()
    value = loss(z, GROUPS, **supplies(loss, z))
    value.backward()
    assert (value.shape, value.dtype) == ((), torch.float64)
    assert value.isfinite()
    for who, tensor in [("z", z), *loss.named_parameters()]:
        assert tensor.grad is not None, who
        assert tensor.grad.isfinite().all(), who
        assert tensor.grad.any(), who


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@every_loss
def test_low_precision_is_computed_in_float32_also_under_autocast(name: str, dtype: torch.dtype) -> None:
    loss, z = built(name), made(dtype=dtype).requires_grad_()
    given = supplies(loss, z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(z, GROUPS, **given)
    value.backward()
    assert (value.dtype, z.grad.dtype) == (torch.float32, dtype)
    exactly = {key: tensor.double() for key, tensor in given.items()}
    exact, slope = evaluated(built(name, torch.float64), z.double(), GROUPS, **exactly)
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-6)
    # The gradient is rounded to the dtype of z once, by as much as its largest entries: terms of it may cancel.
    rounding = torch.finfo(dtype).eps * slope.abs().max().item()
    torch.testing.assert_close(z.grad.double(), slope, rtol=0, atol=(2 if dtype == torch.bfloat16 else 100) * rounding)


@some_views
@every_loss
def test_the_order_of_the_items_does_not_matter(name: str, views: int) -> None:
    loss, z = built(name, torch.float64), made(views)
    given, order = supplies(loss, z), torch.tensor([3, 5, 0, 4, 1, 2])
    moved = {key: t[order][:, order] if key == "affinity" else t[:, order] for key, t in given.items()}
    value, gradient = evaluated(loss, z, GROUPS, **given)
    other, elsewhere = evaluated(loss, z[:, order], GROUPS[order], **moved)
    torch.testing.assert_close(other, value)
    torch.testing.assert_close(elsewhere, gradient[:, order])


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if "chunk" in options_of(loss)])
def test_chunks_change_memory_and_nothing_else(name: str) -> None:
    whole = evaluated(built(name, torch.float64), made(3), GROUPS)
    for chunk in (1, 7, 18):
        parts = evaluated(built(name, torch.float64, chunk=chunk), made(3), GROUPS)
        for part, all_at_once in zip(parts, whole, strict=True):
            torch.testing.assert_close(part, all_at_once, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("items", "groups"), [(1, None), (ITEMS, [2] * ITEMS)])
@some_views
@every_loss
def test_a_batch_without_negatives_is_finite_or_refused(
    name: str, views: int, items: int, groups: list[int] | None
) -> None:
    loss, z = built(name, torch.float64), made(views, items=items)
    given = None if groups is None else torch.tensor(groups)
    if name in ("vicreg", "barlow") and items == 1:
        with pytest.raises(ValueError, match="at least 2 items"):
            evaluated(loss, z, given)
        return
    value, gradient = evaluated(loss, z, given)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_a_projection_of_zeros_gives_no_nan_and_nan_comes_out_as_nan(name: str) -> None:
    loss, z = built(name), made(dtype=torch.float32)
    given = supplies(loss, z)
    z[0, 2] = 0.0
    value, gradient = evaluated(loss, z, GROUPS, **given)
    assert value.isfinite()
    assert gradient.isfinite().all()
    z[0, 2, 1] = torch.nan
    assert evaluated(loss, z, GROUPS, **given)[0].isnan()


@every_loss
def test_the_value_needs_no_gradients(name: str) -> None:
    z = made()
    want = evaluated(built(name, torch.float64), z, GROUPS)[0]
    for without in (torch.no_grad, torch.inference_mode):
        loss = built(name, torch.float64)
        with without():
            value = loss(z, GROUPS, **supplies(loss, z))
        torch.testing.assert_close(value, want)


@every_loss
def test_what_is_saved_is_what_is_loaded(name: str) -> None:
    z, trained = made(), built(name, torch.float64)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.3)
    trained(z, GROUPS, **supplies(trained, z))  # moves queues and running means
    fresh = built(name, torch.float64, seed=1)
    fresh.load_state_dict(trained.state_dict())
    for training in (True, False):
        want, got = (evaluated(loss.train(training), z, GROUPS) for loss in (trained, fresh))
        assert torch.equal(got[0], want[0])
        assert torch.equal(got[1], want[1])


@every_loss
def test_wrong_shapes_are_refused(name: str) -> None:
    loss, z = built(name, torch.float64), made()
    with pytest.raises(ValueError, match=r"\(6, 8\)"):
        loss(z[0], GROUPS, **supplies(loss, z))
    for wanted in loss.wants:
        given = supplies(loss, z)
        given[wanted] = given[wanted][..., :-1, :]
        with pytest.raises(ValueError, match=wanted):
            loss(z, GROUPS, **given)


@every_loss
def test_a_mistyped_name_or_option_gets_the_nearest_one(name: str) -> None:
    with pytest.raises(ValueError, match=f"no loss '{name}z'. Did you mean '{name}'"):
        build_loss(name + "z")
    for option, default in options_of(LOSSES[name], ("dim",)).items():
        with pytest.raises(ValueError, match=rf"unknown option '{option}z'\. Did you mean '{option}'"):
            build_loss(name, **{option + "z": default})


@every_loss
def test_an_entry_describes_itself(name: str) -> None:
    loss, row = LOSSES[name], next(row for row in loss_rows() if row["name"] == name)
    assert loss.wants <= set(WANTS)
    assert set(row) == {"name", "wants", "what", "options", "source"}
    assert all(text.strip() for text in row.values())
    assert row["what"].endswith((".", ")"))
    assert all(f"{option}=" in row["options"] for option in options_of(loss, ("dim",)))
    assert re.search(r"arXiv \d{4}\.\d{4,5}|NeurIPS|CVPR|ICML|ICLR|ICASSP|ISMIR", row["source"])
