"""A phase vocoder with identity phase locking on samples `(B, T)`, every item at a rate of its own.

Flanagan and Golden, "Phase vocoder", Bell System Technical Journal 45, 1966; Laroche and Dolson, "Improved phase
vocoder time-scale modification of audio", IEEE Transactions on Speech and Audio Processing 7(3), 1999. The item's
short-time spectrum is read at another speed and written at the old one. What is written is the spectrum as it was read,
and all that changes is its phase: at a spectral peak it goes on, from the frame written before, by what it advanced in
the item over the same time, and the bins around the peak are turned by the peak's angle. So they keep the phases to
each other that make them one partial, where bins that go on each for itself drift apart and cancel.

The advance is measured between two frames that are as far apart as two written ones (as in Bonada, "Automatic technique
in frequency domain for near-lossless time-scale modification of audio", ICMC 2000), so it is needed only up to whole
turns, and no frequency has to be estimated. At rate 1 nothing is turned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.augment.interpolate import mirrored

FRAME_S = 0.064
"""Tells partials 31 Hz apart in the main lobe's half, and smears a drum by no more than that."""

OVERLAP = 4
"""Frames over each sample: with Hann windows twice, the least whose sum is constant."""

ATTACK = 2.0
"""Growth of a peak over a hop, 6 dB in 16 ms, that no steady tone has."""

NEAR = 2
"""A peak is larger than so many bins on either side (Laroche and Dolson): the reach of a Hann window's main lobe."""


def frame_size(sample_rate: int) -> int:
    """The power of two next to `FRAME_S`: 1024 samples at 16 kHz."""
    return 2 ** max(3, round(math.log2(FRAME_S * sample_rate)))


def stretched(batch: Tensor, rate: Tensor, frame: int) -> Tensor:
    """`(B, T)` samples of each item played at `rate` (B,) times its speed, at its own pitch, middle on middle.

    `frame` samples, a multiple of 4, are transformed at a time. Beyond its ends, which a faster item is read to, it is
    mirrored. At rate 1 it is the item. Gradients pass by the spectra and take the angles as given: the derivative of an
    angle has no bound where there is no sound.
    """
    length, hop = batch.shape[1], frame // OVERLAP
    window = torch.hann_window(frame, device=batch.device, dtype=batch.dtype)
    margin = math.ceil(length / 2 * max(0.0, float(rate.max()) - 1)) + frame
    sound = batch[:, mirrored(torch.arange(-margin, length + margin, device=batch.device), length)]
    frames, item = sound.unfold(1, frame, 1), torch.arange(len(batch), device=batch.device)[:, None]
    start = _middles(rate, length, hop) - frame // 2 + margin
    now, before = (torch.fft.rfft(frames[item, start - back] * window) for back in (0, hop))
    angle = _angles(now.detach(), before.detach())
    spectrum = now * torch.polar(torch.ones_like(angle), angle)
    return torch.istft(spectrum.mT, frame, hop, window=window, length=length)


def _middles(rate: Tensor, length: int, hop: int) -> Tensor:
    """`(B, M)` whole samples of the item in the middle of each frame that is read, for one to be written every hop."""
    written = torch.arange(0, length + 1, hop, device=rate.device, dtype=torch.float64)
    return ((written - length / 2) * rate.double()[:, None] + length / 2).round().long()


def _angles(now: Tensor, before: Tensor) -> Tensor:
    """`(B, M, K)`: by how much each bin of the frames `now` is turned; `before` are the frames a hop earlier.

    A peak goes on by its advance from `before` to `now`, from the phase its bin was given one frame ago: with the angle
    that bin was turned by, and what the two readings of that moment differ by. Where a sound begins it is not turned at
    all, so that the bins of an attack agree and it stays one (as Roebel resets transients, DAFx 2003).
    """
    count, bins = now.shape[1:]
    peak, reach = _peaks(now.abs())
    begins = _begins(now, before, peak) | ((peak // bins) % count == 0)
    last = now.flatten()[(peak - bins).clamp(min=0)]
    slip = torch.where(begins, 0, torch.angle(last * before.flatten()[peak].conj()))
    owner, slip, goes_on = (x.repeat_interleave(reach).view(now.shape) for x in (peak % bins, slip, (~begins).to(slip)))
    angles = [slip[:, 0]]
    for own, extra, kept in zip(owner.unbind(1)[1:], slip.unbind(1)[1:], goes_on.unbind(1)[1:], strict=True):
        angles.append(angles[-1].gather(1, own) * kept + extra)
    return torch.stack(angles, dim=1)


def _begins(now: Tensor, before: Tensor, peak: Tensor) -> Tensor:
    """Which peaks, by their places in the flat spectra, are more than `ATTACK` times what was there or near it a hop
    earlier: near, because the peak of a glide comes from another bin."""
    earlier = functional.max_pool1d(before.abs(), 2 * NEAR + 1, stride=1, padding=NEAR)
    return now.flatten()[peak].abs() > ATTACK * earlier.flatten()[peak]


def _peaks(magnitude: Tensor) -> tuple[Tensor, Tensor]:
    """The places of all peaks in the flat magnitudes `(B, M, K)`, and how many bins in a row are nearest to each.

    Of equal bins the first is the peak, so every frame has one, silence too. Both are `(P,)`, in the order of places.
    """
    bins = magnitude.shape[-1]
    beside = functional.pad(magnitude, (NEAR, NEAR), value=-1.0).unfold(2, bins, 1)
    below, above = beside[:, :, :NEAR].amax(2), beside[:, :, NEAR + 1 :].amax(2)
    peak = ((magnitude > below) & (magnitude >= above)).flatten().nonzero().flatten()
    row_end = (peak // bins + 1) * bins
    following = torch.cat([peak[1:], row_end[-1:]])
    end = torch.where(following < row_end, (peak + following + 1) // 2, row_end)
    return peak, end.diff(prepend=end.new_zeros(1))
