"""Segment vectors on disk, by encoder and by sound: computed once, shared by every task, split and protocol.

One small .npz a track under FOLDER/FINGERPRINT/: arrays `vectors` (S, D) float32 and `starts` (S,) seconds, never a
pickle. A file's name is the digest of the audio file's bytes, so moved and renamed files find their vectors again.
Files are written whole or not at all: whatever was interrupted goes on with what is missing.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirclr.audio.track import content_id
from mirclr.errors import AudioError
from mirclr.features.extractor import Extractor
from mirclr.features.together import Together
from mirclr.files import write_atomic

Segments = tuple[np.ndarray, np.ndarray]


class SegmentCache:
    """Vectors kept in `folder`, made when the first is written. Safe in threads and among processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contents: dict[str, str] = {}

    def content(self, path: str) -> str:
        """The digest of a file's bytes, read once. Raises AudioError where it cannot be read."""
        if path not in self._contents:
            try:
                self._contents[path] = content_id(path)
            except FileNotFoundError as error:
                raise AudioError(path, "missing_file", "vanished while it was read") from error
            except OSError as error:
                raise AudioError(path, "unreadable", error.strerror or str(error)) from error
        return self._contents[path]

    def read(self, extractor: Extractor, content: str) -> Segments | None:
        """The segments of a sound, or None where they are not known, or the file is damaged (it is then replaced)."""
        try:
            with np.load(self._place(extractor, content), allow_pickle=False) as arrays:
                vectors, starts = arrays["vectors"], arrays["starts"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        fits = vectors.ndim == 2 and vectors.shape[1] == extractor.dim and starts.shape == vectors.shape[:1]
        return (vectors, starts) if fits and len(starts) else None

    def write(self, extractor: Extractor, content: str, segments: Segments) -> None:
        """Keep the segments of a sound."""
        place, buffer = self._place(extractor, content), io.BytesIO()
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(buffer, vectors=segments[0].astype(np.float32), starts=segments[1].astype(np.float64))
        write_atomic(place, buffer.getvalue())

    def segments(self, extractor: Extractor, path: str, hear: Callable[[], np.ndarray]) -> Segments:
        """The segments of the file at `path`, from the cache or of the samples that `hear` decodes.

        Of several extractors together only those that do not know the sound yet hear it. Raises what `hear` raises.
        """
        team = extractor if isinstance(extractor, Together) else Together({extractor.name: extractor})
        content = self.content(path)
        known = {name: found for name, member in team.extractors.items() if (found := self.read(member, content))}
        if missing := [name for name in team.extractors if name not in known]:
            samples = hear()
            for name in missing:
                known[name] = team.hear(name, samples)
                self.write(team.extractors[name], content, known[name])
        parts = [known[name] for name in team.extractors]
        return Together.joined(parts) if team is extractor else parts[0]

    def _place(self, extractor: Extractor, content: str) -> Path:
        return self.folder / extractor.fingerprint / f"{content}.npz"
