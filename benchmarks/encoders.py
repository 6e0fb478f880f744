"""What every encoder costs: parameters, operations per clip, and clips a second in training on one thread.

    python benchmarks/encoders.py --seconds 4 --batch 32

A clip is log-mel frames at 62.5 a second, or samples at 16 kHz for encoders of the wave; one pass is forward and
backward in train mode, as in training but for the loss. Operations are counted by torch in eval mode, forward, a
multiplication and an addition as two.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mirclr.models.encoder import Encoder
from mirclr.models.table import ENCODERS, build_encoder

RATE, HOP = 16_000, 256
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet nano": ("resnet", {"size": "nano"}),
    "resnet base": ("resnet", {"size": "base"}),
    "vgg 128": ("vgg", {"width": 128}),
    "samplecnn 128": ("samplecnn", {"width": 128}),
}
"""Sizes worth knowing beside the defaults."""


def clips_of(encoder: Encoder, batch: int, seconds: float, bands: int) -> Tensor:
    """Noise in the shape the encoder takes, `seconds` long."""
    length = round(seconds * RATE)
    shape = (batch, 1, length) if encoder.domain == "wave" else (batch, bands, length // HOP)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def operations(encoder: Encoder, clip: Tensor) -> float:
    """Floating-point operations of one clip, forward, in 1e9."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder.eval()(clip)
    return counter.get_total_flops() / 1e9


def clips_a_second(encoder: Encoder, clips: Tensor, repeats: int) -> float:
    """The best of `repeats` passes, forward and backward, after one that does not count."""
    encoder.train()
    best = float("inf")
    for attempt in range(repeats + 1):
        encoder.zero_grad(set_to_none=True)
        start = time.perf_counter()
        encoder(clips).square().mean().backward()
        best = min(best, time.perf_counter() - start) if attempt else best
    return len(clips) / best


def main() -> None:
    """Measure every encoder and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join([*ENCODERS, *MORE])}; all when none is given")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--bands", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    candidates = {name: (name, {}) for name in ENCODERS} | MORE
    print(f"{'encoder':<14} {'parameters':>11} {'GFLOP':>7} {'clips/s':>8} {'D':>6}")
    for label in given.names or candidates:
        torch.manual_seed(0)
        name, options = candidates[label]
        encoder = build_encoder(name, bands=given.bands, **options)
        clips = clips_of(encoder, given.batch, given.seconds, given.bands)
        count = sum(parameter.numel() for parameter in encoder.parameters())
        work, speed = operations(encoder, clips[:1]), clips_a_second(encoder, clips, given.repeats)
        print(f"{label:<14} {count:11,d} {work:7.3f} {speed:8.1f} {encoder.dim:6d}", flush=True)


if __name__ == "__main__":
    main()
