"""A phase vocoder on samples `(B, T)`, every item at a rate of its own.

Flanagan and Golden, "Phase vocoder", Bell System Technical Journal 45, 1966; Dolson, "The phase vocoder: a tutorial",
CMJ 10(4), 1986. The item's short-time spectrum is read at another speed and written at the old one: magnitudes between
two frames are interpolated, and each bin's phase goes on by what it advanced between the two frames that are read. As
both hops are equal, that advance is needed only up to whole turns, and no frequency has to be estimated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mirclr.augment.interpolate import mirrored

FRAME_S = 0.064
"""Tells partials 31 Hz apart in the main lobe's half, and smears a drum by no more than that."""

OVERLAP = 4
"""Frames over each sample: with Hann windows twice, the least whose sum is constant."""


ATTACK = 2.0
"""Growth of a bin from frame to frame, 6 dB in 16 ms, that no steady tone has."""


def frame_size(sample_rate: int) -> int:
    """The power of two next to `FRAME_S`: 1024 samples at 16 kHz."""
    return 2 ** max(3, round(math.log2(FRAME_S * sample_rate)))


def stretched(batch: Tensor, rate: Tensor, frame: int) -> Tensor:
    """`(B, T)` samples of each item played at `rate` (B,) times its speed, at its own pitch, middle on middle.

    `frame` samples, a multiple of 4, are transformed at a time. A faster item is read backwards, frame by frame, beyond
    its ends. At rate 1 it is the item.
    """
    length, hop = batch.shape[1], frame // OVERLAP
    window = torch.hann_window(frame, device=batch.device, dtype=batch.dtype)
    places = mirrored(torch.arange(-frame // 2, length + frame // 2, device=batch.device), length)
    spectrum = torch.stft(batch[:, places], frame, hop, window=window, center=False, return_complex=True)
    middle = length / 2 / hop
    written = torch.arange(spectrum.shape[2], device=batch.device, dtype=torch.float64)
    position = (written - middle) * rate.double()[:, None] + middle
    return torch.istft(_read_at(spectrum, position), frame, hop, window=window, length=length)


def _read_at(spectrum: Tensor, position: Tensor) -> Tensor:
    """`(B, K, M)` frames of `spectrum` (B, K, N) at `position` (B, M), with phases that go on from frame to frame."""
    last = spectrum.shape[2] - 1
    place = mirrored(position, last + 1)
    lower = place.floor().clamp(max=max(0, last - 1))
    below, above = _frames(spectrum, lower), _frames(spectrum, (lower + 1).clamp(max=last))
    part = (place - lower).to(below.abs().dtype)[:, None]
    magnitude = torch.lerp(below.abs(), above.abs(), part)
    advance = torch.angle(above * below.conj())
    return torch.polar(magnitude, _continued(magnitude, advance, torch.angle(below) + part * _unwrapped(advance)))


def _unwrapped(advance: Tensor) -> Tensor:
    """Phase advances `(B, K, M)` over a hop with their whole turns: those nearest to the bins' centre frequencies.

    Right for a partial in the bin, and for a click, whose phase advances by exactly the centre frequency.
    """
    bins = torch.arange(advance.shape[1], device=advance.device, dtype=advance.dtype)[:, None]
    expected = bins * (2 * torch.pi / OVERLAP)
    turn = 2 * torch.pi
    return expected + (advance - expected + torch.pi).remainder(turn) - torch.pi


def _continued(magnitude: Tensor, advance: Tensor, own: Tensor) -> Tensor:
    """`(B, K, M)` phases: `own` where a sound begins, from there on the sum of the advances.

    A bin that grows by more than `ATTACK` from one frame to the next begins anew with the item's own phase, so that the
    bins of an attack agree again and it stays one (as Roebel resets transients, DAFx 2003). In place of a loop: every
    frame looks up the last beginning before it.
    """
    so_far = torch.cumsum(advance, 2) - advance
    begins = torch.ones_like(magnitude, dtype=torch.bool)
    begins[:, :, 1:] = magnitude[:, :, 1:] > ATTACK * magnitude[:, :, :-1]
    frames = torch.arange(magnitude.shape[2], device=magnitude.device)
    since = torch.cummax(frames * begins, 2).values
    return so_far + (own - so_far).gather(2, since)


def _frames(spectrum: Tensor, place: Tensor) -> Tensor:
    return spectrum.gather(2, place.long()[:, None].expand(-1, spectrum.shape[1], -1))
