"""What a step of an alignment sees: tracks, one segment of each, a text out of some of its fields.

All of it is a function of (seed, step), so that a resumed run sees what it would have seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mirclr.datasets.texts import Fields
from mirclr.models.joint import TEXT, Given
from mirclr.models.text import HashedText, words_of
from mirclr.seeds import generator
from mirclr.training.align_audio import Segments
from mirclr.training.align_tracks import Known

AUDIO = "audio"
DROP_CLASSES = 4096  # words that share a class are dropped together; far more than the words of a batch
Words = tuple[str, ...]


@dataclass(frozen=True)
class Views:
    """Items as the space takes them: per modality what is `given`, which item has which (`present`, `(M, B)`), and
    `groups` `(B,)`: items that are told the same text this time are not each other's negatives."""

    given: dict[str, Given]
    present: Tensor
    groups: Tensor

    def to(self, device: torch.device) -> Views:
        """The same on `device`."""
        moved = {name: part.to(device) for name, part in self.given.items()}
        return Views(moved, self.present.to(device), self.groups.to(device))


class Texts:
    """The texts of tracks as folded words, by field and way to say it."""

    def __init__(self, texts: Sequence[Fields], fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        self.words = [
            {name: [tuple(words_of(way)) for way in ways] for name, ways in track.items()} for track in texts
        ]  # fmt: skip

    def all(self, rows: np.ndarray, fields: Sequence[str] | None = None) -> list[Words]:
        """Everything that `fields` (None: all) say of tracks `(B,)`, in a fixed order."""
        wanted = self.fields if fields is None else fields
        return [
            tuple(word for name in wanted for way in self.words[row].get(name, ()) for word in way) for row in rows
        ]  # fmt: skip

    def drawn(self, rows: np.ndarray, rng: np.random.Generator, drop: float) -> list[Words]:
        """A text of some fields for tracks `(B,)`; () for a track that has none of them.

        The number of fields is drawn evenly, then the fields, so that every single one often stands alone; the same
        for all tracks, so that equal texts are alike in what they leave out. So too are words dropped, each with
        probability `drop`; a text that would lose all its words keeps them.
        """
        count = int(rng.integers(1, len(self.fields) + 1))
        chosen = [self.fields[i] for i in sorted(rng.permutation(len(self.fields))[:count])]
        dropped = rng.random(DROP_CLASSES) < drop
        return [_without(self._said(row, chosen, rng), dropped) for row in rows]

    def _said(self, row: int, chosen: Sequence[str], rng: np.random.Generator) -> Words:
        ways = [self.words[row][name] for name in chosen if name in self.words[row]]
        return tuple(word for several in ways for word in several[int(rng.integers(len(several)))])


def _without(words: Words, dropped: np.ndarray) -> Words:
    kept = tuple(word for word in words if not dropped[zlib.crc32(word.encode()) % DROP_CLASSES])
    return kept or words


class AlignSource:
    """Batches of tracks to learn from, `rows` of `known`. Every track has a turn an epoch; the last batch is filled up
    from its beginning."""

    def __init__(self, known: Known, segments: Segments, rows: np.ndarray, seed: int, batch: int) -> None:
        self.known, self.rows, self.seed = known, rows, seed
        self.batch = min(batch, len(rows))
        self.segments = [segments[sound] for sound in known.tracks["audio_id"]]
        self.texts = Texts(known.texts, known.keep(rows).fields)
        self.names = (AUDIO, *known.vectors, *([TEXT] if self.texts.fields else []))

    @property
    def batches_per_epoch(self) -> int:
        """As many as it takes for every track to have its turn."""
        return -(-len(self.rows) // self.batch)

    def step(self, step: int, hashed: HashedText | None, drop: float) -> Views:
        """The batch of a step, drawn."""
        epoch, number = divmod(step, self.batches_per_epoch)
        order = generator(self.seed, "align epoch", epoch).permutation(self.rows)
        rows = np.resize(order, self.batches_per_epoch * self.batch)[number * self.batch :][: self.batch]
        rng = generator(self.seed, "align step", step)
        audio = np.stack([self.segments[row][int(rng.integers(len(self.segments[row])))] for row in rows])
        words = self.texts.drawn(rows, rng, drop) if hashed is not None else None
        return self._views(rows, audio, words, hashed)

    def whole(self, rows: np.ndarray, hashed: HashedText | None) -> Views:
        """Tracks `(B,)` as they are searched: the mean of their segments, all of their text."""
        audio = np.stack([self.segments[row].mean(axis=0, dtype=np.float64) for row in rows]).astype(np.float32)
        return self._views(rows, audio, self.texts.all(rows) if hashed is not None else None, hashed)

    def _views(
        self, rows: np.ndarray, audio: np.ndarray, words: list[Words] | None, hashed: HashedText | None
    ) -> Views:
        given: dict[str, Given] = {AUDIO: torch.from_numpy(audio)}
        present = [np.ones(len(rows), bool)]
        for name, table in self.known.vectors.items():
            present.append(~np.isnan(table[rows]).any(axis=1))
            given[name] = torch.from_numpy(np.nan_to_num(table[rows]))
        if words is not None and hashed is not None:
            present.append(np.array([bool(text) for text in words]))
            given[TEXT] = hashed.bags_of_words(words)
        return Views(given, torch.from_numpy(np.stack(present)), torch.from_numpy(same_text(words, len(rows))))


def same_text(words: list[Words] | None, count: int) -> np.ndarray:
    """`(B,)` int64: equal for texts of the same words, whatever their order; -1 without a text."""
    number: dict[Words, int] = {}
    keys = [tuple(sorted(text)) for text in words] if words is not None else [()] * count
    return np.array([number.setdefault(key, len(number)) if key else -1 for key in keys], np.int64)
