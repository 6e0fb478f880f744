"""Copies, near-duplicates and versions among songs that have nothing to do with each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mirclr.audio.synth import Song, render
from mirclr.cli.main import main
from mirclr.errors import AudioError
from mirclr.features.measures import SIZES, Measures
from mirclr.features.same_music import RATE, Heard
from mirclr.library.alike import NEAREST, candidates
from mirclr.library.duplicates import Duplicates, duplicates, listen
from mirclr.library.outside import Outside, own_row
from mirclr.library.playlist import Kind, Rules, Seed, Shape, make_playlist, moments_of
from mirclr.library.playlist_radio import Radio
from mirclr.library.playlist_targets import Arc
from mirclr.library.recordings import Recordings
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.reports import Progress, finish
from mirclr.seeds import generator
from tests.support.library import Bands, track_row

SONGS = 60


def near(vector: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return (vector + noise * generator(seed, "near").normal(size=vector.shape)).astype(np.float32)


def play(path: Path, artist: str = "A", seed: int = 1, cut: int = 0, style: str = "waltz") -> None:
    """Music without drums, half a minute less `cut` seconds, so that another artist is another arrangement."""
    samples = render(Song(style, artist, 100, "C major", seed, 30.0), RATE, parts=("bass", "chords", "lead")).samples
    soundfile.write(path, samples[cut * RATE :], RATE)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the tracks that summaries propose: `near` is 03 cut, `remix` 07 by others, the rest is not related."""
    folder = tmp_path_factory.mktemp("music")
    for name, how in {
        "03": {"seed": 3},
        "near": {"seed": 3, "cut": 3},
        "07": {"seed": 7},
        "remix": {"seed": 7, "artist": "The Others"},
        "09": {"seed": 9},
        "alike": {"seed": 10, "style": "ballad"},
        "11": {"seed": 11},
        "same key and beat": {"seed": 12, "style": "house"},
    }.items():
        play(folder / f"{name}.wav", **how)
    return folder


@pytest.fixture
def catalogue(tmp_path: Path, played: Path) -> Catalogue:
    """Unrelated songs 00..59; `near` is 03 remastered, `remix` is 07 with another beat, `alike` sounds like 09 to the
    encoder and in harmony, `same key and beat` is like 11 in what was measured."""
    draw = generator(0, "duplicates")
    songs = {
        f"{song:02}": (draw.normal(size=(4, 8)), *(draw.normal(size=SIZES[name]) for name in ("rhythm", "harmony")))
        for song in range(SONGS)
    }
    moments, rhythm, harmony = songs["03"]
    songs["near"] = (near(moments, 0.2, 1), near(rhythm, 0.05, 2), near(harmony, 0.05, 3))
    moments, rhythm, harmony = songs["07"]
    songs["remix"] = (near(moments, 0.2, 4), near(rhythm, 0.45, 5), near(harmony, 0.1, 6))
    songs["alike"] = (near(songs["09"][0], 0.01, 7), draw.normal(size=SIZES["rhythm"]), songs["09"][2])
    songs["same key and beat"] = (draw.normal(size=(4, 8)), songs["11"][1], songs["11"][2])
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library, library.batch():
        for name, (parts, beat, tones) in songs.items():
            row, vectors = track_row(str(played / f"{name}.wav"), name), parts.astype(np.float32)
            library.put_track(row)
            library.put_vectors(row["audio_id"], vectors.mean(axis=0), vectors, np.arange(4.0))
            blocks = np.zeros(SIZES["timbre"], np.float32), beat.astype(np.float32), tones.astype(np.float32)
            library.put_measures(row["audio_id"], Measures(120.0, None, -9.0, *blocks), "mine")
        library.put_track(track_row(str(played / "copy of 20.wav"), "20"))
        library.put_track(track_row(str(played / "unmeasured.wav"), "unmeasured"))
        library.put_vectors(track_row("", "unmeasured")["audio_id"], np.ones(8), np.ones((1, 8)), np.zeros(1))
    with Library.open(tmp_path / "a.db") as library:
        return Catalogue.load(library)


