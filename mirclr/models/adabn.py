"""AdaBN: statistics of batch norm measured anew on other music, every weight as it was (Li et al., arXiv 1603.04779).

A layer's statistics are those of its inputs over the whole folder, and these depend on the layers before it. So layers
are done one after the other, each with those before it already adapted: what comes out is one training-mode forward of
all clips as a single batch, which no memory could hold. It is exact and knows no order of clips; the price is a pass
over the folder for every layer, on average through half of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mirclr.models.frontend_normalise import Normalise

BatchNorm = nn.modules.batchnorm._BatchNorm
Forward = Callable[[Tensor], object]
INPUT = "normalise"
"""What the normalisation of the input is called among the layers."""
Batches = Callable[[], Iterable[Tensor]]
"""Makes a new pass over all clips, in batches `(B, F, N)` of any size."""


@dataclass(frozen=True)
class Shift:
    """How far the target's statistics lie from those a layer had: `moved`, the mean over channels of the distance
    between the means in units of the old deviation; `spread`, the geometric mean of new over old deviation. The same
    music has 0 and 1."""

    layer: str
    channels: int
    moved: float
    spread: float


@dataclass(frozen=True)
class Moments:
    """Mean and population variance of every channel, `(C,)` float64 on the CPU."""

    mean: Tensor
    variance: Tensor

    def towards(self, other: Moments, share: float) -> Moments:
        """Both moments weighed, `share` of `other`; 0 and 1 are the two to the bit."""
        return Moments(self.mean.lerp(other.mean, share), self.variance.lerp(other.variance, share))

    def shift(self, layer: str, new: Moments, eps: float) -> Shift:
        """From these to `new`; `eps` is added to variances, as batch norm adds it."""
        old_std, new_std = (self.variance + eps).sqrt(), (new.variance + eps).sqrt()
        moved = ((new.mean - self.mean).abs() / old_std).mean()
        return Shift(layer, len(self.mean), float(moved), float((new_std / old_std).log().mean().exp()))


def check_share(share: float) -> None:
    """Raises ValueError unless the target's share of the statistics lies in 0..1."""
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1, got {share!r}")


def batch_norms(model: nn.Module, forward: Forward, frames: Tensor) -> dict[str, BatchNorm]:
    """The batch norms with running statistics that `forward(frames)` goes through, by name, in that order.

    `model` holds them and is in eval mode. Raises ValueError when there is none, and when one is gone through twice:
    it would need two statistics.
    """
    named = ((name, module) for name, module in model.named_modules() if isinstance(module, BatchNorm))
    names = {norm: name for name, norm in named if norm.track_running_stats}
    met: list[BatchNorm] = []
    hooks = [norm.register_forward_pre_hook(lambda norm, _: met.append(norm)) for norm in names]
    try:
        with torch.inference_mode():
            forward(frames)
    finally:
        for hook in hooks:
            hook.remove()
    found = {names[norm]: norm for norm in met}
    if not found:
        raise ValueError("no layer has batch norm, and so there are no statistics to adapt")
    if len(found) < len(met):
        raise ValueError("a batch norm is gone through twice; one set of statistics cannot serve both places")
    return found


@torch.inference_mode()
def adapt_batch_norms(
    norms: Mapping[str, BatchNorm], forward: Forward, batches: Batches, share: float = 1.0
) -> Iterator[Shift]:
    """Give `norms` (of `batch_norms`) the mean and population variance of their inputs over all `batches`.

    With `share` below 1 both moments are weighed with those the layer had: `share` = n / (N + n) counts the folder as n
    clips beside N of the source (Schneider et al., arXiv 2006.16971). Yields how far a layer had to move when it
    is done. Raises ValueError on a share out of 0..1, without a clip, and when an input is not finite.
    """
    check_share(share)
    for name, norm in norms.items():
        new = _measured(norm.num_features, (_inputs_of(norm, forward, batch) for batch in batches()))
        old = Moments(_statistic(norm.running_mean), _statistic(norm.running_var))
        made = old.towards(new, share)
        norm.running_mean.copy_(made.mean)  # type: ignore[union-attr]  # batch norm that tracks has both
        norm.running_var.copy_(made.variance)  # type: ignore[union-attr]
        yield old.shift(name, new, norm.eps)


@torch.inference_mode()
def adapt_normalisation(normalise: Normalise, batches: Iterable[Tensor], share: float = 1.0) -> Shift:
    """The same for the normalisation of the input, which is a batch norm before the first layer: `batches` `(B, F, N)`
    as it gets them. Raises ValueError as `adapt_batch_norms`."""
    check_share(share)
    fitted = copy.deepcopy(normalise).double().fit(batches)
    old, new = _of(normalise), _of(fitted)
    made = old.towards(new, share)
    normalise.mean.copy_(made.mean[:, None])
    normalise.std.copy_(made.variance.sqrt()[:, None])
    return old.shift(INPUT, new, 0.0)


class _Reached(Exception):
    """Ends a forward at the layer that was asked about: what lies behind it has nothing to add."""


def _inputs_of(norm: BatchNorm, forward: Forward, frames: Tensor) -> Tensor:
    """What `norm` gets when `frames` go in, `(B, C, ...)`; nothing behind it is computed."""
    caught: list[Tensor] = []

    def stop(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        caught.extend(given)
        raise _Reached

    hook = norm.register_forward_pre_hook(stop)
    try:
        forward(frames)
    except _Reached:
        pass
    finally:
        hook.remove()
    return caught[0]


def _measured(channels: int, inputs: Iterable[Tensor]) -> Moments:
    """Moments of `(B, C)` or `(B, C, ...)` over all but channels, in float64: those of a normalisation by channel."""
    rows = (part[..., None] if part.ndim == 2 else part.flatten(2) for part in inputs)
    return _of(Normalise(channels, least=0.0).double().fit(rows))


def _of(normalise: Normalise) -> Moments:
    return Moments(_statistic(normalise.mean)[:, 0], _statistic(normalise.std)[:, 0].square())


def _statistic(values: Tensor | None) -> Tensor:
    assert values is not None, "a batch norm that tracks has both"
    return values.detach().to("cpu", torch.float64, copy=True)  # it is about to be overwritten
