"""A library as one file for other programs: `.npz` (everything, and back again) or `.parquet` (tables for analysis).

The npz holds plain arrays, no pickle: numbers as they are, texts as JSON in bytes. It keeps every live track, vectors,
moments, measures and tags, and the encoder's fingerprint; what is missing, quarantined or ignored stays behind.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.errors import StoreError, UsageError
from mirclr.features.measures import Measures
from mirclr.files import write_atomic
from mirclr.library import schema
from mirclr.library.rows import Binding, Contents
from mirclr.library.side_file import packed_table, unpacked_table
from mirclr.library.store import Library
from mirclr.library.track_tags import every_tag, put_tags, unpacked_tags

FORMAT = 1
ENDINGS = (".npz", ".parquet")
BATCH = 1000


def export_library(library: Library, target: Path) -> int:
    """Write a library; how many tracks. Raises UsageError on an ending that is none of `ENDINGS`, without the package
    that writes Parquet, or over a file that is no export."""
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(f"{target}: export to {' or '.join(ENDINGS)}")
    contents = library.contents()
    ids = contents.tracks.drop_duplicates("row")["audio_id"].tolist()
    descriptors = library.descriptors(ids)
    if target.suffix.lower() == ".parquet":
        _write_parquet(target, contents, descriptors)
    else:
        write_atomic(target, _npz(library, contents, ids, descriptors))
    return len(contents.tracks)


def _npz(library: Library, contents: Contents, ids: list[str], descriptors: Mapping[str, np.ndarray]) -> bytes:
    moments = library.segments(ids)
    recipes = dict(library.ask("SELECT audio_id, recipe FROM measures")) if library.state is not None else {}
    bound = library.binding
    about = {
        "format": FORMAT, "name": bound.name, "fingerprint": bound.fingerprint, "dim": bound.dim,
        "sample_rate": bound.sample_rate, "recipes": [recipes.get(audio_id) for audio_id in ids],
    }  # fmt: skip
    arrays = {
        **packed_table(contents.tracks),
        **descriptors,
        "vectors": contents.vectors,
        "moments": np.concatenate([vectors for vectors, _ in moments] or [np.zeros((0, bound.dim), np.float32)]),
        "starts": np.concatenate([starts for _, starts in moments] or [np.zeros(0, np.float32)]),
        "moments_of": np.repeat(np.arange(len(ids)), [len(starts) for _, starts in moments]),
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "tags": np.frombuffer(json.dumps(every_tag(library)).encode(), np.uint8),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _write_parquet(target: Path, contents: Contents, descriptors: Mapping[str, np.ndarray]) -> None:
    """A row a path: tags, measures, and the vectors as lists."""
    rows = contents.tracks["row"].to_numpy()
    table = contents.tracks.drop(columns="row")
    # Parquet's text is Unicode; undecodable bytes of a file name are shown, not lost.
    table["path"] = [path.encode("utf-8", "backslashreplace").decode() for path in table["path"]]
    for name, matrix in {"vector": contents.vectors, **descriptors}.items():
        table[name] = list(matrix[rows])
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, index=False)
    except ImportError as error:
        raise UsageError(f"{target}: Parquet needs one more package: pip install 'mirclr[tables]'") from error
    write_atomic(target, buffer.getvalue())


def import_library(source: Path, store: Path) -> int:
    """Make a new store of an exported `.npz`; how many tracks.

    Raises StoreError when the file is not one, and UsageError when `store` exists: an import replaces nothing.
    """
    if store.exists():
        raise UsageError(f"{store}: exists already; import into a new file")
    arrays, about = _read(source)
    try:
        tracks = unpacked_table(arrays)
        bound = Binding(about["name"], about["fingerprint"], about["dim"], about["sample_rate"], None, "")
        per_audio = _per_audio(tracks, arrays, about["recipes"])
        # An export of an older mirclr has none; they are read by the next index run.
        tags = unpacked_tags(json.loads(arrays["tags"].tobytes())) if "tags" in arrays else {}
    except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise StoreError(f"{source}: not a whole export ({error!r}); export again") from error
    part = store.with_name(f".{store.name}.import")
    part.unlink(missing_ok=True)
    try:
        with Library.open_or_create(part, bound) as library:
            _fill(library, tracks, per_audio)
            with library.batch():
                for id_, (reader, found) in tags.items():
                    put_tags(library, id_, found, reader)
            library.ask("PRAGMA journal_mode = DELETE")  # folds the log in: the file alone is the store
        part.replace(store)
    finally:
        part.unlink(missing_ok=True)
    return len(tracks)


def _read(source: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with np.load(source, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        about = json.loads(arrays.pop("about").tobytes())
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{source}: not an exported library ({error}); make one with: mirclr library export"
        ) from error
    if about.get("format") != FORMAT:
        raise StoreError(f"{source}: export format {about.get('format')}, this mirclr reads {FORMAT}")
    return arrays, about


def _per_audio(tracks: pd.DataFrame, arrays: Mapping[str, np.ndarray], recipes: list[str | None]) -> list[Any]:
    """Audio id, vector, moments, starts, measures and recipe of every audio."""
    first = tracks.drop_duplicates("row").set_index("row").sort_index()
    if list(first.index) != list(range(len(arrays["vectors"]))):
        raise ValueError("tracks and vectors do not fit")
    out = []
    ends = np.searchsorted(arrays["moments_of"], np.arange(len(first) + 1))  # moments lie in the order of their audio
    for row, (_, track) in enumerate(first.iterrows()):
        here = slice(ends[row], ends[row + 1])
        key = None if pd.isna(track["key"]) else track["key"]
        blocks = (arrays[name][row] for name in schema.DESCRIPTORS)
        measures = Measures(track["tempo"], key, track["energy"], *blocks)
        out.append(
            (track["audio_id"], arrays["vectors"][row], arrays["moments"][here], arrays["starts"][here], measures,
             recipes[row])
        )  # fmt: skip
    return out


def _fill(library: Library, tracks: pd.DataFrame, per_audio: list[Any]) -> None:
    for start in range(0, len(per_audio), BATCH):
        with library.batch():
            for audio_id, vector, moments, starts, measures, recipe in per_audio[start : start + BATCH]:
                library.put_vectors(audio_id, vector, moments, starts)
                if recipe is not None:
                    library.put_measures(audio_id, measures, recipe)
    rows = tracks.drop(columns="row").to_dict("records")
    with library.batch():
        for row in rows:
            library.put_track({str(name): value for name, value in row.items()})
