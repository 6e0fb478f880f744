"""The trained thing: embedder and projection head, their moving average, the optimiser, and one step of learning."""

from __future__ import annotations

import copy
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mirclr.config import PretrainConfig
from mirclr.losses.table import build_loss
from mirclr.models.embedder import Embedder
from mirclr.models.table import build_head
from mirclr.training.schedules import decay_groups


class Contrastive(nn.Module):
    """Embedder and projection head: log-mel `(B, F, N)` to projections `(B, P)`."""

    def __init__(self, embedder: Embedder, head: nn.Module) -> None:
        super().__init__()
        self.embedder, self.head = embedder, head

    def forward(self, spectrogram: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, P)`."""
        projected: Tensor = self.head(self.embedder.from_spectrogram(spectrogram))
        return projected


def plan_of(config: PretrainConfig) -> dict[str, Any]:
    """The plan of the embedder a configuration asks for (mirclr.models.embedder)."""
    return {
        "sample_rate": config.audio.sample_rate,
        "clip_seconds": config.views.seconds,
        "frontend": {"name": config.frontend.name, **config.frontend.options},
        "encoder": {"name": config.encoder.name, **config.encoder.options},
    }


class Learner:
    """Model, EMA and optimiser on one device. `step` learns from one batch of views."""

    def __init__(self, config: PretrainConfig, fabric: Fabric) -> None:
        torch.manual_seed(config.seed)
        embedder = Embedder(plan_of(config))
        head = build_head(config.projection.name, embedder.dim, **config.projection.options)
        self.bare = Contrastive(embedder, head)
        self.loss = build_loss(config.loss.name, **config.loss.options).to(fabric.device)
        self.config, self.fabric = config, fabric
        groups = decay_groups(list(self.bare.named_parameters()), config.optim.weight_decay)
        optimiser = torch.optim.AdamW(groups, lr=config.optim.learning_rate)
        self.model, self.optimiser = fabric.setup(self.bare, optimiser)
        self.ema = copy.deepcopy(embedder).eval().requires_grad_(False)
        self.average_all()

    def average_all(self) -> None:
        """Start the moving average at the weights as they are now."""
        self.ema.load_state_dict(self.bare.embedder.state_dict())

    def step(self, views: Tensor, groups: Tensor | None, rate: float) -> tuple[Tensor, Tensor]:
        """One optimiser step on `(V, B, F, N)` views at learning rate `rate`: the loss and the projections `(V, B, P)`.

        A gradient that is not finite gives a loss of NaN and leaves the weights alone.

        All views go through batch norm together, so that its statistics cannot tell the views apart.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        projected = self.model(views.flatten(0, 1)).float()
        projected = projected.unflatten(0, views.shape[:2])
        loss: Tensor = self.loss(projected, groups)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        limit = self.config.optim.clip_norm
        norm = self.fabric.clip_gradients(self.model, self.optimiser, max_norm=limit, error_if_nonfinite=False)
        if norm is None or not torch.isfinite(norm):  # the weights stay as they were; the caller ends the run
            return torch.tensor(torch.nan), projected.detach().cpu()
        self.optimiser.step()
        self._average()
        return loss.detach(), projected.detach().cpu()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights and batch-norm statistics towards the current ones (Polyak averaging)."""
        pairs = zip(self.ema.state_dict().values(), self.bare.embedder.state_dict().values(), strict=True)
        for mean, now in pairs:
            if mean.is_floating_point():
                mean.lerp_(now, 1 - self.config.optim.ema_decay)
            else:
                mean.copy_(now)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a restart needs, under flat names: `model.`, `ema.` and `optim.<state>.<parameter>`."""
        out = {f"model.{n}": t for n, t in self.bare.state_dict().items()}
        out |= {f"ema.{n}": t for n, t in self.ema.state_dict().items()}
        for name, parameter in self.bare.named_parameters():
            state = self.optimiser.state.get(parameter, {})
            out |= {f"optim.{key}.{name}": torch.as_tensor(value) for key, value in state.items()}
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in out.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave. Raises KeyError or RuntimeError when a tensor is missing, extra or misshapen.

        Nothing is changed before everything has been found to fit.
        """
        self._check(tensors)
        self.bare.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        self.ema.load_state_dict({n[4:]: t for n, t in tensors.items() if n.startswith("ema.")})
        for name, parameter in self.bare.named_parameters():
            moments = {k: tensors[f"optim.{k}.{name}"] for k in ("exp_avg", "exp_avg_sq", "step")}
            # empty_like keeps channels_last: the moments must be laid out as their weights were, bit for bit.
            self.optimiser.state[parameter] = {
                k: t if k == "step" else torch.empty_like(parameter).copy_(t) for k, t in moments.items()
            }

    def _check(self, tensors: dict[str, Tensor]) -> None:
        expected = {f"model.{n}": t.shape for n, t in self.bare.state_dict().items()}
        expected |= {f"ema.{n}": t.shape for n, t in self.ema.state_dict().items()}
        for name, parameter in self.bare.named_parameters():
            expected |= {f"optim.exp_avg.{name}": parameter.shape, f"optim.exp_avg_sq.{name}": parameter.shape}
            expected |= {f"optim.step.{name}": torch.Size([])}
        wrong = sorted(expected.keys() ^ tensors.keys())
        wrong += [n for n in expected.keys() & tensors.keys() if expected[n] != tensors[n].shape]
        if wrong:
            raise KeyError(f"{len(wrong)} tensors differ from the model: {', '.join(wrong[:3])}, ...")
