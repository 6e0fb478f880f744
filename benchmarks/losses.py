"""Chunked NT-Xent with a fused backward against the whole matrix: time and memory of one forward and backward.

    python benchmarks/losses.py --rows 16384 --dimensions 128

Each candidate runs in a process of its own, so that its peak is its own; memory is what the pass adds to the peak
before it. Both compute the same number (checked), on one thread unless told otherwise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.nt_xent import NTXent


@dataclass(frozen=True)
class Pass:
    """One measured forward and backward: its loss, its best time in s, and the memory it added in MiB."""

    loss: float
    seconds: float
    mebibytes: float


def matrix_nt_xent(z: Tensor) -> Tensor:
    """NT-Xent of two views as it is usually written: one matrix, its diagonal masked, cross-entropy."""
    rows = functional.normalize(z, dim=-1).flatten(0, 1)
    logits = (rows @ rows.T / 0.1).fill_diagonal_(-torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(rows)).roll(len(rows) // 2))


def peak_mebibytes() -> float:
    """The highest resident memory of this process so far (Linux counts KiB, macOS bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure(chunk: int | None, rows: int, dimensions: int, threads: int, repeats: int) -> Pass:
    """One candidate: `chunk` rows at a time, or None for the whole matrix."""
    torch.set_num_threads(threads)
    loss_of = matrix_nt_xent if chunk is None else NTXent(temperature=0.1, chunk=chunk)
    loss_of(torch.randn(2, 8, dimensions, requires_grad=True)).backward()  # first-call costs are nobody's
    z = torch.randn(2, rows // 2, dimensions, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before, best, loss = peak_mebibytes(), float("inf"), 0.0
    for _ in range(repeats):
        z.grad, start = None, time.perf_counter()
        value = loss_of(z)
        value.backward()
        best, loss = min(best, time.perf_counter() - start), value.item()
    return Pass(loss, best, peak_mebibytes() - before)


def main() -> None:
    """Measure every candidate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16_384, help="rows: views times items")
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    rest = (given.rows, given.dimensions, given.threads, given.repeats)
    results = {}
    for chunk in [None, *given.chunks]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results[chunk] = pool.apply(measure, (chunk, *rest))
    whole = results[None]
    print(f"{'rows at a time':>14} {'s':>8} {'MiB':>8} {'faster':>8} {'smaller':>8}  loss")
    for chunk, got in results.items():
        faster, smaller = whole.seconds / got.seconds, whole.mebibytes / max(got.mebibytes, 1e-9)
        name = "all" if chunk is None else str(chunk)
        print(f"{name:>14} {got.seconds:8.4f} {got.mebibytes:8.0f} {faster:7.1f}x {smaller:7.1f}x  {got.loss:.6f}")


if __name__ == "__main__":
    main()
