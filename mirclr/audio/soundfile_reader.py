"""Reading by libsndfile: wav, aiff, flac, mp3, Ogg Vorbis and Opus, with seeks that land where a whole decode would.

Measured with libsndfile 1.2.2: seeks in wav, aiff and flac are exact. After a seek, an mp3 of low bit rate misses the
bits that earlier frames lent it (up to 11 frames back), and Vorbis its overlap; a seek into the last page of an Ogg
file is off by a few samples. All are exact when decoding begins early enough and the rest is thrown away.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile

from mirclr.audio import ogg_pages
from mirclr.audio.integrity import require_finite
from mirclr.errors import AudioError

# Samples to decode and drop before the wanted one: 16 of the longest mp3 frames, 2 of the longest Vorbis blocks
# (8,192 each), twice the 80 ms that Opus asks for (RFC 7845, section 4.6). About 25 ms of work.
_PREROLL = {"MP3": 18_432, "OGG": 18_432}
_BLOCK = 65_536
_LONGEST = 2**48  # samples; a flac that was written into a pipe claims 2**63
_CODECS = {"FLAC": "flac", "MP3": "mp3"}


class _Forward(soundfile.SoundFile):
    """A file whose `read` only reads.

    soundfile seeks to where it already stands after every read of a seekable file, and that makes mpg123 forget the
    bits lent to the next frames: a low bit-rate mp3 read in blocks came back wrong at every joint.
    """

    def seekable(self) -> bool:
        return False


class SoundFileReader:
    """An open file. `rate` in Hz, `channels`, `frames`: the length in samples it promises, `codec` for people.

    `length`: the promise of someone who knows better than libsndfile. Raises AudioError: undecodable.
    """

    forward_only = False

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._path = path
        # Bytes, because soundfile cannot encode a name with undecodable characters.
        self._name = os.fsencode(path) if os.name == "posix" else str(path)
        self._file = self._open()
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self._length: int = self._file.frames if length is None else length
        if self._length > _LONGEST:
            self.close()
            raise AudioError(path, "undecodable", "libsndfile: the header gives no length")
        self.frames: int | None = self._length
        self.codec = _CODECS.get(self._file.format, str(self._file.subtype).lower())
        self._preroll = _PREROLL.get(self._file.format, 0)
        self._last_seek = self._latest_exact_seek()
        self._at = 0

    def read(self, start: int, count: int) -> np.ndarray:
        """`(n, channels)` float32 from sample `start`; n < `count` only where the audio ends.

        Raises AudioError: undecodable.
        """
        try:
            if not self._go(start):
                return np.zeros((0, self.channels), np.float32)
            block = self._next(min(count, self._length - start))
        except soundfile.LibsndfileError as error:
            raise self._undecodable(error) from error
        require_finite(self._path, block)
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> _Forward:
        try:
            return _Forward(self._name)
        except soundfile.LibsndfileError as error:
            raise self._undecodable(error) from error

    def _undecodable(self, error: soundfile.LibsndfileError) -> AudioError:
        return AudioError(self._path, "undecodable", f"libsndfile: {error.error_string.strip()}")

    def _latest_exact_seek(self) -> int:
        if self._file.format != "OGG":
            return self._length
        granule_rate = 48_000 if self.codec == "opus" else self.rate
        return ogg_pages.tail(self._path).before_last * self.rate // granule_rate

    def _next(self, count: int) -> np.ndarray:
        block: np.ndarray = self._file.read(count, dtype="float32", always_2d=True)
        self._at += len(block)
        return block

    def _go(self, start: int) -> bool:
        """Stand at sample `start`; False where the audio ends before it."""
        if start >= self._length:
            return False
        target = max(0, min(start, self._last_seek) - self._preroll)
        if not self._at <= start <= self._at + self._preroll:
            self._seek(target)
        while self._at < start:
            if not len(self._next(min(_BLOCK, start - self._at))):
                return False
        return True

    def _seek(self, target: int) -> None:
        """Seek to `target`, or to the beginning where libsndfile cannot (Opus in pages of several seconds)."""
        try:
            self._at = self._file.seek(target)
        except soundfile.LibsndfileError:
            self._file.close()
            self._file, self._at = self._open(), 0
