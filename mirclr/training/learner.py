"""The trained thing: embedder and projection head, their moving average, the optimiser, and one step of learning."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mirclr.config import PretrainConfig
from mirclr.losses.leave_one_out import leave_one_out
from mirclr.losses.table import build_loss
from mirclr.models.embedder import Embedder
from mirclr.models.table import build_head
from mirclr.training.checkpoint import below, check_shapes
from mirclr.training.gradients import frozen_statistics, projected_without_activations, push_back
from mirclr.training.optimisers import build_optimiser, restore_state, state_shapes, state_tensors
from mirclr.training.prepared import Prepared
from mirclr.training.processes import gathered
from mirclr.training.transfer import TransferReport

Step = tuple[Tensor, Tensor]


class Contrastive(nn.Module):
    """Embedder and projection heads: spectrograms `(B, F, N)` to projections `(B, P)`, those of the `heads` of single
    attributes beside the shared one's: `(B, (1 + H) P)`."""

    def __init__(self, embedder: Embedder, heads: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.embedder, self.heads = embedder, nn.ModuleDict(heads or {})

    def forward(self, *spectrograms: Tensor) -> Tensor:
        """One `(B, F, N)` or several of different lengths to `(B1 + B2 + ..., (1 + H) P)`."""
        # All embeddings through the head together: its batch norm must not tell whole crops from short ones.
        embedded = torch.cat([self.embedder.features(frames) for frames in spectrograms])
        assert self.embedder.project is not None
        projected: Tensor = self.embedder.project(embedded)
        if not self.heads:
            return projected
        return torch.cat([projected, *(head(embedded) for head in self.heads.values())], dim=1)


def plan_of(config: PretrainConfig) -> dict[str, Any]:
    """The plan of the embedder a configuration asks for (mirclr.models.embedder)."""
    return {
        "sample_rate": config.audio.sample_rate,
        "clip_seconds": config.views.seconds,
        "frontend": {"name": config.frontend.name, **config.frontend.options},
        "compression": {"name": config.compression.name, **config.compression.options},
        "normalise": {"name": config.normalise.name, **config.normalise.options},
        "encoder": {"name": config.encoder.name, **config.encoder.options},
        "projection": {"name": config.projection.name, **config.projection.options},
        "vector": config.vector,
    }


class Learner:
    """Model, EMA, objective, momentum network (where the objective wants a target) and optimiser on one device."""

    def __init__(self, config: PretrainConfig, fabric: Fabric) -> None:
        torch.manual_seed(config.seed)
        embedder = Embedder(plan_of(config))
        own = {name: build_head(config.projection.name, embedder.encoder.dim, **config.projection.options)
               for name in config.views.heads}  # fmt: skip
        self.bare = Contrastive(embedder, own)
        assert embedder.project is not None
        self.projected = embedder.project.dim  # of one space
        self.loss = build_loss(config.loss.name, self.projected, **config.loss.options).to(fabric.device)
        self.config, self.fabric = config, fabric
        self.transferred: TransferReport | None = None
        self.model, self.optimiser = fabric.setup(self.bare, build_optimiser(self._named(), config.optim))
        self.ema = copy.deepcopy(embedder).eval().requires_grad_(False)
        self.target = copy.deepcopy(self.bare).requires_grad_(False) if "target" in self.loss.wants else None
        self.average_all()

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        """Everything that is optimised: the model's parameters and the objective's own."""
        own = [(f"loss.{name}", parameter) for name, parameter in self.loss.named_parameters()]
        return [*self.bare.named_parameters(), *own]

    def average_all(self) -> None:
        """Start the moving averages at the weights as they are now."""
        self.ema.load_state_dict(self.bare.embedder.state_dict())
        if self.target is not None:
            self.target.load_state_dict(self.bare.state_dict())

    def step(self, batches: Sequence[Prepared], rate: float) -> Step:
        """One optimiser step at learning rate `rate` on the mean gradient of `batches`.

        Returns the mean loss and the shared head's projections `(V, B, P)` of the last batch. A gradient that is not
        finite gives a loss of NaN and leaves the weights alone.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        self.loss.train()
        self.optimiser.zero_grad()
        done = [self._backward(batch, len(batches)) for batch in batches]
        loss, projected = torch.stack([each for each, _ in done]).mean(), done[-1][1]
        if not self._gradient_is_finite():  # the weights stay as they were; the caller ends the run
            return torch.tensor(torch.nan), projected
        self.optimiser.step()
        self._average()
        return loss, projected

    def _gradient_is_finite(self) -> bool:
        """Clips the gradient to its limit; whether it was a number."""
        limit = self.config.optim.clip_norm
        parameters = [parameter for _, parameter in self._named()]
        return bool(torch.isfinite(nn.utils.clip_grad_norm_(parameters, limit)))

    def _backward(self, batch: Prepared, count: int) -> Step:
        """Adds a `count`-th of the batch's gradient; its loss and projections.

        All views go through batch norm together, so that its statistics cannot tell the views apart.
        """
        parts = [part.flatten(0, 1) for part in batch.parts]
        at_once = self.config.optim.encode_at_once
        if at_once is None:
            z = self._views(self.model(*parts), batch)
            loss = self._loss(z, batch)
            self.fabric.backward(loss / count)
        else:
            loss, z = self._backward_in_parts(parts, batch, count, at_once)
        return loss.detach(), z[..., : self.projected].detach().cpu()

    def _backward_in_parts(self, parts: list[Tensor], batch: Prepared, count: int, at_once: int) -> Step:
        with frozen_statistics(self.bare):
            kept = [projected_without_activations(self.model, part, at_once) for part in parts]
        leaf = torch.cat([z for z, _ in kept]).float().requires_grad_()
        z = self._views(leaf, batch)
        loss = self._loss(z, batch)
        self.fabric.backward(loss / count)
        assert leaf.grad is not None
        gradients = leaf.grad.split([len(part) for part in parts])
        for part, (_, states), gradient in zip(parts, kept, gradients, strict=True):
            push_back(self.model, part, at_once, states, gradient, self.fabric.backward)
        return loss, z

    def _views(self, projected: Tensor, batch: Prepared) -> Tensor:
        """`((V + L) * B, ...)` to `(V + L, B, ...)` of all processes' items."""
        return gathered(self.fabric, projected.float().unflatten(0, (-1, batch.frames.shape[1])), 1)

    def _loss(self, z: Tensor, batch: Prepared) -> Tensor:
        """The objective in the shared space, or the mean of that and of its form in each attribute's space."""
        if batch.kinds is None:
            return self._shared_loss(z, batch)
        views, heads = len(batch.frames), len(batch.kinds)
        first, *others = z.split(z.shape[-1] // (1 + heads), dim=-1)
        kinds = gathered(self.fabric, batch.kinds, 2)
        # Each space is about whole views that differ in it; the shared one is as it would be without heads.
        shared = self._shared_loss(torch.cat([first[: views - heads], first[views:]]), batch)
        own = [leave_one_out(self.loss, z[:views], k, batch.groups) for z, k in zip(others, kinds, strict=True)]
        return torch.stack([shared, *own]).mean()

    def _shared_loss(self, z: Tensor, batch: Prepared) -> Tensor:
        """The objective with exactly what it wants."""
        wanted: dict[str, Tensor | None] = {"labels": batch.labels, "affinity": batch.affinity}
        if self.target is not None:
            wanted["target"] = self._views(self._targets(batch), batch)
        loss: Tensor = self.loss(z, batch.groups, **{name: wanted[name] for name in self.loss.wants})
        return loss

    @torch.no_grad()
    def _targets(self, batch: Prepared) -> Tensor:
        """Projections by the momentum network, whose batch norm uses the batch's statistics as in BYOL and MoCo."""
        assert self.target is not None
        self.target.train()
        with self.fabric.autocast():
            projected: Tensor = self.target(*(part.flatten(0, 1) for part in batch.parts))
        return projected

    def _average(self) -> None:
        """Move the averaged weights and batch-norm statistics towards the current ones (Polyak averaging)."""
        drift(self.ema, self.bare.embedder, self.config.optim.ema_decay)
        if self.target is not None:
            drift(self.target, self.bare, self.loss.momentum)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a restart needs, named `model.`, `ema.`, `loss.`, `target.` and `optim.<state>.<parameter>`."""
        out = {f"{prefix}.{n}": t for prefix, module in self._modules() for n, t in module.state_dict().items()}
        out |= state_tensors(self._named(), self.optimiser)
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in out.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave. Raises KeyError or RuntimeError when a tensor is missing, extra or misshapen.

        Nothing is changed before everything has been found to fit.
        """
        expected = {f"{prefix}.{n}": t.shape for prefix, m in self._modules() for n, t in m.state_dict().items()}
        check_shapes(expected | state_shapes(self._named(), self.config.optim), tensors)
        for prefix, module in self._modules():
            module.load_state_dict(below(prefix, tensors))
        restore_state(self._named(), self.optimiser, tensors)

    def _modules(self) -> list[tuple[str, nn.Module]]:
        modules = [("model", self.bare), ("ema", self.ema), ("loss", self.loss)]
        return modules if self.target is None else [*modules, ("target", self.target)]


@torch.no_grad()
def drift(mean: nn.Module, now: nn.Module, decay: float) -> None:
    """Every float of `mean` towards that of `now` by `1 - decay`; counters are copied."""
    for old, new in zip(mean.state_dict().values(), now.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)