def name_of(path: str) -> str:
    return Path(path).stem


def kinds(found: Duplicates) -> list[tuple[str, str, str]]:
    return [(pair.kind, name_of(pair.first), name_of(pair.second)) for pair in found.pairs]


def proposed(catalogue: Catalogue) -> set[tuple[str, str]]:
    names = [name_of(path) for path in catalogue.tracks["path"]]
    return {(names[one], names[other]) for one, other in candidates(catalogue)}


def test_each_pair_is_found_once_and_called_what_it_is(catalogue: Catalogue) -> None:
    reports: list[Progress] = []
    found = finish(duplicates(catalogue, workers=2), reports.append)
    assert kinds(found) == [("copy", "20", "copy of 20"), ("near_duplicate", "03", "near"), ("version", "07", "remix")]
    cut = found.pairs[1]
    assert cut.offset == pytest.approx(3, abs=0.05)
    assert (cut.speed, cut.semitones, cut.reason) == (1, 0, None)
    assert (found.candidates, found.quarantine) == (4, [])
    assert [report.done for report in reports] == list(range(1, 9))
    assert {report.total for report in reports} == {8}


def test_summaries_only_propose(catalogue: Catalogue) -> None:
    assert proposed(catalogue) == {("03", "near"), ("07", "remix"), ("09", "alike"), ("11", "same key and beat")}


