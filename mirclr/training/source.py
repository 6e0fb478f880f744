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
        rate = config.audio.sample_rate
        self.wave = build_chain([part.model_dump() for part in config.augment.wave], "wave", rate)
        self.spec = build_chain([part.model_dump() for part in config.augment.spec], "spec", rate)

    def plans(self, epoch: int, batch: int) -> Iterator[tuple[int, int, Batch]]:
        """Epoch, batch number and planned crops, without end, from a position on."""
        while True:
            for index, planned in enumerate(self.sampler.epoch(epoch, first_batch=batch), start=batch):
                yield epoch, index, planned
            epoch, batch = epoch + 1, 0

    def load(self, epoch: int, index: int, planned: Batch) -> Loaded:
        """Read the crops and draw the effects' parameters of one batch."""
        store, clip = self.material.store, self.material.clip
        places = zip(planned.track.T.ravel().tolist(), planned.start.T.ravel().tolist(), strict=True)
        crops = np.stack([read_crop(store, self.ids[track], start, clip) for track, start in places])
        # Named by the item's own track and visit: a partner's track may serve two items, and must not draw the same.
        items = list(zip(planned.track[:, 0].tolist(), planned.visit.tolist(), strict=True))
        who = [(epoch, track, visit, view) for view in range(planned.track.shape[1]) for track, visit in items]
        return Loaded(
            crops, self._draw(self.wave, who, "wave"), self._draw(self.spec, who, "spec"), planned, epoch, index
        )

    def _draw(self, chain: Chain, who: list[tuple[int, int, int, int]], domain: str) -> Drawn:
        """One generator per crop and domain; an empty chain needs none."""
        return chain.draw([generator(self.config.seed, *place, domain) for place in who] if chain.steps else [])

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
