"""The one head that answers with labels or quantities, for clips and for frames: standardise, drop out, map, answer.

It is the counterpart of a projection head (`mirclr.models.heads`), which exists for a loss and is thrown away. This one
is kept: fine-tuning trains it, and it is saved beside its encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TASKS = ("multiclass", "multilabel", "regression")
_TINY = 1e-12  # the least probability a log loss counts with
_RARE = 1e-4  # the least share of frames an output begins with: one that never occurs can still be learned


class TaskHead(nn.Module):
    """`(B, D)` embeddings to `(B, K)` outputs, or `(B, N, C)` frame features to `(B, N, K)`: every frame by itself.

    Standardise: batch norm without scale and shift. Pooled features of several stages differ in scale by orders of
    magnitude, and weight decay and learning rate mean something only when they do not. Statistics fitted once would be
    wrong as soon as the encoder moves; those of batch norm follow it (`fit` gives them a start).

    Map: linear, or through `hidden` layers with ReLU; `dropout` before every linear layer. The last layer starts at
    zero, so that the first answer is the same for everything and the first steps do not push the noise of a random
    head into a trained encoder.

    Outputs by `task`: logits of K classes (multiclass), logits of K labels (multilabel), K quantities in units of
    the training targets' deviation (regression, after `fit_targets`). `label_smoothing` is for multiclass.

    `framewise`: it reads features of frames, not of clips. Most frames hold nothing: the first answer is how often each
    output is there (`fit_targets`), so that training does not begin by learning that; and what counts as an event is a
    threshold for each output, `thresholds` `(K,)`, to be chosen on music that was not trained on.

    `plan` is plain data that rebuilds the head: `TaskHead(**plan)`. Raises ValueError on an option out of range.
    """

    target_mean: Tensor
    target_std: Tensor
    thresholds: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        task: str,
        *,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        framewise: bool = False,
    ) -> None:
        super().__init__()
        _check_options(inputs, outputs, task, hidden, dropout, label_smoothing)
        if framewise and task != "multilabel":
            raise ValueError(f"head.framewise is for several labels a frame, this task is {task}")
        self.task, self.outputs, self.label_smoothing, self.framewise = task, outputs, label_smoothing, framewise
        self.plan: dict[str, Any] = {
            "inputs": inputs, "outputs": outputs, "task": task, "hidden": list(hidden), "dropout": dropout,
            "label_smoothing": label_smoothing, "framewise": framewise,
        }  # fmt: skip
        self.standardise = nn.BatchNorm1d(inputs, affine=False)
        self.map = _layers([inputs, *hidden, outputs], dropout)
        if framewise:
            self.register_buffer("thresholds", torch.full((outputs,), 0.5))
        if task == "regression":
            self.register_buffer("target_mean", torch.zeros(outputs))
            self.register_buffer("target_std", torch.ones(outputs))

    @torch.no_grad()
    def fit(self, embeddings: Tensor) -> TaskHead:
        """Take mean and variance of `(M, D)` embeddings, M >= 2, as those to standardise by. Returns itself."""
        variance, mean = torch.var_mean(embeddings.double(), dim=0)
        self.standardise.running_mean.copy_(mean)  # type: ignore[union-attr]  # batch norm that tracks has both
        self.standardise.running_var.copy_(variance)  # type: ignore[union-attr]
        return self

    @torch.no_grad()
    def fit_targets(self, targets: Tensor) -> TaskHead:
        """Take mean and deviation of `(M, K)` training targets as the unit of a regression, and the mean as the first
        answer for frames. Returns itself.

        Raises ValueError when a target does not vary: there is nothing to predict.
        """
        if self.task == "regression":
            std, mean = torch.std_mean(targets.double(), dim=0, correction=0)
            if not bool((std > 0).all()):
                raise ValueError(f"target {int((std > 0).int().argmin())} is the same for every training track")
            self.target_mean.copy_(mean)
            self.target_std.copy_(std)
        if self.framewise:
            self.map[-1].bias.copy_(targets.double().mean(dim=0).clamp(_RARE, 1 - _RARE).logit())  # type: ignore[operator]
        return self

    def forward(self, features: Tensor) -> Tensor:
        """`(B, D)` to `(B, K)`, `(B, N, C)` to `(B, N, K)`."""
        rows = self.standardise(features.reshape(-1, features.shape[-1]))
        answer: Tensor = self.map(rows)
        return answer.unflatten(0, features.shape[:-1])

    def loss(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss of `(..., K)` outputs, a scalar: cross-entropy, binary cross-entropy, or squared error.

        `targets`: int64 `(...)` classes or `(..., K)` shares of classes (multiclass), `(..., K)` in 0..1 (multilabel),
        `(..., K)` in their own unit (regression). `weights` `(...)`, at least 0, weigh examples or frames; 0: padding.
        Raises ValueError on targets of another shape.
        """
        outputs = outputs.float()
        classes = self.task == "multiclass" and targets.shape == outputs.shape[:-1] and not targets.is_floating_point()
        if not classes and targets.shape != outputs.shape:
            raise ValueError(
                f"{self.task} outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} do not fit"
            )
        each = self._each(outputs.flatten(0, -2), targets.flatten() if classes else targets.flatten(0, -2))
        if weights is None:
            return each.mean()
        return (each * weights.flatten()).sum() / weights.sum().clamp(min=_TINY)

    def _each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """`(M,)` losses."""
        if self.task == "multiclass":
            return functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=self.label_smoothing)
        if self.task == "multilabel":
            return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(dim=1)
        return (outputs - (targets - self.target_mean) / self.target_std).square().mean(dim=1)

    def scores(self, outputs: Tensor) -> Tensor:
        """`(..., K)` outputs to what is read: probabilities that sum to 1 (multiclass), one for each label
        (multilabel), or quantities in the targets' own unit (regression)."""
        if self.task == "multiclass":
            return outputs.float().softmax(dim=-1)
        if self.task == "multilabel":
            return outputs.float().sigmoid()
        return outputs.float() * self.target_std + self.target_mean

    def score_loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of `(M, K)` scores, which may be means over clips: log loss, or squared error in deviations."""
        if self.task == "multiclass":
            return -scores.gather(1, targets[:, None]).clamp(min=_TINY).log().mean()
        if self.task == "multilabel":
            return -torch.where(targets > 0.5, scores, 1 - scores).clamp(min=_TINY).log().mean()
        return ((scores - targets) / self.target_std).square().mean()

    def check_targets(self, targets: Tensor) -> None:
        """Raises ValueError, saying why, when `targets` of tracks are not what this head can learn."""
        classes = not targets.is_floating_point()
        if self.task == "multiclass":
            wrong = not classes or targets.ndim != 1 or not bool(((targets >= 0) & (targets < self.outputs)).all())
            wanted = f"(tracks,) whole numbers in 0..{self.outputs - 1}"
        else:
            wrong = (
                classes or targets.ndim != 2 or targets.shape[1] != self.outputs or not bool(targets.isfinite().all())
            )
            wanted = f"(tracks, {self.outputs}) finite numbers"
            if self.task == "multilabel":
                wrong = wrong or not bool(((targets >= 0) & (targets <= 1)).all())
                wanted += " in 0..1"
        if wrong:
            given = f"{str(targets.dtype).removeprefix('torch.')} {tuple(targets.shape)}"
            raise ValueError(f"a {self.task} head needs targets that are {wanted}, got {given}")


def as_shares(targets: Tensor, classes: int) -> Tensor:
    """Classes `(...)` int64 as shares `(..., K)` float32; targets that are numbers already come back as they are."""
    return targets if targets.is_floating_point() else functional.one_hot(targets, classes).float()


def _layers(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Dropout(dropout), nn.Linear(inputs, outputs), nn.ReLU()]
    last = layers[-2]
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a Linear, two lines above
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])


def _check_options(
    inputs: int, outputs: int, task: str, hidden: Sequence[int], dropout: float, label_smoothing: float
) -> None:
    if task not in TASKS:
        raise ValueError(f"head.task must be one of {', '.join(TASKS)}, got {task!r}")
    for name, value in (("inputs", inputs), ("outputs", outputs), *(("hidden", size) for size in hidden)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"head.{name} must be a whole number >= 1, got {value!r}")
    if task == "multiclass" and outputs < 2:
        raise ValueError(f"head.outputs must be at least 2 for one label of several, got {outputs}")
    for name, share in (("dropout", dropout), ("label_smoothing", label_smoothing)):
        if not 0 <= share < 1:
            raise ValueError(f"head.{name} must be in 0..1, 1 excluded, got {share!r}")
    if label_smoothing and task != "multiclass":
        raise ValueError(f"head.label_smoothing is for one label of several, this task is {task}")
