"""Planned crops to tensors: reads and draws in worker threads, effects and frontend on the device.

What a batch holds is a function of (seed, epoch, batch) alone, so workers change when it is ready and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.chain import Chain, Drawn
from mirclr.augment.table import build_chain
from mirclr.config import PretrainConfig
from mirclr.errors import UsageError
from mirclr.seeds import generator
from mirclr.training.affinity import affinity_of, album_keys
from mirclr.training.heads import kinds_of, with_shared
from mirclr.training.learner import Learner
from mirclr.training.material import Material
from mirclr.training.prepared import Prepared
from mirclr.training.processes import ALONE, Seat
from mirclr.training.views import Batch, Sampler, read_crop

if TYPE_CHECKING:
    from mirclr.models.frontend_base import Frontend


@dataclass(frozen=True)
class Loaded:
    """One batch off the disk: crops `(V * B, ...)` as stored, view-major; what was drawn for each; `patches` `(L, B)`,
    places of local views in 0..1; what was `planned` for this process and for all (`whole`); where it stands."""

    crops: np.ndarray
    wave: Drawn
    spec: Drawn
    patches: np.ndarray
    planned: Batch
    whole: Batch
    epoch: int
    index: int


class Source:
    """Endless batches of a sampler from any position, and their way to log-mel views on the device."""

    def __init__(self, material: Material, sampler: Sampler, config: PretrainConfig, place: Seat = ALONE) -> None:
        self.material, self.sampler, self.config, self.place = material, sampler, config, place
        if sampler.batch < 2 * place.size:
            raise UsageError(f"a batch of {sampler.batch} tracks is too small for {place.size} processes")
        self.ids = list(material.tracks["id"])
        rate = config.audio.sample_rate
        self.wave = build_chain([part.model_dump() for part in config.augment.wave], "wave", rate)
        self.spec = build_chain([part.model_dump() for part in config.augment.spec], "spec", rate)
        self._albums = album_keys(material.tracks)

    def plans(self, epoch: int, batch: int) -> Iterator[tuple[int, int, Batch]]:
        """Epoch, batch number and planned crops, without end, from a position on."""
        while True:
            for index, planned in enumerate(self.sampler.epoch(epoch, first_batch=batch), start=batch):
                yield epoch, index, planned
            epoch, batch = epoch + 1, 0

    def crops(self, planned: Batch) -> np.ndarray:
        """`(V * B, ...)` planned crops as stored, view-major."""
        store, clip = self.material.store, self.material.clip
        places = zip(planned.track.T.ravel().tolist(), planned.start.T.ravel().tolist(), strict=True)
        return np.stack([read_crop(store, self.ids[track], start, clip) for track, start in places])

    def load(self, epoch: int, index: int, whole: Batch) -> Loaded:
        """Read the crops and draw the effects' parameters of this process's part of one batch."""
        planned = whole.part(self.place.rank, self.place.size)
        crops = self.crops(planned)
        # Named by the item's own track and visit: a partner's track may serve two items, and must not draw the same.
        items = list(zip(planned.track[:, 0].tolist(), planned.visit.tolist(), strict=True))
        who = [(epoch, track, visit, view) for view in range(planned.track.shape[1]) for track, visit in items]
        heads, size = self.config.views.heads, len(planned)
        wave = with_shared(self.wave, self._draw(self.wave, who, "wave"), heads, size)
        spec = with_shared(self.spec, self._draw(self.spec, who, "spec"), heads, size)
        return Loaded(crops, wave, spec, self._patches(who, len(planned)), planned, whole, epoch, index)

    def _patches(self, who: list[tuple[int, int, int, int]], items: int) -> np.ndarray:
        """`(L, B)` places of the bands that local views see; drawn only where they do not see all."""
        views = self.config.views
        local = who[views.count * items : (views.count + views.local) * items]
        places = local if views.local_bands < 1 else []
        drawn = [generator(self.config.seed, *place, "patch").random() for place in places]
        return np.array(drawn, np.float32).reshape(-1, items)

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

    def views(self, loaded: Loaded, frontend: Frontend, device: torch.device) -> tuple[Tensor, Tensor]:
        """`(V + L, B, F, N)` spectrograms with their effects, and the groups `(B,)` of all items, on the device."""
        crops = torch.from_numpy(loaded.crops).to(device)
        if self.material.level == "samples":
            samples = crops.float() / 32768
            spectrogram = frontend(self.wave.apply(samples, loaded.wave) if self.wave.steps else samples)
        else:
            spectrogram = crops.float().transpose(1, 2)
        changed = self.spec.apply(spectrogram, loaded.spec) if self.spec.steps else spectrogram
        views = loaded.planned.track.shape[1]
        return changed.unflatten(0, (views, -1)), torch.from_numpy(loaded.whole.groups).to(device)

    def prepared(self, loaded: Loaded, learner: Learner) -> Prepared:
        """A batch on the learner's device: whole and local views, and whatever its objective wants."""
        frontend, device = learner.bare.embedder.frontend, learner.fabric.device
        every, groups = self.views(loaded, frontend, device)
        frames, local = self._parted(every, loaded, frontend)
        wants = learner.loss.wants
        labels = self._labels(loaded, device) if "labels" in wants else None
        affinity = self._affinity(loaded.whole, device) if "affinity" in wants else None
        kinds = self._kinds(loaded, device) if self.config.views.heads else None
        return Prepared(frames, groups, local, labels, affinity, kinds)

    def _parted(self, every: Tensor, loaded: Loaded, frontend: Frontend) -> tuple[Tensor, Tensor | None]:
        """Whole views, and local ones cut to their length and, with fewer than all bands, to their patch."""
        views = self.config.views
        if not views.local:
            return every, None
        whole, local, own = every.split([views.count, views.local, len(views.heads)])
        share = views.local_seconds / views.seconds
        local = local[..., : max(1, round(share * every.shape[3]))]
        if views.local_bands < 1:
            local = banded(local, torch.from_numpy(loaded.patches).to(local), views.local_bands)
        return (torch.cat([whole, own]) if len(own) else whole), local

    def _labels(self, loaded: Loaded, device: torch.device) -> Tensor:
        """`(V + L, B, C)`: each view has the row of the track it was cut from, mixed as its effects mixed it."""
        assert self.material.labels is not None
        rows = torch.from_numpy(self.material.labels)[torch.from_numpy(loaded.planned.track.T)]
        weights = [chain.label_weights(drawn) for chain, drawn in self._drawn(loaded) if chain.steps]
        for mixing in weights:
            rows = mixed_rows(rows.flatten(0, 1), mixing).view_as(rows)
        return rows.to(device)

    def _drawn(self, loaded: Loaded) -> list[tuple[Chain, Drawn]]:
        return [(self.wave, loaded.wave), (self.spec, loaded.spec)]

    def _kinds(self, loaded: Loaded, device: torch.device) -> Tensor:
        """`(H, V, B)`: which of the whole views of an item are alike in the attribute of each head."""
        views, planned = self.config.views, loaded.planned.track.T
        rows = np.arange(planned.size).reshape(planned.shape)
        whole = np.delete(np.arange(len(planned)), np.arange(views.count, views.count + views.local))
        return torch.from_numpy(kinds_of(views.heads, self._drawn(loaded), rows[whole], planned[whole])).to(device)

    def _affinity(self, whole: Batch, device: torch.device) -> Tensor:
        views, track = self.config.views, whole.track[:, 0]
        artists, albums = self.sampler.artists[track], self._albums[track]
        return torch.from_numpy(affinity_of(artists, albums, views.same_artist, views.same_album)).to(device)


def banded(frames: Tensor, place: Tensor, share: float) -> Tensor:
    """`(L, B, F, N)` frames of which only a window of `share` of the bands is kept, at `place` (L, B) in 0..1 of where
    it can lie; the rest is the view's mean, the least surprising value. Bands stay where they are: bass is bass."""
    bands = frames.shape[2]
    width = max(1, round(share * bands))
    first = (place * (bands - width + 1)).floor()[..., None]
    index = torch.arange(bands, device=frames.device)
    seen = (index >= first) & (index < first + width)
    return torch.where(seen[..., None], frames, frames.mean((2, 3), keepdim=True))


def mixed_rows(rows: Tensor, mixing: Tensor) -> Tensor:
    """`(N, C)` labels by `(N, N)` shares. A mix of which any part is unlabelled is unlabelled (NaN)."""
    unknown = rows.isnan().any(1)
    mixed = mixing @ rows.nan_to_num()
    mixed[(mixing[:, unknown] > 0).any(1)] = torch.nan
    return mixed