def test_blocks_propose_what_the_whole_proposes(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = candidates(catalogue)
    monkeypatch.setattr("mirclr.library.alike.BLOCK", 7)
    assert candidates(catalogue) == whole


@pytest.mark.parametrize("turn", [1, 6, 11])
def test_a_track_in_another_key_is_proposed(catalogue: Catalogue, turn: int) -> None:
    row = next(i for i, path in enumerate(catalogue.tracks["path"]) if name_of(path) == "near")
    harmony = catalogue.descriptors["harmony"]
    harmony[row, :12] = np.roll(harmony[row, :12], turn)
    catalogue.unit[row] = 0  # and to the encoder it is something else
    assert ("03", "near") in proposed(catalogue)


def test_a_track_has_no_more_candidates_than_its_nearest_and_those_it_is_nearest_to(catalogue: Catalogue) -> None:
    for matrix in catalogue.descriptors.values():
        matrix[:] = matrix[:1]
    catalogue.unit[:] = catalogue.unit[:1]
    measured = SONGS + 4
    assert measured / 2 <= len(candidates(catalogue)) <= NEAREST * measured


def test_files_that_are_gone_or_no_music_are_listed_and_their_pairs_unverified(
    catalogue: Catalogue, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for the reader of files: the store is as before."""
    away = {"near": "missing_file", "07": "undecodable"}

    def listen_to(path: str) -> Heard:
        if (reason := away.get(name_of(path))) is not None:
            raise AudioError(path, reason, "not to be heard")
        return listen(path)

    monkeypatch.setattr("mirclr.library.duplicates.listen", listen_to)
    found = finish(duplicates(catalogue))
    assert kinds(found) == [("copy", "20", "copy of 20"), ("unverified", "03", "near"), ("unverified", "07", "remix")]
    assert found.pairs[1].reason == f"{played / 'near.wav'}: missing_file"
    assert found.pairs[1].likeness is None
    assert {(name_of(row["path"]), row["reason"]) for row in found.quarantine} == set(away.items())


def test_the_command_says_what_it_could_not_hear(catalogue: Catalogue, played: Path) -> None:
    (played / "03.wav").rename(played / "03 elsewhere.wav")
    try:
        result = CliRunner().invoke(main, ["library", "duplicates", "--store", str(catalogue.path), "--json"])
    finally:
        (played / "03 elsewhere.wav").rename(played / "03.wav")
    assert result.exit_code == 3
    assert [row["kind"] for row in json.loads(result.stdout)] == ["copy", "version", "unverified"]
    assert f"quarantined: missing_file: {played / '03.wav'}" in result.stderr
    assert "4 pair(s) were proposed and compared by their sound" in result.stderr


def test_a_file_of_no_samples_is_no_music(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(AudioError, match="zero_length"):
        listen(str(tmp_path / "empty.wav"))


def test_a_store_that_was_never_measured_has_only_copies(catalogue: Catalogue) -> None:
    for matrix in catalogue.descriptors.values():
        matrix[:] = np.nan
    assert [pair.kind for pair in finish(duplicates(catalogue)).pairs] == ["copy"]


@pytest.mark.parametrize("kind", ["nearest", "walk", "journey", "arc"])
def test_no_list_holds_two_files_of_one_recording(catalogue: Catalogue, kind: Kind) -> None:
    count = len(catalogue.tracks)
    shape = Shape(kind, curve=Arc.parse("energy=rise") if kind == "arc" else None)
    made = make_playlist(catalogue, seeds_of(catalogue), Rules(count, per_artist=count), shape)
    names = {name_of(entry.track["path"]) for entry in made.entries}
    assert len({"03", "near"} & names) == 1
    assert {"07", "remix", "09", "alike", "11", "same key and beat"} <= names
    assert len(made.entries) == count - 1 - (kind == "arc")  # no arc without a measured energy


def test_radio_plays_no_second_file_of_what_it_played_lately(catalogue: Catalogue) -> None:
    with moments_of(catalogue) as moments:
        radio = Radio(catalogue, [seeds_of(catalogue, "03")[0]], moments, temperature=0)
        heard = [name_of(radio.next().track["path"]) for _ in range(len(catalogue.tracks) // 2 - 1)]
    assert "near" not in heard


def test_a_file_outside_the_library_is_known_as_the_recording_that_is_inside(
    catalogue: Catalogue, played: Path
) -> None:
    names = [name_of(path) for path in catalogue.tracks["path"]]
    rows = {name: names.index(name) for name in ("03", "07", "09", "20")}
    with Library.open(catalogue.path) as library:
        vectors = library.vectors_of([catalogue.tracks["audio_id"].iloc[row] for row in rows.values()])
    sounds = dict(zip(rows, vectors, strict=True))
    louder = played.parent / "louder.wav"
    samples, rate = soundfile.read(played / "09.wav")
    soundfile.write(louder, 0.5 * samples[rate:], rate)

    def heard(name: str, path: Path, **said: str) -> Outside:
        track = {**track_row(str(path)), "audio_id": "of no track", **said}
        return Outside(track, near(sounds[name], 0.02, 8), sounds[name][None], np.zeros(1))

    assert own_row(catalogue, heard("09", louder)) == rows["09"]
    assert own_row(catalogue, heard("07", louder)) is None, "it is not among the rows nearest to it"
    assert own_row(catalogue, heard("20", played / "03.wav")) is None, "the files of these cannot be opened"
    known = {"audio_id": catalogue.tracks["audio_id"].iloc[rows["20"]]}
    assert own_row(catalogue, heard("09", louder, **known)) == rows["20"]
    seed = Seed.heard(catalogue, heard("09", louder).track, sounds["09"], rows["09"])
    listed = [entry.track["path"] for entry in make_playlist(catalogue, [seed], Rules(30)).entries]
    assert listed[0] == str(louder)
    assert "09" not in [name_of(path) for path in listed[1:]]


def seeds_of(catalogue: Catalogue, *names: str) -> list[Seed]:
    rows = {name_of(path): row for row, path in enumerate(catalogue.tracks["path"])}
    return [Seed(catalogue.track(rows[name]), catalogue.unit[rows[name]], rows[name]) for name in names or ("00", "01")]


def test_a_playlist_keeps_apart_only_what_was_measured_as_one_recording(catalogue: Catalogue) -> None:
    every = np.arange(len(catalogue.tracks))
    names = [name_of(path) for path in catalogue.tracks["path"]]
    with moments_of(catalogue) as moments:
        known = Recordings(catalogue, moments)
        found = {
            (names[row], names[other]) for row in every for other in np.flatnonzero(known.same(every[[row]], every))
        }
    assert found == {("03", "near"), ("near", "03")}
