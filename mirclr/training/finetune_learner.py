"""What is fine-tuned: embedder and task head, which of their weights may move and how fast, one step of learning."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mirclr.config import OptimConfig
from mirclr.losses.alignment import build_alignment, standardised
from mirclr.models.embedder import Embedder
from mirclr.models.lora import add_lora, merge_lora
from mirclr.models.task_head import TaskHead
from mirclr.training.checkpoint import below, check_shapes
from mirclr.training.finetune_config import FinetuneConfig
from mirclr.training.learner import drift
from mirclr.training.optimisers import restore_state, state_shapes, state_tensors
from mirclr.training.schedules import decay_groups

TRAINED_DECAY, UNTRAINED_DECAY = 0.75, 1.0


class Tunable(nn.Module):
    """Embedder and task head: frames `(B, F, N)` to outputs `(B, K)`, or `(B, N', K)` where the head reads frames."""

    def __init__(self, embedder: Embedder, head: TaskHead) -> None:
        super().__init__()
        self.embedder, self.head = embedder, head

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, K)` or `(B, N', K)`."""
        outputs: Tensor = self.head(self.features(frames))
        return outputs

    def features(self, frames: Tensor) -> Tensor:
        """What the head reads: `(B, D)` of clips, or `(B, N', C)` of moments."""
        return self.embedder.sequence(frames) if self.head.framewise else self.embedder.from_spectrogram(frames)

    def beside(self, frames: Tensor, aside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(B, F, N)` and frames without labels `(M, F, N)` to outputs `(B, K)` and embeddings `(B, D)`, `(M, D)`.

        All go through the encoder together. Batch norm of each by itself would align the two in training, by statistics
        that neither has in use.
        """
        embedded = self.embedder.from_spectrogram(torch.cat([frames, aside]))
        source, target = embedded.split([len(frames), len(aside)])
        return self.head(source), source, target


@dataclass(frozen=True)
class Learned:
    """Of one step: the `loss` that was made smaller, and the `alignment` in it, not weighed, where there is one."""

    loss: Tensor
    alignment: Tensor | None = None


def parts_of(embedder: Embedder) -> list[nn.Module]:
    """What can be frozen and has its own learning rate: all before the encoder, then the encoder's depths."""
    return [nn.ModuleList([embedder.frontend, embedder.compress, embedder.normalise]), *embedder.encoder.depths()]


def freeze(embedder: Embedder, config: FinetuneConfig) -> list[nn.Module]:
    """Stop the gradient where the mode and `freeze` say so, and add the pairs of LoRA.

    Returns the modules that stay in eval mode: a frozen layer computes the same in training and in use, so its batch
    norm reads its running statistics and never moves them. With LoRA that is the whole encoder.
    Raises ValueError when `freeze` is more than there is, or LoRA does not fit.
    """
    depths = embedder.encoder.depths()
    if config.freeze > len(depths):
        raise ValueError(f"freeze: this encoder has {len(depths)} depths, got {config.freeze}")
    if config.mode != "full":
        embedder.requires_grad_(False)
        if config.mode == "lora":
            add_lora(nn.ModuleList(depths[config.freeze :]), **config.lora.model_dump())
        return [embedder]
    # A frontend that learns lies below the first depth: frozen with it.
    still = parts_of(embedder)[: 1 + config.freeze] if config.freeze else []
    for part in still:
        part.requires_grad_(False)
    return still


def layer_groups(model: Tunable, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """AdamW groups of everything that trains; `scale` is `layer_decay ** distance`: 0 for the head, 1 for the encoder's
    last depth, and so on down to the frontend. (Howard and Ruder, arXiv 1801.06146, sec. 3.2, discriminative rates.)"""
    groups: list[dict[str, Any]] = []
    for distance, part in enumerate([model.head, *reversed(parts_of(model.embedder))]):
        named: list[tuple[str, object]] = [(n, p) for n, p in part.named_parameters() if p.requires_grad]
        parted = decay_groups(named, weight_decay)
        groups += [{**group, "scale": layer_decay**distance} for group in parted if group["params"]]
    return groups


class Tuner:
    """Model, its moving average and the optimiser on one device; `trained`: whether the encoder's weights were loaded.

    `average` is what is judged and exported. Raises ValueError as `freeze`.
    """

    def __init__(
        self, embedder: Embedder, head: TaskHead, config: FinetuneConfig, fabric: Fabric, trained: bool
    ) -> None:
        self.config, self.fabric = config, fabric
        self.still = freeze(embedder, config)
        self.bare = Tunable(embedder, head)
        decay = config.optim.layer_decay or (TRAINED_DECAY if trained else UNTRAINED_DECAY)
        groups = layer_groups(self.bare, config.optim.weight_decay, decay)
        self.model, self.optimiser = fabric.setup(self.bare, torch.optim.AdamW(groups, lr=config.optim.learning_rate))
        self.model.mark_forward_method("beside")
        self.align = None if config.adapt is None else build_alignment(config.adapt.name, **config.adapt.options)
        self.average = copy.deepcopy(self.bare).eval().requires_grad_(False)

    @property
    def ema(self) -> Embedder:
        """The averaged embedder; with the pairs of LoRA still in it."""
        return self.average.embedder

    def average_all(self) -> None:
        """Start the moving average at the weights as they are now."""
        self.average.load_state_dict(self.bare.state_dict())

    def train(self) -> None:
        """Training mode for what trains."""
        self.model.train()
        for part in self.still:
            part.eval()

    def step(
        self,
        frames: Tensor,
        targets: Tensor,
        rate: float,
        done: int,
        aside: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Learned:
        """Step number `done` (0 is the first) on `(B, F, N)` and targets at the head's learning rate `rate`.

        `weights`: of the targets, as `TaskHead.loss` takes them. `aside` `(M, F, N)`: frames of the target folder,
        where there is one. A gradient that is not finite gives a loss of NaN and leaves the weights alone."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        self.train()
        loss, alignment = self._losses(frames, targets, aside, weights)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        limit = self.config.optim.clip_norm
        norm = self.fabric.clip_gradients(self.model, self.optimiser, max_norm=limit, error_if_nonfinite=False)
        if norm is None or not torch.isfinite(norm):
            return Learned(torch.tensor(torch.nan), alignment)
        self.optimiser.step()
        self._follow(done)
        return Learned(loss.detach(), alignment)

    def _losses(
        self, frames: Tensor, targets: Tensor, aside: Tensor | None, weights: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The whole loss, and the alignment in it without gradient."""
        if aside is None or self.align is None or self.config.adapt is None:
            return self.bare.head.loss(self.model(frames), targets, weights), None
        outputs, source, target = self.model.beside(frames, aside)
        alignment = self.align(*standardised(source, target))
        loss = self.bare.head.loss(outputs, targets) + self.config.adapt.weight * alignment
        return loss, alignment.detach()

    def _follow(self, done: int) -> None:
        """Polyak averaging whose memory grows with the run: short runs are not held back by where they began."""
        drift(self.average, self.bare, min(self.config.optim.ema_decay, (1 + done) / (10 + done)))

    def exported(self) -> tuple[Embedder, TaskHead]:
        """Copies of the averaged embedder and head, on the CPU, LoRA merged: an ordinary encoder."""
        made = copy.deepcopy(self.average).cpu()
        merge_lora(made.embedder)
        return made.embedder, made.head

    def tensors(self) -> dict[str, Tensor]:
        """Everything a restart needs, under flat names: `model.`, `average.`, `optim.<state>.<parameter>`; and `ema.`,
        the averaged embedder with LoRA merged, by which a checkpoint is an encoder too. `average.` has the rest."""
        merged, _ = self.exported()
        plain = merged.state_dict()
        out = {f"model.{n}": t for n, t in self.bare.state_dict().items()} | {f"ema.{n}": t for n, t in plain.items()}
        rest = {n: t for n, t in self.average.state_dict().items() if n.removeprefix("embedder.") not in plain}
        out |= {f"average.{n}": t for n, t in rest.items()}
        out |= state_tensors(self._trained(), self.optimiser)
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in out.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave. Raises KeyError or RuntimeError when a tensor is missing, extra or misshapen.

        Nothing is changed before everything has been found to fit.
        """
        expected = {n: t.shape for n, t in self.tensors().items() if not n.startswith("optim.")}
        check_shapes(expected | state_shapes(self._trained(), OptimConfig()), tensors)
        self.bare.load_state_dict(below("model", tensors))
        kept = {f"embedder.{n}": t for n, t in below("ema", tensors).items()} | below("average", tensors)
        self.average.load_state_dict({name: kept[name] for name in self.average.state_dict()})
        restore_state(self._trained(), self.optimiser, tensors)

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.bare.named_parameters() if p.requires_grad]
