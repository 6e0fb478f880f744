"""Planned crops to tensors: reads and draws in worker threads, effects and frontend on the device.

What a batch holds is a function of (seed, epoch, batch) alone, so workers change when it is ready and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.chain import Chain, Drawn
from mirclr.augment.table import build_chain
from mirclr.config import PretrainConfig
from mirclr.models.frontend import LogMel
from mirclr.seeds import generator
from mirclr.training.material import Material
from mirclr.training.views import Batch, Sampler, read_crop


@dataclass(frozen=True)
class Loaded:
    """One batch off the disk: crops `(V * B, ...)` as stored, view-major; what was drawn for each; where it stands."""

    crops: np.ndarray
    wave: Drawn
    spec: Drawn
    planned: Batch
    epoch: int
    index: int


class Source:
    """Endless batches of a sampler from any position, and their way to log-mel views on the device."""

    def __init__(self, material: Material, sampler: Sampler, config: PretrainConfig) -> None:
        self.material, self.sampler, self.config = material, sampler, config
        self.ids = list(material.tracks["id"])
        self.wave = build_chain([p.model_dump() for p in config.augment.wave], "wave")
        self.spec = build_chain([p.model_dump() for p in config.augment.spec], "spec")

    def plans(self, epoch: int, batch: int) -> Iterator[tuple[int, int, Batch]]:
        """Epoch, batch number and planned crops, without end, from a position on."""
        while True:
            for index, planned in enumerate(self.sampler.epoch(epoch, first_batch=batch), start=batch):
                yield epoch, index, planned
            epoch, batch = epoch + 1, 0

    def load(self, epoch: int, index: int, planned: Batch) -> Loaded:
        """Read the crops and draw the effects' parameters of one batch."""
        places = [(t, v, s) for v in range(planned.track.shape[1]) for t, s in self._view(planned, v)]
        crops = np.stack([read_crop(self.material.store, self.ids[t], s, self.material.clip) for t, _, s in places])
        # One generator per crop and domain, named by the crop's anchor: a partner's track may serve two anchors.
        anchors = [(v, self.ids[a]) for v in range(planned.track.shape[1]) for a in planned.track[:, 0]]
        wave = self.wave.draw([generator(self.config.seed, epoch, i, v, "wave") for v, i in anchors if self.wave.steps])
        spec = self.spec.draw([generator(self.config.seed, epoch, i, v, "spec") for v, i in anchors if self.spec.steps])
        return Loaded(crops, wave, spec, planned, epoch, index)

    @staticmethod
    def _view(planned: Batch, view: int) -> Iterator[tuple[int, int]]:
        return zip(planned.track[:, view].tolist(), planned.start[:, view].tolist(), strict=True)

    def batches(self, epoch: int, batch: int, workers: int) -> Iterator[Loaded]:
        """Loaded batches from a position on; `workers` threads read ahead, 0 reads when asked."""
        plans = self.plans(epoch, batch)
        if workers == 0:
            yield from (self.load(*plan) for plan in plans)
            return
        with ThreadPoolExecutor(workers) as pool:
            queue: deque[Future[Loaded]] = deque(pool.submit(self.load, *next(plans)) for _ in range(workers + 1))
            while True:
                ready = queue.popleft().result()
                queue.append(pool.submit(self.load, *next(plans)))
                yield ready

    def views(self, loaded: Loaded, frontend: LogMel, device: torch.device) -> tuple[Tensor, Tensor]:
        """`(V, B, F, N)` log-mel views with their effects, and the groups `(B,)`, on the device."""
        crops = torch.from_numpy(loaded.crops).to(device)
        if self.material.level == "samples":
            samples = crops.float() / 32768
            spectrogram = frontend(self.wave.apply(samples, loaded.wave) if self.wave.steps else samples)
        else:
            spectrogram = crops.float().transpose(1, 2)
        changed = self.spec.apply(spectrogram, loaded.spec) if self.spec.steps else spectrogram
        views = loaded.planned.track.shape[1]
        return changed.unflatten(0, (views, -1)), torch.from_numpy(loaded.planned.groups).to(device)
