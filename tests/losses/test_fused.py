"""The chunked engine: the same numbers for any chunk, true gradients, memory linear in the batch, any precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mirclr.losses.dcl import DCL
from mirclr.losses.fused import FusedContrast
from mirclr.losses.nt_xent import NTXent, coupled
from mirclr.losses.table import build_loss
from tests.support.projections import LargestTensor


def projections(items: int, dimensions: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, items, dimensions, generator=torch.Generator().manual_seed(1), dtype=dtype)


FUSED = ("nt_xent", "dcl")
GROUPS = torch.tensor([0, 0, -1, 2, 2, 2, -1, -1, 4])


@pytest.mark.parametrize("chunk", [1, 7, 18, 1000])
@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_chunks_change_nothing(name: str, chunk: int) -> None:
    z = projections(9).requires_grad_()
    whole, parts = build_loss(name, chunk=18)(z, GROUPS), build_loss(name, chunk=chunk)(z, GROUPS)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (parts, whole)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "loss", [NTXent(chunk=5), DCL(chunk=5), DCL(chunk=5, sigma=0.5)], ids=["nt_xent", "dcl", "dclw"]
)
def test_gradients_are_those_of_the_value(loss: torch.nn.Module) -> None:
    z = projections(9).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, GROUPS), (z,))


def test_rows_and_columns_may_be_different_sets() -> None:
    # Under several processes the columns are everybody's samples: each process's rows against all, then the mean.
    rows = torch.nn.functional.normalize(projections(9), dim=-1).flatten(0, 1).requires_grad_()
    labels, positives = torch.arange(9).repeat(2), torch.linspace(-1, 1, 18, dtype=torch.float64)[:, None]
    whole = FusedContrast.apply(rows, rows, positives, labels, labels, 0.2, 4, coupled)
    halves = [
        FusedContrast.apply(rows[part], rows, positives[part], labels[part], labels, 0.2, 4, coupled)
        for part in (slice(0, 6), slice(6, 18))
    ]
    joined = (6 * halves[0] + 12 * halves[1]) / 18
    torch.testing.assert_close(joined, whole)
    torch.testing.assert_close(torch.autograd.grad(joined, rows)[0], torch.autograd.grad(whole, rows)[0])


def test_columns_that_do_not_learn_change_nothing_for_the_rows() -> None:
    rows = torch.nn.functional.normalize(projections(9), dim=-1).flatten(0, 1).requires_grad_()
    labels, positives = torch.arange(9).repeat(2), torch.linspace(-1, 1, 18, dtype=torch.float64)[:, None]
    columns = torch.nn.functional.normalize(projections(9).flip(1), dim=-1).flatten(0, 1)
    still, moving = columns.clone(), columns.clone().requires_grad_()
    values = [FusedContrast.apply(rows, c, positives, labels, labels, 0.2, 4, coupled) for c in (still, moving)]
    assert values[0] == values[1]
    by_rows, by_columns = torch.autograd.grad(values[1], (rows, moving))
    assert torch.equal(torch.autograd.grad(values[0], rows)[0], by_rows)
    assert by_columns.abs().max() > 1e-3


def test_twice_is_the_same_bits() -> None:
    z = projections(50, dtype=torch.float32).requires_grad_()
    first, second = (torch.autograd.grad(DCL(chunk=7)(z), z)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_half_precision_is_computed_in_float32_also_under_autocast(name: str) -> None:
    loss, z = build_loss(name, temperature=0.05), projections(40, 16, torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(z)
    value.backward()
    exact = z.detach().double().requires_grad_()
    loss(exact).backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(exact).item(), rel=1e-5)
    assert z.grad.dtype == torch.bfloat16
    torch.testing.assert_close(z.grad.double(), exact.grad, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_extreme_temperatures_stay_finite_in_float32(name: str, temperature: float) -> None:
    z = projections(30, dtype=torch.float32).requires_grad_()
    loss = build_loss(name, temperature=temperature)(z)
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_a_projection_of_zeros_gives_no_nan(name: str) -> None:
    z = projections(6, dtype=torch.float32)
    z[0, 2] = 0.0
    z.requires_grad_()
    loss = build_loss(name)(z)
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_nan_comes_out_as_nan(name: str) -> None:
    z = projections(6, dtype=torch.float32)
    z[1, 3, 0] = torch.nan
    assert build_loss(name)(z).isnan()


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_the_value_needs_no_gradients(name: str) -> None:
    loss, z = build_loss(name, chunk=7), projections(9)
    value = loss(z.clone().requires_grad_(), GROUPS).detach()
    with torch.no_grad():
        assert loss(z, GROUPS) == value
    with torch.inference_mode():
        assert loss(z, GROUPS) == value


def saved_bytes(items: int) -> int:
    """Bytes that autograd keeps between forward and backward."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    z = projections(items, 8).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        NTXent(chunk=16)(z)
    return sum(kept.values())


def test_what_waits_for_the_backward_grows_with_the_batch_not_its_square() -> None:
    small, large = saved_bytes(64), saved_bytes(640)
    assert small > 0
    assert large <= 10.5 * small
    assert large < (2 * 640) ** 2 * 8 / 10


def test_no_tensor_is_ever_larger_than_a_chunk_of_rows() -> None:
    z = projections(400, 8).requires_grad_()
    with LargestTensor() as seen:
        NTXent(chunk=16)(z, torch.arange(400) // 3).backward()
    assert seen.numbers == 16 * 800
