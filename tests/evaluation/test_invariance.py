"""The invariance card: what cannot hear a change does not move, what can moves by the right amount, ranks by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

from mirclr.cli.main import main
from mirclr.errors import DatasetError
from mirclr.evaluation.bootstrap import track_weights
from mirclr.evaluation.changes import Change, changes_for
from mirclr.evaluation.invariance import (
    METRICS,
    Altered,
    InvarianceReport,
    _row,
    chosen_tracks,
    excerpt,
    invariance,
    nearest_other,
    own_rank,
    weighted_medians,
    write_invariance,
)
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.encoder_file import load_encoder, save_encoder
from mirclr.features.together import Together
from mirclr.models.embedder import Embedder
from mirclr.plots.invariance import draw_invariance
from mirclr.reports import finish
from mirclr.seeds import generator

RATE = 8000
PLAN = {
    "sample_rate": RATE,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}


class Ear:
    """Octaves of the loudest frequency above 100 Hz, its share of the power, pulses per second, level in decibels."""

    name, fingerprint, dim, sample_rate = "ear", "ear", 4, RATE

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = 1 << 18
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=size)) ** 2
        peak = power.argmax()
        step = RATE // 50  # 20 ms: longer than a period of the lowest tone
        envelope = np.sqrt((samples[: len(samples) // step * step].reshape(-1, step) ** 2).mean(axis=1))
        beat = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)), n=1 << 14)).argmax()
        near = power[max(0, peak - 400) : peak + 400].sum() / power.sum()
        level = 10 * np.log10((samples**2).mean())
        return np.array(
            [[np.log2(peak * RATE / size / 100), near, beat * 50 / (1 << 14), level]], np.float32
        ), np.zeros(1)


def pulsing(hertz: float, beats: float, db: float = -20, seconds: float = 6.0) -> np.ndarray:
    """A tone that swells `beats` times a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    swell = 1 + 0.6 * np.cos(2 * np.pi * beats * time)
    return (10 ** (db / 20) * np.sin(2 * np.pi * hertz * time) * swell).astype(np.float32)


def heard(change: Change, sound: np.ndarray, seconds: float = 4.0) -> np.ndarray:
    """What the ear hears of the excerpt, as it is and changed: `(2, 4)`."""
    return Altered(Together({"ear": Ear()}), [change], seconds, 0).segments(sound)[0]


def by_attribute(attribute: str) -> list[Change]:
    return [change for change in changes_for(RATE) if change.attribute == attribute]


@pytest.mark.parametrize("change", by_attribute("key"), ids=lambda c: c.amount)
def test_a_tone_moves_by_its_semitones_and_keeps_its_beat_and_level(change: Change) -> None:
    before, after = heard(change, pulsing(440, 3))
    assert after[0] - before[0] == pytest.approx(int(change.amount.split()[0]) / 12, abs=0.01)
    assert after[2:] == pytest.approx(before[2:], abs=0.1)


@pytest.mark.parametrize("change", by_attribute("tempo"), ids=lambda c: c.amount)
def test_a_beat_moves_by_its_per_cent_and_the_tone_stays(change: Change) -> None:
    before, after = heard(change, pulsing(440, 3))
    assert after[2] / before[2] == pytest.approx(1 + int(change.amount.split()[0]) / 100, abs=0.01)
    assert after[0] == pytest.approx(before[0], abs=0.005)


@pytest.mark.parametrize("change", by_attribute("loudness"), ids=lambda c: c.amount)
def test_loudness_moves_by_its_decibels_and_nothing_else_moves(change: Change) -> None:
    before, after = heard(change, pulsing(440, 3))
    assert after[3] - before[3] == pytest.approx(int(change.amount.split()[0]), abs=1e-4)
    assert after[:3] == pytest.approx(before[:3], abs=1e-4)


