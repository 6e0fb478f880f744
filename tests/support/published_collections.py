"""Small copies of published collections, in the exact format of their owners' annotation files.

`BUILDERS` has one builder per entry of datasets.yaml; the contract test asks for every entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mirclr.datasets.registry import read_file, shipped_file
from tests.support.collections_on_disk import emotify_archive, emotify_table, write_sound

PARTS = ("train", "valid", "test")
ENTRIES = {name: found.entry for name, found in read_file(shipped_file()).items()}


def write_text(path: Path, text: str) -> Path:
    """Text to the letter, line ends included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def vocabulary(name: str) -> tuple[str, ...]:
    """The labels that an entry declares."""
    return ENTRIES[name].vocabulary or ()


def _lines(rows: Iterable[Sequence[object]], delimiter: str, end: str = "\n") -> str:
    return "".join(delimiter.join(map(str, row)) + end for row in rows)


def gtzan_audio(root: Path, suffix: str = ".wav", each: int = 6) -> list[str]:
    """blues/blues.00000.wav ... and the broken jazz.00054; names without a suffix."""
    names = [f"{genre}/{genre}.{number:05}" for genre in vocabulary("gtzan") for number in range(each)]
    for name in names:
        write_sound(root / f"{name}{suffix}", name)
    write_text(root / f"jazz/jazz.00054{suffix}", "damaged")
    return names


def gtzan(root: Path) -> None:
    """Three lists of .wav names beside sound that ends in .au, as the original archive's does."""
    names = gtzan_audio(root, ".au")
    for place, part in enumerate(PARTS):
        extra = ["jazz/jazz.00054"] if part == "train" else []
        write_text(root / f"{part}_filtered.txt", "".join(f"{name}.wav\n" for name in [*names[place::3], *extra]))


def gtzan_all(root: Path) -> None:
    """Ten genre folders."""
    gtzan_audio(root)


def gtzan_key(root: Path) -> None:
    """A number per excerpt, 0..23 from A and A minor upward and -1 for none, no line end; one file has a space."""
    for place, name in enumerate(gtzan_audio(root)):
        genre, file = name.split("/")
        text = "-1" if place % 10 == 9 else f"{place % 24}{' ' if place == 3 else ''}"
        write_text(root / f"gtzan_key/genres/{genre}/{file}.lerch.txt", text)
    (root / "gtzan_key/genres/disco/disco.00055.pk").write_bytes(b"\x80\x04never opened")


def gtzan_tempo(root: Path) -> None:
    """gtzan_blues_00000.bpm, in scientific notation; the damaged file has a tempo too."""
    for place, name in enumerate([*gtzan_audio(root), "jazz/jazz.00054"]):
        genre, number = name.split("/")[1].split(".")
        write_text(root / f"gtzan_tempo_beat-main/tempo/gtzan_{genre}_{number}.bpm", f"{80 + place:.18e}\n")


def gtzan_beats(root: Path) -> None:
    """gtzan_blues_00000.beats: a time and its place in the bar, a beat a line."""
    for name in [*gtzan_audio(root), "jazz/jazz.00054"]:
        genre, number = name.split("/")[1].split(".")
        write_beats(root / f"gtzan_tempo_beat-main/beats/gtzan_{genre}_{number}.beats")


def write_beats(path: Path) -> None:
    """Three beats, the first of a bar in the middle."""
    write_text(path, "0.0400000000 4\n0.5100000000 1\n0.9800000000 2\n")


def magnatagatune(root: Path) -> None:
    """annotations_final.csv: quoted, tab-separated, 188 tags (some more than the 50 here), the path last; and the
    numpy lists of `minz`, in which a clip without any of the 50 tags is in no part."""
    tags = ENTRIES["magnatagatune"].table.labels  # type: ignore[union-attr]
    header = ["clip_id", *tags[:25], "no beat", *tags[25:], "mp3_path"]
    rows, paths = [], []
    for place in range(64):
        folder = "0123456789abcdef"[place % 16]
        path = f"{folder}/band_{place % 16}-album__no__1-{place:02}-song-30-59.mp3"
        cells = [int((place * 7 + tag) % 5 == 0 and place % 8 != 0) for tag in range(50)]
        rows.append([place, *cells[:25], 1, *cells[25:], path])
        paths.append(write_sound(root / path, path).relative_to(root))
    rows += [[9999, *[0] * 51, bad] for bad in ENTRIES["magnatagatune"].known_bad]
    quoted = [[f'"{cell}"' for cell in row] for row in [header, *rows]]
    write_text(root / "annotations_final.csv", _lines(quoted, "\t"))
    (root / "split").mkdir()
    for part, folders in zip(PARTS, ("0123456789ab", "c", "def"), strict=True):
        listed = [f"{i}\t{path}" for i, path in enumerate(paths) if str(path)[0] in folders and i % 8 != 0]
        np.save(root / f"split/{part}.npy", np.array(listed))


