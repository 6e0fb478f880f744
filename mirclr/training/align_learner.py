"""What an alignment trains: the joint space, its moving average, the optimiser, and one step of learning."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mirclr.config import OptimConfig
from mirclr.losses.gmc import GMC
from mirclr.models.joint import JointSpace
from mirclr.training.align_batches import Views
from mirclr.training.align_config import AlignConfig
from mirclr.training.checkpoint import below, check_shapes
from mirclr.training.learner import drift
from mirclr.training.optimisers import build_optimiser, restore_state, state_shapes, state_tensors


def plan_of(config: AlignConfig, sizes: Mapping[str, int], has_text: bool) -> dict[str, Any]:
    """The plan of a space over modalities whose vectors have `sizes`, and text where there is any."""
    text = config.text.model_dump(include={"buckets", "width", "shortest", "longest"}) if has_text else None
    return {"modalities": dict(sizes), "text": text, **config.space.model_dump()}


class Aligner:
    """Space, moving average (`ema`, what is judged and exported), objective and optimiser on one device."""

    def __init__(self, config: AlignConfig, sizes: Mapping[str, int], has_text: bool, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.space = JointSpace(plan_of(config, sizes, has_text)).to(device)
        self.ema = copy.deepcopy(self.space).eval().requires_grad_(False)
        self.loss = GMC(**config.loss.model_dump())
        optim = config.optim
        self._optim = OptimConfig(learning_rate=optim.learning_rate, weight_decay=optim.weight_decay)  # its AdamW
        self.optimiser = build_optimiser(self._named(), self._optim)

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.space.named_parameters())

    def average_all(self) -> None:
        """Start the moving average at the weights as they are now."""
        self.ema.load_state_dict(self.space.state_dict())

    def step(self, views: Views, rate: float, done: int) -> float:
        """Step number `done` (0 is the first) at learning rate `rate`: its loss.

        A gradient that is not finite gives a loss of NaN and leaves the weights alone.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.space.train()
        views = views.to(self.device)
        loss = self.loss(*self.space(views.given, views.present), views.groups, views.present)
        self.optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.space.parameters(), self.config.optim.clip_norm)
        if not torch.isfinite(norm):
            return float("nan")
        self.optimiser.step()
        # Polyak averaging whose memory grows with the run: short runs are not held back by where they began.
        drift(self.ema, self.space, min(self.config.optim.ema_decay, (1 + done) / (10 + done)))
        return float(loss.detach())

    @torch.inference_mode()
    def projected(self, views: Views) -> dict[str, Tensor]:
        """Per modality the projections `(B, dim)` by the averaged space, on the CPU."""
        views = views.to(self.device)
        return {name: self.ema.one(name, given).cpu() for name, given in views.given.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything a restart needs, under flat names: `model.`, `ema.`, `optim.<state>.<parameter>`."""
        out = {f"model.{n}": t for n, t in self.space.state_dict().items()}
        out |= {f"ema.{n}": t for n, t in self.ema.state_dict().items()}
        out |= state_tensors(self._named(), self.optimiser)
        return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in out.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave. Raises KeyError or RuntimeError when a tensor is missing, extra or misshapen.

        Nothing is changed before everything has been found to fit.
        """
        parts = {"model": self.space.state_dict(), "ema": self.ema.state_dict()}
        expected = {f"{part}.{n}": t.shape for part, state in parts.items() for n, t in state.items()}
        expected |= state_shapes(self._named(), self._optim)
        check_shapes(expected, tensors)
        self.space.load_state_dict(below("model", tensors))
        self.ema.load_state_dict(below("ema", tensors))
        restore_state(self._named(), self.optimiser, tensors)
