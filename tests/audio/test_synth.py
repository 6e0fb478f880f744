"""The procedural band, checked by the physics of its sound: what the labels say is what is heard."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from mirclr.audio.synth import PARTS, STYLES, Rendered, Song, render
from mirclr.audio.synth_score import compose
from mirclr.audio.synth_theory import KEYS, PITCHES, SCALES
from mirclr.compiled import librosa

RATE = 22_050
SONG = Song("rock", "The Test Tubes", 120.0, "A minor", 7, 16.0)


@lru_cache(maxsize=64)
def played(song: Song, parts: Sequence[str] = PARTS) -> Rendered:
    return render(song, RATE, parts=parts)


def styled(style: str, **changes: object) -> Song:
    """A song in the middle of the style's usual tempi."""
    return replace(SONG, style=style, tempo=round(sum(STYLES[style].tempo) / 2), **changes)  # type: ignore[arg-type]


def pitch_class_energy(samples: np.ndarray) -> np.ndarray:
    """Energy by pitch class, `(12,)`, summing to 1, where chords have their fundamentals and octaves."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 2 * RATE)) ** 2
    hz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    heard = (hz > 160) & (hz < 500)
    classes = np.round(69 + 12 * np.log2(hz[heard] / 440)).astype(int) % 12
    energy = np.bincount(classes, power[heard], 12)
    return energy / energy.sum()


def onsets(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Rise of the energy, weighted towards high frequencies, in frames of 2 ms, and the frames' rate in Hz."""
    hop = RATE // 500
    samples = np.diff(samples, n=2, prepend=[0, 0])  # or every swing of a kick drum's 55 Hz would be an onset
    energy = np.square(samples[: len(samples) // hop * hop]).reshape(-1, hop).sum(1)
    level = np.log(energy + 1e-4)
    return np.maximum(np.diff(level, prepend=level[0]), 0), RATE / hop


def test_the_same_song_is_the_same_bits_in_every_process() -> None:
    code = (
        "import hashlib; from mirclr.audio.synth import Song, render;"
        f"print(hashlib.sha256(render({SONG!r}, {RATE}).samples.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": "."}
    run = [sys.executable, "-c", code]
    there = subprocess.run(
        run, capture_output=True, text=True, check=True, env=environment, cwd=Path(__file__).parents[2]
    )
    assert there.stdout.strip() == hashlib.sha256(played(SONG).samples.tobytes()).hexdigest()


def test_another_seed_is_another_song() -> None:
    a, b = played(SONG).samples, played(replace(SONG, seed=8)).samples
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


@pytest.mark.parametrize("style", STYLES)
def test_sound_is_whole_and_never_clips(style: str) -> None:
    samples = played(styled(style)).samples
    assert samples.dtype == np.float32
    assert samples.shape == (16 * RATE,)
    assert np.abs(samples).max() == pytest.approx(0.891, abs=1e-3)
    assert np.sum(np.abs(samples) > 0.88) < 40  # highest peaks, no flat tops
    assert np.sqrt(np.mean(samples**2)) > 0.05
    assert abs(samples.mean()) < 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_the_chords_sound_the_tones_their_labels_name(style: str) -> None:
    song = styled(style)
    truth = played(song, ("chords",))
    matches, shifted = [], []
    for chord in truth.chords[1:-1]:
        heard = pitch_class_energy(truth.samples[round(chord.start * RATE) : round(chord.end * RATE)])
        matches.append(heard[list(chord.classes)].sum())
        shifted.append(heard[[(c + 1) % 12 for c in chord.classes]].sum())
    assert np.mean(matches) > 0.9
    assert np.mean(shifted) < 0.2


@pytest.mark.parametrize("style", STYLES)
def test_chords_follow_each_other_and_are_labelled_in_the_fields_syntax(style: str) -> None:
    song = styled(style)
    chords = played(song).chords
    assert chords[-1].end == song.duration
    np.testing.assert_allclose([c.end for c in chords[:-1]], [c.start for c in chords[1:]])
    for chord in chords:
        root, bitmap, _ = mir_eval.chord.encode(chord.label)
        assert tuple((root + i) % 12 for i in np.flatnonzero(bitmap)) == chord.classes


def test_another_key_is_the_same_music_transposed() -> None:
    low = pitch_class_energy(played(SONG, ("chords",)).samples)
    high = pitch_class_energy(played(replace(SONG, key="C# minor"), ("chords",)).samples)
    match = [np.corrcoef(np.roll(low, k), high)[0, 1] for k in range(12)]
    assert int(np.argmax(match)) == 4
    assert match[4] > 0.8


@pytest.mark.parametrize("key", ["Eb major", "F# minor"])
@pytest.mark.parametrize("style", [s for s in STYLES if s != "shuffle"])
def test_melody_stays_in_its_scale_and_leans_on_the_chord(style: str, key: str) -> None:
    tonic, mode = key.split()
    scale = {(PITCHES.index(tonic) + s) % 12 for s in SCALES[mode]}
    score = compose(style, key, 120.0, 3, 30.0)
    on_chord = []
    for note in score.lead:
        chord = max((c for c in score.chords if c.start <= note.start + 1e-9), key=lambda c: c.start)
        assert note.pitch % 12 in scale | set(chord.classes)
        on_chord.append(note.pitch % 12 in chord.classes)
    assert len(on_chord) > 10
    assert np.mean(on_chord) > 0.6


@pytest.mark.parametrize("tempo", [83.0, 127.0])
@pytest.mark.parametrize("style", ["rock", "house", "ballad", "bossa", "march", "reggae"])
def test_the_drums_repeat_at_the_tempo(style: str, tempo: float) -> None:
    rise, rate = onsets(played(replace(SONG, style=style, tempo=tempo), ("drums",)).samples)
    rise = rise - rise.mean()
    spectrum = np.abs(np.fft.rfft(rise, 2 * len(rise))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(rise)]
    lags = np.arange(round(rate * 60 / 240), round(rate * 60 / 40))
    best = lags[np.argmax(correlation[lags])] / rate
    half_beats = best / (30 / tempo)
    assert half_beats > 0.9
    assert abs(half_beats - round(half_beats)) < 0.03


@pytest.mark.parametrize("style", STYLES)
def test_drum_onsets_lie_on_the_beats_to_5_ms(style: str) -> None:
    song = styled(style)
    drums = played(song, ("drums",))
    hits = np.array([h.start for h in compose(song.style, song.key, song.tempo, song.seed, song.duration).hits])
    rise, rate = onsets(drums.samples)
    beats = [b for b in drums.beats[1:-2] if np.abs(hits - b).min() < 1e-6]
    errors = []
    for beat in beats:
        first = round((beat - 0.03) * rate)
        errors.append((first + np.argmax(rise[first : first + round(0.06 * rate)])) / rate - beat)
    assert len(beats) > 10
    assert np.mean(np.abs(errors) < 0.005) > 0.9


@pytest.mark.parametrize("style", STYLES)
def test_beats_are_even_and_bars_have_the_metre(style: str) -> None:
    song = styled(style)
    truth = played(song)
    np.testing.assert_allclose(np.diff(truth.beats), 60 / song.tempo)
    np.testing.assert_array_equal(truth.downbeats, truth.beats[:: STYLES[style].beats])
    assert song.duration - 60 / song.tempo < truth.beats[-1] <= song.duration


def test_the_shuffle_swings_in_triplets_and_rock_does_not() -> None:
    places = {}
    for style in ("shuffle", "rock"):
        score = compose(style, "E major", 120.0, 1, 30.0)
        phase = (np.array([h.start for h in score.hits]) - score.beats[0]) * 2 % 1
        places[style] = np.bincount(np.round(phase * 12).astype(int) % 12, minlength=12)
    assert places["shuffle"][8] > 5 * places["shuffle"][6]
    assert places["rock"][6] > 5 * places["rock"][8]


def test_another_tempo_is_the_same_music_faster() -> None:
    slow, fast = (compose("rock", "A minor", tempo, 7, 20.0) for tempo in (100.0, 125.0))
    assert [c.label for c in slow.chords] == [c.label for c in fast.chords][: len(slow.chords)]
    offset = slow.beats[0]
    expected = [(n.start - offset) / 1.25 for n in slow.lead[:20]]
    np.testing.assert_allclose([n.start - offset for n in fast.lead[:20]], expected, atol=0.008)


def timbre(samples: np.ndarray) -> np.ndarray:
    mfcc = librosa().feature.mfcc(y=samples, sr=RATE, n_mfcc=20, hop_length=1024)[1:]
    return np.concatenate([mfcc.mean(1), mfcc.std(1)])


def test_an_artist_is_recognised_by_timbre_in_songs_not_heard_before() -> None:
    songs = [Song("rock", f"Artist {a}", 110.0, "C major", seed, 12.0) for a in range(6) for seed in range(2)]
    x = np.stack([timbre(played(song).samples[4 * RATE :]) for song in songs])  # after the intro
    x = (x - x.mean(0)) / x.std(0)
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    right = [songs[i].artist == songs[j].artist for i, j in enumerate(distance.argmin(1))]
    assert np.mean(right) > 0.7  # chance is 1/11


def test_the_artist_changes_the_sound_and_not_the_music() -> None:
    other = replace(SONG, artist="Somebody Else")
    a, b = played(SONG, ("chords",)), played(other, ("chords",))
    assert a.chords == b.chords
    np.testing.assert_array_equal(a.beats, b.beats)
    assert np.linalg.norm(timbre(a.samples) - timbre(b.samples)) > 20
    assert np.corrcoef(pitch_class_energy(a.samples), pitch_class_energy(b.samples))[0, 1] > 0.7


@pytest.mark.parametrize("style", STYLES)
def test_a_track_has_a_form_that_two_crops_can_tell(style: str) -> None:
    song = styled(style, duration=30.0)
    truth = played(song)
    names = {s.name for s in truth.sections}
    assert {"verse", "chorus"} <= names
    np.testing.assert_allclose([s.end for s in truth.sections[:-1]], [s.start for s in truth.sections[1:]])
    crops = {}
    for section in truth.sections:
        if section.end - section.start > 4:
            first = round((section.start + 0.2) * RATE)
            crops[section.name] = truth.samples[first : first + 3 * RATE]
    energy = {name: librosa().feature.melspectrogram(y=crop, sr=RATE).mean(1) for name, crop in crops.items()}
    assert np.abs(10 * np.log10(energy["verse"] / energy["chorus"])).mean() > 1.5  # dB


@pytest.mark.parametrize("name", STYLES)
def test_every_pattern_fits_its_bar(name: str) -> None:
    style = STYLES[name]
    steps = 4 * style.beats
    drums = [p for d in (*style.verse, *style.chorus) for p in d.values()]
    assert all(steps % len(p) == 0 and set(p) <= set("123456789.") for p in drums)
    assert all(len(p) == steps and set(p) <= set("R35678-.") for p in style.bass)
    assert all(len(p) == steps and set(p) <= set("x1234-.") for p in style.comp)
    assert all(len(p) == 2 * steps and set(p) <= set("xo-.") for p in style.cells)
    assert all(set(p) <= set(range(1, 8)) for p in (*style.major, *style.minor))


def test_parts_are_played_alone() -> None:
    spectra = {}
    for part in PARTS:
        power = np.abs(np.fft.rfft(played(SONG, (part,)).samples)) ** 2
        hz = np.fft.rfftfreq(16 * RATE, 1 / RATE)
        spectra[part] = np.exp((np.log(hz[1:]) * power[1:]).sum() / power[1:].sum())
    assert spectra["bass"] < 160 < spectra["chords"] < spectra["lead"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style": "polka"}, "no style 'polka'; known: waltz"),
        ({"key": "H major"}, "no key 'H major'"),
        ({"tempo": 20.0}, "tempo in 40..240"),
        ({"duration": 0.5}, "duration >= 1"),
        ({"seed": -1}, "seed >= 0"),
    ],
)
def test_a_song_that_cannot_be_played_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SONG, **change)  # type: ignore[arg-type]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match="parts must be some of drums"):
        render(SONG, RATE, parts=("choir",))
    assert len(KEYS) == 24