def jamendo(root: Path, table: str, labels: Sequence[str]) -> None:
    """Five splits of three tables: CRLF, and as many cells more as a track has tags."""
    tracks = []
    for number in range(30):
        tags = [labels[(3 * number + step) % len(labels)] for step in range(1 + number % 3)]
        write_sound(root / f"audio/{number % 10:02}/{number}.mp3", number)
        artist, album = f"artist_{number // 2:06}", f"album_{number // 2:06}"
        tracks.append([f"track_{number:07}", artist, album, f"{number % 10:02}/{number}.mp3", "211.1", *tags])
    header = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
    for split in range(5):
        for place, part in enumerate(("train", "validation", "test")):
            rows = [row for number, row in enumerate(tracks) if (number // 2 + split) % 3 == place]
            write_text(root / f"data/splits/split-{split}/{table}-{part}.tsv", _lines([header, *rows], "\t", "\r\n"))


def fma(root: Path, size: str) -> None:
    """tracks.csv as pandas writes two levels of columns: two header rows, then the name of the index."""
    upper = ["", "album", "album", "artist", "set", "set", "track", "track", "track"]
    lower = ["", "id", "information", "id", "split", "subset", "genre_top", "genres_all", "title"]
    genres = vocabulary("fma-small" if size == "small" else "fma-medium")
    rows = [upper, lower, ["track_id", *[""] * 8]]
    subsets = {"small": ["small"], "medium": ["small", "medium"], "large": ["small", "medium", "large"]}[size]
    for number in range(1, 6 * len(genres) + 1):
        subset = [*subsets, "large"][number // len(genres) % (len(subsets) + 1)]
        split = ("training", "validation", "test")[number % 3]
        top = "" if size == "large" and number % 11 == 0 else genres[number % len(genres)]
        about = '"<p>two\nlines, and a ""quote""</p>"'
        title = f"Title {number}"
        rows.append([number, number, about, number, split, subset, top, f'"[{number // 3 % 3 + 1}, 21]"', title])
        write_sound(root / f"fma_{size}/000/{number:06}.mp3", number)
    write_text(root / "fma_metadata/tracks.csv", _lines(rows, ","))


def emomusic(root: Path) -> None:
    """static_annotations.csv and songs_info.csv, which has tabs behind some cells; not every song is annotated."""
    info = ["song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),Genre,"]
    info[0] += "Mediaeval 2013 set"
    static = ["song_id,mean_arousal,std_arousal,mean_valence,std_valence"]
    for song in range(1, 31):
        part = "evaluation" if song % 4 == 0 else "development"
        info.append(f'{song},{song}.mp3,"Artist {song % 4}, {song // 8}\t",Title\t,0.22,1.07,Blues\t,{part}')
        if song != 7:
            static.append(f"{song},{1 + song % 8}.1,1.2,{1 + song % 7}.5,1.3")
            write_sound(root / f"clips_45seconds/{song}.mp3", song)
    write_text(root / "annotations/songs_info.csv", "\n".join(info) + "\n")
    write_text(root / "annotations/static_annotations.csv", "\n".join(static) + "\n")


def _benchmark_table(root: Path, name: str, header: str, rows: Sequence[tuple[str, str]]) -> None:
    """The transfer-learning benchmark's tables: an unnamed index, id, filepath, numbers."""
    lines = [header]
    for place, (path, cells) in enumerate(rows):
        write_sound(root / path, path)
        lines.append(f"{place},{Path(path).stem},{path},{cells}")
    write_text(root / name, "\n".join(lines) + "\n")


def emomusic_csv(root: Path) -> None:
    """emoMusic.csv."""
    rows = [(f"emoMusic45s/clips_45seconds/{n}.mp3", f"0.{n:02}4444,0.{(n * 7) % 60:02}3333") for n in range(2, 32)]
    _benchmark_table(root, "emoMusic.csv", ",id,filepath,label_arousal,label_valence", rows)


def extended_ballroom_csv(root: Path) -> None:
    """ballroom_extended.csv, whose label column holds numbers."""
    dances = enumerate(vocabulary("extended-ballroom"))
    rows = [(f"ballroom_extended_2016/{d}/1{i:02}{n}.mp3", str(i)) for i, d in dances for n in range(11)]
    _benchmark_table(root, "ballroom_extended.csv", ",id,filepath,label", rows)


def extended_ballroom(root: Path) -> None:
    """An element per dance, in it a song each with its attributes; some have more than others."""
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", "<root>"]
    for place, dance in enumerate(vocabulary("extended-ballroom")):
        lines.append(f"  <{dance}>")
        for number in range(12):
            again = ' exact="100000"' if number == 1 else ""
            about = f'album="An &amp; album" artist="Band {place}.{number // 2}" bpm="{100 + place}" hash="0"'
            lines.append(f'    <song {about} id="1{place:02}{number:03}" title="T"{again}/>')
            write_sound(root / f"{dance}/1{place:02}{number:03}.mp3", f"{dance}{number}")
        lines.append(f"  </{dance}>")
    write_text(root / "extendedballroom_v1.1.xml", "\n".join([*lines, "</root>"]) + "\n")


def giantsteps_key(root: Path) -> None:
    """ID.LOFI.key: `Ab minor`, flats, no line end; the sound was converted to wav."""
    for number in range(60):
        key = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")[number % 12]
        mode = ("major", "minor")[number // 12 % 2]
        write_text(root / f"annotations/key/{1000 + number}.LOFI.key", f"{key} {mode}")
        write_sound(root / f"audio/{1000 + number}.LOFI.wav", number)


def giantsteps_tempo(root: Path) -> None:
    """ID.LOFI.bpm of both versions, the second with decimals and 0.0 where there is none; ten lists of mp3 names."""
    for number in range(40):
        write_text(root / f"annotations/tempo/{1000 + number}.LOFI.bpm", str(100 + number))
        write_text(
            root / f"annotations_v2/tempo/{1000 + number}.LOFI.bpm", "0.0" if number == 5 else f"{99 + number}.0"
        )
        write_sound(root / f"audio/{1000 + number}.LOFI.mp3", number)
    for fold in range(10):
        listed = "".join(f"{1000 + number}.LOFI.mp3\n" for number in range(fold, 40, 10))
        write_text(root / f"splits/fold{fold + 1:02}.txt", listed)
    write_text(root / "splits/files.txt", "1000.LOFI.mp3\n")


def ballroom(root: Path) -> None:
    """allBallroomFiles: ./DANCE/Albums-NAME-NN.wav or Media-NNNNNN.wav, rumba in three folders."""
    folders = [*vocabulary("ballroom"), "Rumba-American", "Rumba-International", "Rumba-Misc"]
    names = [f"{f}/Media-{10 + i}{n:04}.wav" for i, f in enumerate(folders) if f != "Rumba" for n in range(10)]
    names += [f"{folders[n % 8].replace('Rumba', 'Rumba-Misc')}/Albums-Latin_Jam-{n + 50}.wav" for n in range(6)]
    names += list(ENTRIES["ballroom"].known_bad)
    for name in names:
        write_sound(root / name, name)
    write_text(root / "allBallroomFiles", "".join(f"./{name}\n" for name in names))


def ballroom_beats(root: Path) -> None:
    """Albums-NAME-NN.beats and Media-NNNNNN.beats, and the sound of all dances in one folder."""
    names = [f"Media-{100000 + n}" for n in range(24)] + [f"Albums-Latin_Jam{n % 3}-{n + 50}" for n in range(12)]
    for name in [*names, *(Path(known).stem for known in ENTRIES["ballroom-beats"].known_bad)]:
        write_sound(root / f"audio/{name}.wav", name)
        write_beats(root / f"BallroomAnnotations/{name}.beats")


def nsynth(root: Path) -> None:
    """examples.json of three folders: an object of notes by their names."""
    families = vocabulary("nsynth-instrument")
    for place, part in enumerate(PARTS):
        notes = {}
        for number in range(2 * len(families)):
            family = families[number % len(families)]
            instrument, pitch = f"{family}_acoustic_{place:03}", 40 + number
            name = f"{instrument}-{pitch:03}-100"
            notes[name] = {
                "note": number, "note_str": name, "instrument": number, "instrument_str": instrument, "pitch": pitch,
                "velocity": 100, "sample_rate": 16000, "qualities": [0, 1], "qualities_str": ["dark"],
                "instrument_family": number % 11, "instrument_family_str": family, "instrument_source": 0,
            }  # fmt: skip
            write_sound(root / f"nsynth-{part}/audio/{name}.wav", name)
        write_text(root / f"nsynth-{part}/examples.json", json.dumps(notes, indent=4))


def _jamendo(name: str, table: str) -> Callable[[Path], None]:
    return partial(jamendo, table=table, labels=vocabulary(name))


BUILDERS: dict[str, Callable[[Path], None]] = {
    "emotify": emotify_table,
    "emotify-emotions": emotify_table,
    "emotify-archive": emotify_archive,
    "gtzan": gtzan,
    "gtzan-all": gtzan_all,
    "gtzan-key": gtzan_key,
    "gtzan-tempo": gtzan_tempo,
    "gtzan-beats": gtzan_beats,
    "magnatagatune": magnatagatune,
    "mtg-jamendo-genre": _jamendo("mtg-jamendo-genre", "autotagging_genre"),
    "mtg-jamendo-instrument": _jamendo("mtg-jamendo-instrument", "autotagging_instrument"),
    "mtg-jamendo-moodtheme": _jamendo("mtg-jamendo-moodtheme", "autotagging_moodtheme"),
    "mtg-jamendo-top50": _jamendo("mtg-jamendo-top50", "autotagging_top50tags"),
    "fma-small": partial(fma, size="small"),
    "fma-medium": partial(fma, size="medium"),
    "fma-large": partial(fma, size="large"),
    "fma-large-genres": partial(fma, size="large"),
    "emomusic": emomusic,
    "emomusic-csv": emomusic_csv,
    "giantsteps-key": giantsteps_key,
    "giantsteps-tempo": giantsteps_tempo,
    "giantsteps-tempo-v1": giantsteps_tempo,
    "ballroom": ballroom,
    "ballroom-beats": ballroom_beats,
    "extended-ballroom": extended_ballroom,
    "extended-ballroom-csv": extended_ballroom_csv,
    "nsynth-pitch": nsynth,
    "nsynth-instrument": nsynth,
}