def test_noise_has_its_ratio_and_codecs_keep_tone_and_beat() -> None:
    before, after = heard(by_attribute("noise")[0], pulsing(440, 3))
    assert after[3] - before[3] == pytest.approx(10 * np.log10(1.01), abs=0.02)
    for change in by_attribute("bitrate"):
        before, after = heard(change, pulsing(440, 3))
        assert after[[0, 2]] == pytest.approx(before[[0, 2]], abs=0.01)


def test_a_low_pass_takes_what_is_above_it_and_is_not_offered_where_nothing_is() -> None:
    (change,) = [c for c in changes_for(16_000) if c.attribute == "low-pass"]
    time = np.arange(16_000) / 16_000
    high, low = (change(np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (7000, 1000))
    assert (high**2).mean() < 1e-3 * (low**2).mean()
    assert by_attribute("low-pass") == []


def test_the_codec_is_one_that_knows_the_sample_rate() -> None:
    amounts = {rate: [c.amount for c in changes_for(rate) if c.attribute == "bitrate"] for rate in (16_000, 20_000)}
    assert amounts == {16_000: ["mp3 high", "mp3 low"], 20_000: ["ogg high", "ogg low"]}


def test_what_is_drawn_depends_on_seed_and_sound_only() -> None:
    change, sound = by_attribute("eq")[0], pulsing(440, 3, seconds=1)
    np.testing.assert_array_equal(change(sound, 1), change(sound, 1))
    curves = [np.abs(np.fft.rfft(change(s, seed))).argmax() for s, seed in ((sound, 1), (sound, 2))]
    assert curves[0] == curves[1]  # the tone stays
    levels = {float((change(s, seed) ** 2).mean() / (s**2).mean()) for s in (sound, -sound) for seed in (1, 2)}
    assert len(levels) == 4


class Treble:
    """The share of the power above 2 kHz."""

    name, fingerprint, dim, sample_rate = "treble", "treble", 1, RATE

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        power = np.abs(np.fft.rfft(samples)) ** 2
        return np.array([[power[len(power) // 2 :].sum() / power.sum()]], np.float32), np.zeros(1)


def test_a_faster_excerpt_holds_what_really_follows() -> None:
    """0.05 s after the excerpt the tone goes up by four octaves: of that, a faster excerpt holds what it should."""
    low, high = (pulsing(f, 0, seconds=10) for f in (200, 3200))
    rates = np.array([1, 0.88, 0.94, 0.97, 1.03, 1.06, 1.12])
    tape = [Change("tempo", f"{rate}", "speed", RATE, fixed={"rate": rate}) for rate in rates[1:]]
    altered = Altered(Together({"treble": Treble()}), tape, 4.0, 0)
    vectors, starts = altered.segments(np.where(np.arange(10 * RATE) < 7.05 * RATE, low, high))
    assert starts.tolist() == [3.0] * 7
    np.testing.assert_allclose(vectors[:, 0], np.maximum(0, 2 * rates - 2.05) / rates / 4, atol=3e-4)


@pytest.mark.parametrize("length", [1, 7, RATE * 4 - 1, RATE * 4 + 1])
def test_a_track_shorter_than_the_excerpt_is_heard_whole(length: int) -> None:
    around, kept = excerpt(np.arange(length, dtype=np.float32), RATE, 4.0)
    assert kept.stop - kept.start == min(length, 4 * RATE)
    assert len(around) == length


def slow_row(known: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """By hand: standardise, scale, rank and measure track by track."""
    mean, scale = known.mean(axis=0), known.std(axis=0)
    one, two = ((v - mean) / scale for v in (known, asked))
    one, two = (np.array([row / np.sqrt(row @ row) for row in v]) for v in (one, two))
    count = len(one)
    others = [min(np.sqrt(((one[i] - one[j]) ** 2).sum()) for j in range(count) if j != i) for i in range(count)]
    ranks = [1 + sum(two[i] @ one[j] >= two[i] @ one[i] for j in range(count) if j != i) for i in range(count)]
    return {
        "rank": float(np.median(ranks)),
        "first": float(np.mean([r == 1 for r in ranks])),
        "cosine": float(np.mean([two[i] @ one[i] for i in range(count)])),
        "shift": float(np.median([np.sqrt(((two[i] - one[i]) ** 2).sum()) for i in range(count)]) / np.median(others)),
    }


@pytest.mark.parametrize("seed", range(5))
def test_measures_agree_with_a_slow_count_and_lie_in_their_intervals(seed: int) -> None:
    rng = generator(seed, "invariance")
    known = rng.normal(size=(15, 4)) * [1, 2, 3, 4] + 5
    asked = known + rng.normal(size=known.shape)
    (measures,) = _row("row", [known, asked], track_weights(np.arange(15) // 2, 400, 0))
    assert {name: m.value for name, m in measures.items()} == pytest.approx(slow_row(known, asked))
    assert all(m.low <= m.value <= m.high for m in measures.values())
    assert measures["cosine"].low < measures["cosine"].high


def test_what_does_not_move_has_shift_0_and_rank_1_with_no_doubt() -> None:
    known = generator(0).normal(size=(12, 3))
    (measures,) = _row("row", [known, known.copy()], track_weights(np.arange(12), 100, 0))
    assert {n: (m.low, m.value, m.high) for n, m in measures.items()} == {
        "rank": (1, 1, 1), "first": (1, 1, 1), "cosine": (pytest.approx(1),) * 3, "shift": (0, 0, 0),
    }  # fmt: skip


def test_moving_onto_the_next_track_is_a_shift_of_1() -> None:
    """Pairs at one distance on a circle; every track takes its partner's place."""
    angle = np.deg2rad(np.repeat([0, 90, 180, 270], 2) + np.tile([-5, 5], 4))
    known = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    (measures,) = _row(
        "row", [known, known.reshape(4, 2, 2)[:, ::-1].reshape(8, 2)], track_weights(np.arange(8), 50, 0)
    )
    assert measures["shift"].value == pytest.approx(1)
    assert (measures["rank"].value, measures["first"].value) == (2, 0)
    np.testing.assert_allclose(nearest_other(known), 2 * np.sin(np.deg2rad(5)))


def test_vectors_that_say_nothing_find_nothing_and_make_no_card() -> None:
    assert own_rank(np.zeros((6, 2)), np.zeros((6, 2))).tolist() == [6] * 6
    with pytest.raises(DatasetError, match="flat: half of the 6 tracks have the vector of another track"):
        list(_row("flat", [np.ones((6, 2)), np.ones((6, 2))], np.ones((1, 6), np.float32)))


def test_medians_count_each_value_as_often_as_its_weight_says() -> None:
    rng = generator(3)
    values = rng.integers(0, 6, 9).astype(float)
    weights = track_weights(np.arange(9), 200, 1)
    slow = [np.median(np.repeat(values, row.astype(int))) for row in weights]
    np.testing.assert_array_equal(weighted_medians(values, weights), slow)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pulsing tones by four artists, one file that is no sound, and a small encoder in `run`."""
    folder = tmp_path_factory.mktemp("invariance")
    (folder / "music").mkdir()
    lines = ["path,label,artist"]
    for i in range(8):
        sound = pulsing(150 * 1.4**i, 1 + i % 3, seconds=2.5) + 0.003 * generator(1, i).normal(size=round(2.5 * RATE))
        soundfile.write(folder / "music" / f"{i}.wav", sound, RATE)
        lines.append(f"{i}.wav,{'ab'[i // 2 % 2]},artist {i // 2}")
    (folder / "music" / "labels.csv").write_text("\n".join(lines))
    (folder / "music" / "words.wav").write_text("words")
    save_encoder(folder / "run" / "encoder", Embedder(PLAN), {"name": "run", "notes": ["trained on these tracks"]})
    return folder


def card(place: Path, **how: int) -> InvarianceReport:
    rows = [{"path": str(place / "music" / f"{i}.wav"), "artist": f"artist {i // 2}"} for i in range(8)]
    rows.append({"path": str(place / "music" / "words.wav"), "artist": "nobody"})
    encoder = load_encoder(place / "run", "cpu")
    return finish(invariance(pd.DataFrame(rows), encoder, seconds=2.0, draws=50, **how))


@pytest.fixture(scope="module")
def report(place: Path) -> InvarianceReport:
    return card(place, workers=1)


def test_the_card_has_every_change_of_every_row(report: InvarianceReport, tmp_path: Path) -> None:
    changes = [change.name for change in changes_for(RATE)]
    assert [(m.row, m.change.name) for m in report.moved] == [
        (row, change) for row in ("MFCC statistics", "random-init (seed 0)", "run") for change in changes
    ]
    assert (report.tracks, report.artists, report.notes) == (8, 4, ("trained on these tracks",))
    assert [line["change"] for line in report.card()] == changes
    assert [Path(p).name for p in report.quarantine["path"]] == ["words.wav"]
    table, data = write_invariance(report, tmp_path)
    assert json.loads(data.read_text())["rows"] == report.records()
    assert len(pd.read_csv(table)) == 3 * len(changes) * len(METRICS)


def test_the_number_of_threads_changes_nothing(place: Path, report: InvarianceReport) -> None:
    assert card(place, workers=2).records() == report.records()


def test_tracks_are_chosen_by_seed_in_table_order_and_all_where_there_are_no_more() -> None:
    table = pd.DataFrame({"path": [f"{i:02}" for i in range(40)]})
    first, again, other = (list(chosen_tracks(table, 10, seed)["path"]) for seed in (0, 0, 1))
    assert (first, len(set(first))) == (again, 10)
    assert first == sorted(first)
    assert first != other
    assert chosen_tracks(table, 40, 0) is table


def test_the_figure_has_a_panel_an_attribute_with_a_line_a_row(report: InvarianceReport) -> None:
    panels = draw_invariance(report, "tones").axes
    assert [axes.get_title() for axes in panels] == ["tempo", "key", "loudness", "eq", "bitrate", "noise"]
    drawn = panels[1].containers[2].lines[0].get_ydata()
    assert list(drawn) == [
        m.measures["shift"].value for m in report.moved if (m.row, m.change.attribute) == ("run", "key")
    ]


@pytest.mark.parametrize(("how", "said"), [({"count": 2}, "got 2 and 2"), ({"count": 3, "seconds": 0}, "got 3 and 0")])
def test_too_few_tracks_or_no_seconds_are_refused(how: dict[str, float], said: str) -> None:
    encoder = EncoderExtractor(Embedder(PLAN), name="run", device="cpu")
    with pytest.raises(ValueError, match=said):
        finish(invariance(pd.DataFrame({"path": [], "artist": []}), encoder, **{"seconds": 2, **how}))


def test_unreadable_music_makes_no_card(place: Path) -> None:
    encoder = EncoderExtractor(Embedder(PLAN), name="run", device="cpu")
    table = pd.DataFrame({"path": [str(place / "music" / "words.wav")], "artist": ["x"]})
    with pytest.raises(DatasetError, match="0 of 1 tracks could be read; a card needs 3"):
        finish(invariance(table, encoder))


@pytest.mark.parametrize(("what", "code"), [("music", 3), ("music/labels.csv", 0)])
def test_the_command_takes_a_folder_or_a_collection(place: Path, tmp_path: Path, what: str, code: int) -> None:
    words = [str(place / what), "--encoder", str(place / "run"), "-o", str(tmp_path / "card"), "--seconds", "1"]
    done = CliRunner().invoke(main, ["invariance", *words, "--tracks", "4", "--workers", "1"])
    assert done.exit_code == code, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["change", *(change.name for change in changes_for(RATE))]
    assert {len(line) for line in lines} == {7}
    assert sorted(p.name for p in (tmp_path / "card").iterdir()) == [
        "invariance.csv", "invariance.json", "invariance.png",
    ]  # fmt: skip
    assert "note: trained on these tracks" in done.stderr
    assert ("words.wav" in done.stderr) == (code == 3)
