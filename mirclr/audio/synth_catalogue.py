"""A collection by procedural bands: songs whose factors are independent where asked, titles, and tagged files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mutagen
import numpy as np
import pandas as pd
import soundfile
from mutagen import id3

from mirclr.audio.annotations import KINDS, truth_of, write_annotation
from mirclr.audio.processes import Lost, cores, in_processes
from mirclr.audio.synth import KEYS, STYLES, Song, render
from mirclr.errors import AudioError, UsageError
from mirclr.reports import Progress, Work, finish
from mirclr.seeds import generator

FACTORS = ("style", "tempo", "key")
FORMATS = {"flac": "FLAC", "wav": "WAV", "ogg": "OGG", "mp3": "MP3"}
_TEMPOS = (62.0, 172.0)
_TRACKS_AN_ALBUM = 6


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ADJECTIVES = _words(
    "Amber Broken Crimson Distant Electric Frozen Gentle Hollow Ivory Jade Kind Lonely Midnight Northern Open Paper "
    "Quiet Restless Silver Tidal Upper Velvet Wandering Yellow"
)
_NOUNS = _words(
    "Anchors Bridges Candles Drifters Engines Foxes Gardens Harbours Islands Junctions Kites Lanterns Mirrors Nomads "
    "Owls Pines Quarries Rivers Stones Thieves Umbrellas Voices Windows Zephyrs"
)
_THINGS = _words(
    "Rain Morning Road Window Fire Letter Ocean Shadow Train Winter Garden Moon Silence Summer Mirror Home"
)
_TITLES = ("{} in the {}", "After the {} and {}", "{}, My {}", "The {} of {}", "No {} Without {}", "{} Over {}")


def catalogue(
    n_artists: int,
    tracks_per_artist: int,
    seed: int,
    *,
    independent: Collection[str] = (),
    duration: float = 30.0,
    styles: Sequence[str] = tuple(STYLES),
) -> list[Song]:
    """Songs by `n_artists` bands, artist by artist.

    As in the world, an artist keeps to one style (styles are dealt evenly to artists) and a few keys, and the style
    sets the tempo. A factor named in `independent` (of FACTORS) is freed from all others instead: every artist plays
    each style equally often, to within one; keys are dealt from full decks of 24; tempi are spread evenly, on a
    logarithmic scale, over 62 to 172 and shuffled.

    Raises ValueError on an unknown factor or style and on counts below 1.
    """
    if set(independent) - set(FACTORS) or set(styles) - set(STYLES) or not styles:
        raise ValueError(f"independent must be of {FACTORS} and styles of {tuple(STYLES)}: {independent}, {styles}")
    if n_artists < 1 or tracks_per_artist < 1:
        raise ValueError(f"need at least 1 artist and 1 track, got {n_artists} and {tracks_per_artist}")
    rng = generator(seed, "catalogue")
    artists = np.repeat(artist_names(n_artists, seed), tracks_per_artist)
    played = _styles(n_artists, tracks_per_artist, styles, "style" in independent, rng)
    keys = (
        _dealt(KEYS, len(artists), rng) if "key" in independent else _favourite_keys(n_artists, tracks_per_artist, rng)
    )
    tempi = (
        _spread_tempi(len(artists), rng) if "tempo" in independent else [rng.uniform(*STYLES[s].tempo) for s in played]
    )
    seeds = rng.choice(2**31, len(artists), replace=False)
    return [
        Song(str(style), str(artist), round(float(tempo), 1), str(key), int(number), duration)
        for style, artist, tempo, key, number in zip(played, artists, tempi, keys, seeds, strict=True)
    ]


def artist_names(count: int, seed: int) -> list[str]:
    """Names of bands, all different. Raises ValueError above 576, which is all there are."""
    if count > len(_ADJECTIVES) * len(_NOUNS):
        raise ValueError(f"there are names for {len(_ADJECTIVES) * len(_NOUNS)} artists, not for {count}")
    chosen = generator(seed, "names").permutation(len(_ADJECTIVES) * len(_NOUNS))[:count]
    return [f"The {_ADJECTIVES[c // len(_NOUNS)]} {_NOUNS[c % len(_NOUNS)]}" for c in chosen]


def _dealt(values: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` values from full decks, each shuffled: totals differ by at most one."""
    decks = [rng.permutation(len(values)) for _ in range(-(-count // len(values)))]
    return [values[c] for c in np.concatenate(decks)[:count]]


def _styles(artists: int, tracks: int, styles: Sequence[str], free: bool, rng: np.random.Generator) -> list[str]:
    """A style for every track: dealt within each artist, or one per artist."""
    if free:
        return [style for _ in range(artists) for style in _dealt(styles, tracks, rng)]
    return [style for style in _dealt(styles, artists, rng) for _ in range(tracks)]


def _favourite_keys(artists: int, tracks: int, rng: np.random.Generator) -> list[str]:
    """Each artist plays in four keys of its own."""
    own = [rng.permutation(len(KEYS))[:4] for _ in range(artists)]
    return [KEYS[rng.choice(keys)] for keys in own for _ in range(tracks)]


def _spread_tempi(count: int, rng: np.random.Generator) -> np.ndarray:
    """Tempi evenly spread between the limits, shuffled."""
    low, high = np.log(_TEMPOS)
    return np.exp(low + (high - low) * (rng.permutation(count) + 0.5) / count)


class _File(NamedTuple):
    """A song, where it goes (relative to the collection) and its tags."""

    song: Song
    path: str
    tags: dict[str, str]


def _two_things(rng: np.random.Generator, pattern: str) -> str:
    first, second = rng.permutation(len(_THINGS))[:2]
    return pattern.format(_THINGS[first], _THINGS[second])


def _safe(name: str) -> str:
    """A name of one folder or file anywhere: letters, digits, spaces and a few signs, no leading dot."""
    return re.sub(r"[^\w ,'()-]", "_", name).strip() or "_"


def _files(songs: Sequence[Song], suffix: str) -> list[_File]:
    """Titles, albums and paths; tracks are numbered in the order an artist's songs come."""
    played: dict[str, int] = {}
    out = []
    for song in songs:
        place = played[song.artist] = played.get(song.artist, -1) + 1
        number = place % _TRACKS_AN_ALBUM + 1
        album = _two_things(generator(place // _TRACKS_AN_ALBUM, "album", song.artist), "{} & {}")
        rng = generator(song.seed, "title")
        title = _two_things(rng, _TITLES[rng.integers(len(_TITLES))])
        tags = {"artist": song.artist, "album": album, "title": title, "genre": song.style, "tracknumber": str(number)}
        folder = f"{_safe(song.artist)}/{_safe(f'{place // _TRACKS_AN_ALBUM + 1} {album}')}"
        out.append(_File(song, f"{folder}/{number:02} {_safe(title)}.{suffix}", tags))
    return out


def _tag(path: Path, tags: dict[str, str]) -> None:
    """Write tags: Vorbis comments where the format has them, else ID3."""
    file: Any = mutagen.File(path)
    if path.suffix in (".flac", ".ogg"):
        file.update(tags)
    else:
        frames = {"artist": id3.TPE1, "album": id3.TALB, "title": id3.TIT2, "genre": id3.TCON, "tracknumber": id3.TRCK}
        if file.tags is None:
            file.add_tags()
        for name, text in tags.items():
            file.tags.add(frames[name](encoding=id3.Encoding.UTF8, text=text))
    file.save()


def _write(file: _File, folder: Path, sample_rate: int, truth: bool) -> None:
    """Render, write and tag one file, atomically; with `truth` what is known of it first."""
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".new {target.name}")
    rendered = render(file.song, sample_rate)
    soundfile.write(new, rendered.samples, sample_rate, format=FORMATS[target.suffix[1:]])
    _tag(new, file.tags)
    if truth:
        for kind, table in truth_of(rendered).items():
            write_annotation(folder / _truth_path(file.path, kind), kind, table)
    os.replace(new, target)


def _truth_path(path: str, kind: str) -> str:
    """Where what is known of a track is written: not among the music."""
    return f"truth/{path.rpartition('.')[0]}.{kind}.csv"


def _each(function: Callable[[_File], None], files: list[_File], workers: int) -> Iterator[None]:
    """Write every file, here or in several processes."""
    if workers == 1:
        yield from map(function, files)
        return
    for file, result in in_processes(function, files, workers):
        if isinstance(result, Lost):
            raise AudioError(file.path, "undecodable", f"could not be written: {result.why}")
        yield None


def write_songs(
    folder: str | Path,
    songs: Sequence[Song],
    *,
    sample_rate: int = 22_050,
    format: str = "flac",
    truth: bool = False,
    workers: int | None = None,
) -> Work[pd.DataFrame]:
    """Write songs as tagged files `artist/album/NN title` and `labels.csv`, a labelled table, beside them.

    The table has `path` (relative to `folder`), `label` (the style), `artist`, `album`, `title`, `tempo`, `key`,
    `seed`, `duration`, and is what the work returns. It is written last: where it is, all files are. In flac and wav
    the same songs give the same bytes. With `truth` the exact beats, onsets, notes and sections of every track are
    written below `truth/` (mirclr.audio.annotations), and columns of those names say where. `workers` processes (None:
    one a core).

    Raises UsageError on an unknown format.
    """
    if format not in FORMATS:
        raise UsageError(f"cannot write {format!r}; known: {', '.join(FORMATS)}")
    folder, files = Path(folder), _files(songs, format)
    write = partial(_write, folder=folder, sample_rate=sample_rate, truth=truth)
    for done, _ in enumerate(_each(write, files, workers or cores()), 1):
        yield Progress("synth", done, len(files))
    table = pd.DataFrame(
        [
            {"path": f.path, "label": s.style, "artist": s.artist, "album": f.tags["album"], "title": f.tags["title"]}
            | {"tempo": s.tempo, "key": s.key, "seed": s.seed, "duration": s.duration}
            | ({kind: _truth_path(f.path, kind) for kind in KINDS} if truth else {})
            for f, s in ((f, f.song) for f in files)
        ]
    )
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / ".new labels.csv"
    table.to_csv(new, index=False)
    os.replace(new, folder / "labels.csv")
    return table


def write_collection(
    folder: str | Path, songs: Sequence[Song], sample_rate: int = 22_050, format: str = "flac"
) -> pd.DataFrame:
    """`write_songs` without progress, in this process."""
    return finish(write_songs(folder, songs, sample_rate=sample_rate, format=format, workers=1))


def make_collection(
    folder: str | Path,
    *,
    artists: int = 12,
    tracks: int = 6,
    seconds: float = 30.0,
    seed: int = 0,
    independent: Collection[str] = (),
    sample_rate: int = 22_050,
    format: str = "flac",
    truth: bool = False,
    workers: int | None = None,
) -> Work[pd.DataFrame]:
    """A catalogue and its files in one step: `artists` bands with `tracks` each of `seconds`. See `catalogue`.

    Raises UsageError on values that make no collection.
    """
    try:
        songs = catalogue(artists, tracks, seed, independent=independent, duration=seconds)
    except ValueError as error:
        raise UsageError(f"synth: {error}") from error
    work = write_songs(folder, songs, sample_rate=sample_rate, format=format, truth=truth, workers=workers)
    return (yield from work)
