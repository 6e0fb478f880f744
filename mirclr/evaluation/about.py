"""What a figure is worth nothing without: on which tracks and split, at what cost, with which versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mirclr import __version__
from mirclr.datasets.collection import Collection
from mirclr.evaluation.crossfit import Parts, Problem
from mirclr.evaluation.subject import Subject
from mirclr.features.descriptors import Descriptors
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics

# What a figure can depend on.
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "librosa", "soxr")


@dataclass(frozen=True)
class About:
    """`split`: the rule's name; `digest`: of the names of its tracks, part by part; `overlap`: artists that some split
    has in its test part and outside it; `licence` and `citation` of the collection; `cautions`: why a score is no
    benchmark; `seconds` the whole report took; `speeds` times real time by row; `versions` by name."""

    split: str = ""
    digest: str = ""
    overlap: int = 0
    licence: str = ""
    citation: str = ""
    cautions: tuple[str, ...] = ()
    seconds: float = 0.0
    speeds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def about(collection: Collection, subject: Subject, seconds: float) -> About:
    """The facts of a report that took `seconds`, on the tracks that everybody read."""
    problem, unread = subject.problem, len(subject.quarantine)
    left = (f"partial collection: {unread} of {len(collection.tracks)} files could not be read",) if unread else ()
    return About(
        split=collection.splits[0].name.partition("/")[0],
        digest=split_digest(problem.splits, subject.tracks["id"].tolist()),
        overlap=artist_overlap(problem),
        licence=collection.licence,
        citation=collection.citation,
        cautions=(*collection.cautions, *left),
        seconds=seconds,
        speeds=subject.speeds,
        versions=versions(),
    )


def split_digest(splits: Sequence[Parts], ids: Sequence[str]) -> str:
    """16 hex digits that differ whenever a track stands in another part of another split: equal on every machine and
    in any order of the table."""
    lines = [
        f"{split.name}\t{part}\t{ids[row]}"
        for split in splits
        for part in ("train", "valid", "test")
        for row in getattr(split, part)
    ]
    text = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def artist_overlap(problem: Problem) -> int:
    """How many artists some split tests although tracks of theirs are in its training or validation part."""
    both = [
        np.intersect1d(problem.groups[split.test], problem.groups[np.concatenate([split.train, split.valid])])
        for split in problem.splits
    ]
    return len(np.unique(np.concatenate(both)))


def parameters_of(*extractors: Extractor | None) -> int | None:
    """How many numbers were learned or drawn, in all: 0 for handcrafted vectors, None where nobody can say."""
    counts = [_parameters(extractor) for extractor in extractors]
    return None if None in counts else sum(count or 0 for count in counts)


def _parameters(extractor: Extractor | None) -> int | None:
    if isinstance(extractor, MfccStatistics | Descriptors):
        return 0
    embedder = getattr(extractor, "embedder", None)
    return None if embedder is None else sum(p.numel() for p in embedder.parameters())


def versions() -> dict[str, str]:
    """Of mirclr, Python and the libraries that a figure can depend on."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"mirclr": __version__, "python": platform.python_version(), **found, "machine": platform.machine()}
