"""The tracks to align and what is known of each beside its sound: texts, and vectors of other modalities."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.scan import scan, scan_files
from mirclr.datasets.sources import TABLE_SUFFIXES
from mirclr.datasets.texts import FIELDS, Fields, merged_fields, read_texts, tag_fields
from mirclr.errors import DatasetError, UsageError
from mirclr.features.vector_file import read_vectors
from mirclr.reports import Work
from mirclr.training.align_config import AlignConfig
from mirclr.training.artists import artist_name

FEWEST = 2
REMEDY = (
    "tag the files (artist, title, album, genre, year), or give your own texts with --texts FILE.csv "
    "(columns path,text), or another modality with --vectors NAME=FILE"
)


@dataclass(frozen=True)
class Known:
    """Tracks of which something is known beside their sound, one row a sound.

    `tracks`: the track table; `texts`: the fields of each; `vectors`: per modality `(n, D)` float32, a row of NaN where
    there is none; `notes`: what was passed over, in words.
    """

    tracks: pd.DataFrame
    texts: tuple[Fields, ...]
    vectors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()

    def keep(self, wanted: np.ndarray) -> Known:
        """The rows where `wanted` is true, or those it numbers."""
        rows = np.arange(len(self.tracks))[wanted]
        vectors = {name: table[rows] for name, table in self.vectors.items()}
        texts = tuple(self.texts[row] for row in rows)
        return Known(self.tracks.iloc[rows].reset_index(drop=True), texts, vectors, self.notes)

    @property
    def has_text(self) -> np.ndarray:
        """`(n,)` bool: which tracks have a text."""
        return np.array([bool(fields) for fields in self.texts], bool)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that any track has."""
        return tuple(name for name in FIELDS if any(name in fields for fields in self.texts))

    @property
    def digest(self) -> str:
        """What a checkpoint is bound to: the sounds and all that is known of them."""
        digest = hashlib.blake2b("\n".join(self.tracks["audio_id"]).encode(), digest_size=16)
        digest.update(json.dumps([sorted(fields.items()) for fields in self.texts]).encode("utf-8", "surrogatepass"))
        for name, table in sorted(self.vectors.items()):
            digest.update(name.encode() + np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Listed:
    """What was given: the scanned `tracks`, the fields that a table gave (by real path), what could not be used."""

    tracks: pd.DataFrame
    given: dict[str, Fields]
    quarantine: pd.DataFrame


def list_tracks(sources: Sequence[Path]) -> Work[Listed]:
    """Scan folders and files of music, and the files that tables (.csv, .tsv: `datasets.texts.read_texts`) write about.

    What a table says of a field takes the place of the file's tag. Raises UsageError where a source does not exist,
    DatasetError as `read_texts`.
    """
    tables = [path for path in sources if path.suffix.lower() in TABLE_SUFFIXES]
    folders = [path for path in sources if path not in tables]
    given = {place: fields for table in tables for place, fields in read_texts(table).items()}
    found = [(yield from scan(folders))] if folders else []
    if given:
        found.append((yield from scan_files([Path(place) for place in given])))
    tracks = pd.concat([part.tracks for part in found], ignore_index=True)
    return Listed(tracks, given, pd.concat([part.quarantine for part in found], ignore_index=True))


def known_of(listed: Listed, config: AlignConfig) -> Known:
    """Join the tracks with their texts and vectors; tracks of which nothing else is known are left out, and counted.

    Raises DatasetError or UsageError when a file names none of the tracks, when fewer than two tracks are left, or when
    all that is left is the same.
    """
    own = read_texts(config.texts) if config.texts is not None else {}
    places = [os.path.realpath(path) for path in listed.tracks["path"]]
    if own and not own.keys() & set(places):
        raise UsageError(_strangers(config.texts, len(own), len(places)))
    notes = _passed_over(own, places, config)
    rows = zip(places, listed.tracks.to_dict("records"), strict=True)
    texts = [_fields_of(place, row, listed.given, own, config.text.fields) for place, row in rows]
    vectors = {name: _matched(file, places) for name, file in config.vectors.items()}
    known = _one_a_sound(Known(listed.tracks, tuple(texts), vectors, notes))
    return _with_partner(known)


def _strangers(file: Path | None, count: int, tracks: int) -> str:
    return f"{file}: none of its {count} files is among the {tracks} tracks; paths are seen from the table's own folder"


def _passed_over(own: dict[str, Fields], places: list[str], config: AlignConfig) -> tuple[str, ...]:
    lost = len(own.keys() - set(places))
    return (f"{config.texts}: {lost} of its {len(own)} files are not among the tracks",) if lost else ()


def _fields_of(
    place: str, row: Mapping[Any, Any], given: dict[str, Fields], own: dict[str, Fields], wanted: Sequence[str]
) -> Fields:
    """The tags of a file, over them what its table says, and the user's own texts beside both."""
    fields = merged_fields([tag_fields(row) | given.get(place, {}), own.get(place, {})])
    if artist_name(fields.get("artist", ("",))[0]) is None:  # 'Various Artists' tells nobody anything
        fields.pop("artist", None)
    return {name: fields[name] for name in wanted if name in fields}


def _matched(file: Path, places: list[str]) -> np.ndarray:
    """The vectors of a file in the order of `places`; NaN where there is none."""
    names, rows = read_vectors(file)
    by_place = {os.path.realpath(name): row for name, row in zip(names, rows, strict=True)}
    if not by_place.keys() & set(places):
        raise UsageError(_strangers(file, len(names), len(places)).replace("the table's own", "the current"))
    nothing = np.full(rows.shape[1], np.nan, np.float32)
    return np.stack([by_place.get(place, nothing) for place in places])


def _one_a_sound(known: Known) -> Known:
    """Copies of a sound as one row: the first path, all texts, the first vector there is."""
    by_sound: dict[str, list[int]] = {}
    for row, sound in enumerate(known.tracks["audio_id"]):
        by_sound.setdefault(sound, []).append(row)
    copies = list(by_sound.values())
    texts = tuple(merged_fields(known.texts[row] for row in rows) for rows in copies)
    vectors = {}
    for name, table in known.vectors.items():
        there = ~np.isnan(table[:, 0])
        vectors[name] = table[[next((row for row in rows if there[row]), rows[0]) for rows in copies]]
    first = [rows[0] for rows in copies]
    return Known(known.tracks.iloc[first].reset_index(drop=True), texts, vectors, known.notes)


def _with_partner(known: Known) -> Known:
    has = known.has_text
    partner = has | np.any([~np.isnan(table[:, 0]) for table in known.vectors.values()], axis=0)
    beside = "".join(f", {(~np.isnan(t[:, 0])).sum()} have {name}" for name, t in known.vectors.items())
    told = f"{has.sum()} of {len(has)} tracks have a text{beside}"
    if partner.sum() < FEWEST:
        raise DatasetError(f"{told}; at least {FEWEST} tracks with one are needed: {REMEDY}")
    kept = known.keep(partner)
    if not kept.vectors and len({json.dumps(sorted(fields.items())) for fields in kept.texts}) < FEWEST:
        raise DatasetError(f"{told}, and it is the same text everywhere: nothing tells them apart. Instead, {REMEDY}")
    return Known(kept.tracks, kept.texts, kept.vectors, (*kept.notes, told))
