"""Chunked NT-Xent with a fused backward against the whole matrix: time and memory of one forward and backward.

    python benchmarks/losses.py --rows 16384 --dimensions 128 --passes 7

Every pass is a process of its own, so that its peak is its own; memory is what the pass adds to the peak before it. The
candidates take turns, so that a machine that grows slower slows them all; a speed-up is the ratio to the whole matrix
of the same round. Each number is the median and, in brackets, the range over the passes. All compute the same number
(checked), on one thread unless told otherwise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.nt_xent import NTXent


@dataclass(frozen=True)
class Pass:
    """One measured forward and backward: its loss, its time in s, and the memory it added in MiB."""

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


def measure(chunk: int | None, rows: int, dimensions: int, threads: int) -> Pass:
    """One pass of one candidate: `chunk` rows at a time, or None for the whole matrix."""
    torch.set_num_threads(threads)
    loss_of = matrix_nt_xent if chunk is None else NTXent(temperature=0.1, chunk=chunk)
    loss_of(torch.randn(2, 8, dimensions, requires_grad=True)).backward()  # first-call costs are nobody's
    z = torch.randn(2, rows // 2, dimensions, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before, start = peak_mebibytes(), time.perf_counter()
    loss = loss_of(z)
    loss.backward()
    return Pass(loss.item(), time.perf_counter() - start, peak_mebibytes() - before)


def alone(chunk: int | None, *rest: int) -> Pass:
    """`measure` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (chunk, *rest))


def spread(values: Sequence[float], digits: int) -> str:
    """`median (lowest to highest)`."""
    middle, low, high = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def line(name: str, own: Sequence[Pass], whole: Sequence[Pass]) -> str:
    """A candidate's line of the table, beside the whole matrix of the same rounds."""
    faster = [w.seconds / o.seconds for w, o in zip(whole, own, strict=True)]
    smaller = [w.mebibytes / max(o.mebibytes, 1e-9) for w, o in zip(whole, own, strict=True)]
    measured = f"{spread([o.seconds for o in own], 3):>24} {spread([o.mebibytes for o in own], 0):>20}"
    return f"{name:>14} {measured} {spread(faster, 2):>22} {spread(smaller, 1):>22}"


def main() -> None:
    """Measure every candidate in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16_384, help="rows: views times items")
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--passes", type=int, default=5)
    given = parser.parse_args()
    candidates = [None, *given.chunks]
    rounds = [
        {chunk: alone(chunk, given.rows, given.dimensions, given.threads) for chunk in candidates}
        for _ in range(given.passes)
    ]
    losses = [done.loss for one in rounds for done in one.values()]
    if max(losses) - min(losses) > 1e-4 * abs(losses[0]):
        sys.exit(f"the candidates disagree: losses from {min(losses)} to {max(losses)}")
    print(f"{'rows at a time':>14} {'s':>24} {'MiB':>20} {'times faster':>22} {'times smaller':>22}")
    for chunk in candidates:
        print(
            line("all" if chunk is None else str(chunk), [one[chunk] for one in rounds], [one[None] for one in rounds])
        )


if __name__ == "__main__":
    main()
