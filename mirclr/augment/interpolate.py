"""Samples `(B, T)` read at evenly spaced places between them, every item at a spacing of its own, and mirrored ends.

The item and its mirror image are one period of an even, smooth wave: a cosine series (DCT-I) of T terms that goes
through every sample. Evaluated at any spacing it is band-limited interpolation without a kernel to choose, and leaving
the upper terms out is the anti-aliasing filter. The evaluation is a chirp z-transform (Bluestein, 1970; Rabiner,
Schafer and Rader, 1969): three Fourier transforms a batch, though no two items have the same rate.
"""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor


def mirrored(place: Tensor, length: int) -> Tensor:
    """Any places, floats or whole numbers, folded into 0..length-1: the ends are mirrors and are not repeated."""
    last = length - 1
    return (last - (place.remainder(2 * last) - last).abs()) if last > 0 else torch.zeros_like(place)


def cosine_terms(batch: Tensor) -> Tensor:
    """`(B, T)` factors a of the series x(t) = sum over k of a_k cos(pi k t / (T - 1)) through the samples, T >= 2."""
    last = batch.shape[1] - 1
    even = torch.cat([batch, batch[:, 1:-1].flip(1)], dim=1)
    terms = torch.fft.rfft(even).real / last
    halved = torch.ones(last + 1, device=batch.device, dtype=batch.dtype)
    halved[[0, -1]] = 0.5
    return terms * halved


def read_evenly(batch: Tensor, rate: Tensor, count: int) -> Tensor:
    """`(B, count)` values of each item at places `rate` (B,) samples apart, the middle value in the item's middle.

    A rate above 1 plays faster, and what would alias at the new spacing is removed; places beyond the ends are
    mirrored. At rate 1 and count T it is the item. Memory and time are those of a few transforms of T + count numbers
    an item.
    """
    length = batch.shape[1]
    if length < 2:
        return batch.expand(-1, count).clone()
    rate = rate.double()[:, None]
    order = torch.arange(length, device=batch.device, dtype=torch.float64)
    terms = torch.where(order * rate <= length - 1, cosine_terms(batch), 0)
    first = (length - 1) / 2 - (count - 1) / 2 * rate
    return _cosine_sum(terms, first / (2 * (length - 1)), rate / (2 * (length - 1)), count)


def _turned(cycles: Tensor, like: Tensor) -> Tensor:
    """exp(2 pi i cycles) in the precision of `like`; float64 cycles, as a chirp makes tens of thousands."""
    angle = ((cycles - cycles.round()) * (2 * torch.pi)).to(like.dtype)
    return torch.polar(torch.ones_like(angle), angle)


def _cosine_sum(terms: Tensor, start: Tensor, step: Tensor, count: int) -> Tensor:
    """`(B, count)`: sum over k of terms_k cos(2 pi k (start + n step)), for n in 0..count-1.

    With k n = (k^2 + n^2 - (n - k)^2) / 2 the sum is a convolution with a chirp.
    """
    length = terms.shape[1]
    size = next_fast_len(length + count - 1)
    k = torch.arange(max(length, count), device=terms.device, dtype=torch.float64)
    half = k.square() * (step / 2)
    chirp = _turned(half, terms)
    spread = terms * chirp[:, :length] * _turned(k[:length] * start, terms)
    kernel = chirp.conj()
    gap = kernel.new_zeros(len(terms), size - length - count + 1)
    around = torch.cat([kernel[:, :count], gap, kernel[:, 1:length].flip(1)], dim=1)
    total = torch.fft.ifft(torch.fft.fft(spread, n=size) * torch.fft.fft(around))[:, :count]
    return (total * chirp[:, :count]).real
