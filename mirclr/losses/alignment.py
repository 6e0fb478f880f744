"""Distances between two samples of embeddings, to be made small: a labelled collection and the music it is meant for.

Unsupervised domain adaptation adds one of them to the loss of a labelled source, with music of a target that nobody has
labelled. A new one is a class here and a line in `ALIGNMENTS`; configuration, docs and contract tests follow.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mirclr.losses.objective import positive, wide, within
from mirclr.tables import build, options_of

_TINY = 1e-12  # the least squared distance that counts as a width: all rows may be the same
_EPS = 1e-5  # of batch norm: what a dimension that never varies is divided by


class Alignment(nn.Module):
    """Base of every alignment: source `(n, d)` and target `(m, d)`, at least two rows each, to a scalar.

    In float32, or float64 of float64, whatever autocast says. The order of rows is nothing. `source`: where it is
    published. Raises ValueError on other shapes.
    """

    source: ClassVar[str]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Source rows `(n, d)` and target rows `(m, d)` to a scalar."""
        if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
            given = f"{tuple(source.shape)} and {tuple(target.shape)}"
            raise ValueError(f"rows to align must be (n, d) and (m, d), got {given}")
        if min(len(source), len(target)) < 2:
            raise ValueError(f"alignment needs two rows of each side, got {len(source)} and {len(target)}")
        with torch.autocast(source.device.type, enabled=False):
            return self.between(wide(source), wide(target))

    def between(self, source: Tensor, target: Tensor) -> Tensor:
        """The distance itself, of rows that have been checked."""
        raise NotImplementedError


class Coral(Alignment):
    """`|C_S - C_T|_F^2 / (4 d^2)`, C_S and C_T the covariances of source and target over their rows (divided by n - 1).

    Eq. 1 to 3 of the paper. It sees second moments only: two samples with the same covariance are equal to it wherever
    they lie.
    """

    source = "Sun & Saenko, Deep CORAL, arXiv 1607.01719, eq. 1-3"

    def between(self, source: Tensor, target: Tensor) -> Tensor:
        difference = _covariance(source) - _covariance(target)
        return difference.square().sum() / (4 * source.shape[1] ** 2)


class MMD(Alignment):
    """`mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`, the squared maximum mean discrepancy for the mean k of Gaussian
    kernels `exp(-|a - b|^2 / w)` of several widths w.

    The widths are `bandwidth * factor^u`, u running symmetrically about 0 (-2 to 2 for five kernels). DAN spreads more
    of them and learns their weights; here they count equally.

    Args:
        bandwidth: the middle w, a squared distance. None: the median of the squared distances between all rows of both
            samples, anew for every batch and without gradient (the median heuristic).
        kernels: how many widths, 1..64. Too narrow a kernel sees no neighbour and too wide a one no difference: five
            octaves cover both errors of the heuristic.
        factor: ratio of neighbouring widths, > 1.
        unbiased: leave a row's kernel with itself out of the means (MMD_u^2, eq. 3): 0 on average for equal
            distributions, and a little below 0 half of the time. Else MMD_b^2 (eq. 5): never below 0, and 0 for equal
            samples, but above it for two samples of one distribution, the more so the smaller they are.
    """

    source = "Gretton et al., JMLR 13 (2012), eq. 3 and 5; several kernels: Long et al., DAN, arXiv 1502.02791"

    def __init__(
        self, bandwidth: float | None = None, kernels: int = 5, factor: float = 2.0, unbiased: bool = True
    ) -> None:
        super().__init__()
        if bandwidth is not None:
            positive("bandwidth", bandwidth)
        within("kernels", kernels, 1, 64)
        if not 1 < factor < math.inf:
            raise ValueError(f"factor must be > 1 and finite, got {factor}")
        self.bandwidth, self.unbiased = bandwidth, unbiased
        self.ratios = [factor ** (u - (kernels - 1) / 2) for u in range(kernels)]

    def between(self, source: Tensor, target: Tensor) -> Tensor:
        squared = _squared_distances(torch.cat([source, target]))
        width = _median(squared.detach()) if self.bandwidth is None else self.bandwidth
        kernel = torch.stack([(squared / (-width * ratio)).exp() for ratio in self.ratios]).mean(dim=0)
        n = len(source)
        within_each = self._mean(kernel[:n, :n]) + self._mean(kernel[n:, n:])
        return within_each - 2 * kernel[:n, n:].mean()

    def _mean(self, kernel: Tensor) -> Tensor:
        """Mean of a square block, with its diagonal or without."""
        if not self.unbiased:
            return kernel.mean()
        rows = len(kernel)
        return (kernel.sum() - kernel.trace()) / (rows * (rows - 1))


ALIGNMENTS: dict[str, type[Alignment]] = {"coral": Coral, "mmd": MMD}


def build_alignment(name: str, **options: Any) -> Alignment:
    """The alignment `name`, e.g. `build_alignment("mmd", kernels=3)`.

    Raises ValueError on an unknown name, an unknown option or a value out of range.
    """
    made: Alignment = build("alignment", ALIGNMENTS, name, options)
    return made


def alignment_rows() -> list[dict[str, str]]:
    """The table for people: `kind`, `name`, `what` it is, `options` with their defaults, `source`."""
    return [
        {
            "kind": "alignment",
            "name": name,
            "what": inspect.cleandoc(made.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
            "options": ", ".join(f"{key}={value}" for key, value in _own_options(made).items()) or "none",
            "source": made.source,
        }
        for name, made in ALIGNMENTS.items()
    ]


def standardised(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both `(n, d)` and `(m, d)` in units of each dimension's deviation within the samples, the two counted equally.

    Pooled features differ in scale by orders of magnitude, and a distance between raw rows would be that of the few
    largest dimensions. Nor can it then be made small by shrinking all embeddings, which a head behind batch norm would
    not even notice. Not the deviation of both samples thrown together: that grows with the distance between them, and
    a distance divided by itself teaches nothing. Not the source's alone: a dimension that is still there and moves in
    the target would weigh more than all others.
    """
    source, target = wide(source), wide(target)
    variance = (source.var(dim=0, correction=0) + target.var(dim=0, correction=0)) / 2
    scale, centre = (variance + _EPS).rsqrt(), source.mean(dim=0)
    return (source - centre) * scale, (target - centre) * scale


def _own_options(made: type[Alignment]) -> dict[str, Any]:
    """Those of its own constructor; that of torch's modules has none to speak of."""
    return options_of(made) if "__init__" in vars(made) else {}


def _covariance(rows: Tensor) -> Tensor:
    """`(n, d)` to `(d, d)`, divided by n - 1."""
    centred = rows - rows.mean(dim=0)
    return centred.T @ centred / (len(rows) - 1)


def _squared_distances(rows: Tensor) -> Tensor:
    """`(N, d)` to `(N, N)` squared Euclidean distances; memory does not grow with d."""
    centred = rows - rows.mean(dim=0).detach()  # nearer to the origin, less is lost when products cancel
    lengths = centred.square().sum(dim=1)
    return (lengths[:, None] + lengths[None, :] - 2 * centred @ centred.T).clamp(min=0)


def _median(squared: Tensor) -> Tensor:
    """The median of the entries above the diagonal."""
    above = torch.ones_like(squared, dtype=torch.bool).triu(1)
    return squared[above].median().clamp(min=_TINY)
