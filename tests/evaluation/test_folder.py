"""The card of a folder without labels: halves find each other, artists themselves, and rows are compared fairly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from mirclr.config import PretrainConfig
from mirclr.errors import DatasetError
from mirclr.evaluation.folder import FolderReport, Halves, _Judge, evaluate_folder, same_track, write_folder_report
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.together import Together
from mirclr.models.embedder import Embedder
from mirclr.reports import finish
from mirclr.seeds import generator
from mirclr.training.learner import plan_of


class Mean:
    """One number: the mean of what it hears; shows which samples it was given."""

    name, fingerprint, dim, sample_rate = "mean", "mean", 1, 100

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[samples.mean()]], np.float32), np.zeros(1)


def slow_same_track(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By hand: standardise both halves together, every cosine by itself, strictly greater than all others."""
    both = np.concatenate([first, second])
    scale = both.std(axis=0)
    one, two = ((part - both.mean(axis=0)) / np.where(scale > 0, scale, 1) for part in (first, second))

    def finds(asked: np.ndarray, known: np.ndarray, row: int) -> bool:
        cosine = [asked[row] @ k / (np.linalg.norm(asked[row]) * np.linalg.norm(k)) for k in known]
        return all(cosine[row] > c for other, c in enumerate(cosine) if other != row)

    return np.array([(finds(one, two, row) + finds(two, one, row)) / 2 for row in range(len(first))])


@pytest.mark.parametrize("seed", range(5))
def test_same_track_agrees_with_a_slow_count(seed: int) -> None:
    rng = generator(seed, "halves")
    first = rng.normal(size=(12, 3))
    second = first + rng.normal(size=(12, 3)) * rng.uniform(0, 3)
    np.testing.assert_array_equal(same_track(first, second), slow_same_track(first, second))


def test_a_vector_that_says_nothing_finds_nothing() -> None:
    assert same_track(np.ones((5, 4)), np.ones((5, 4))).sum() == 0


def test_halves_hear_the_two_halves_and_a_single_sample_twice() -> None:
    halves = Halves(Together({"mean": Mean()}))
    vectors, starts = halves.segments(np.array([0, 0, 0, 4, 4, 4], np.float32))
    assert (vectors.tolist(), starts.tolist()) == ([[0], [4]], [0, 0.03])
    assert halves.segments(np.array([7], np.float32))[0].tolist() == [[7], [7]]


def test_chance_is_what_shuffled_vectors_get() -> None:
    groups = np.repeat(np.arange(10), 3)
    judge = _Judge(groups, draws=50, seed=0)
    rng = generator(1, "chance")
    drawn = [judge.row(*rng.normal(size=(2, 30, 6))).measures for _ in range(200)]
    for key, measure in judge.chance().measures.items():
        assert np.mean([d[key].value for d in drawn]) == pytest.approx(measure.value, abs=0.015)


def test_without_two_tracks_of_one_artist_only_the_same_track_is_asked() -> None:
    judge = _Judge(np.arange(6), draws=20, seed=0)
    assert list(judge.row(*generator(0).normal(size=(2, 6, 4))).measures) == ["retrieval.same_track_r1"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> FolderReport:
    """Six steady tones by three artists, one file that is no sound; a small untrained encoder plays the trained one."""
    folder = tmp_path_factory.mktemp("tones")
    rows = []
    for number in range(6):
        path = folder / f"{number}.wav"
        tone = np.sin(2 * np.pi * 200 * 1.5**number * np.arange(16_000 * 4) / 16_000)
        soundfile.write(path, (0.3 * tone).astype(np.float32), 16_000)
        rows.append({"path": str(path), "artist": f"artist {number // 2}"})
    (folder / "words.wav").write_text("words")
    rows.append({"path": str(folder / "words.wav"), "artist": "nobody"})
    plan = plan_of(PretrainConfig.model_validate({"encoder": {"name": "resnet", "width": 8}}))
    encoder = EncoderExtractor(Embedder(plan), name="trained", device="cpu", notes=("trained on these tracks",))
    return finish(evaluate_folder(pd.DataFrame(rows), encoder, random_seeds=2, draws=100))


def test_the_card_has_every_row_and_steady_tones_find_their_halves(report: FolderReport) -> None:
    assert [row.name for row in report.rows] == [
        "chance",
        "MFCC statistics",
        "random-init (mean of 2 seeds)",
        "trained",
    ]
    assert (report.tracks, report.artists) == (6, 3)
    same = [row.judged.measures["retrieval.same_track_r1"].value for row in report.rows]
    assert same[0] == pytest.approx(1 / 6)
    assert same[1] == 1.0
    assert report.rows[-1].notes == ("trained on these tracks",)


def test_the_card_on_screen_has_a_cell_for_every_measure(report: FolderReport) -> None:
    card = report.card()
    assert card[1]["same-track R@1"] == "100.0 % (100.0 to 100.0)"
    assert [list(row) for row in card] == [["row", "same-track R@1", "same-artist R@1", "same-artist mAP"]] * 4


def test_every_measure_is_compared_with_both_rivals_in_words(report: FolderReport) -> None:
    asked = [(c.measure, c.ours, c.rival) for c in report.comparisons]
    assert asked[:2] == [
        ("retrieval.same_track_r1", "trained", "random-init (mean of 2 seeds)"),
        ("retrieval.same_track_r1", "trained", "MFCC statistics"),
    ]
    assert len(report.sentences) == 4
    assert "same-track R@1 of trained" in report.sentences[0]


def test_what_could_not_be_read_is_listed_and_the_files_say_the_same(report: FolderReport, tmp_path: Path) -> None:
    assert [Path(p).name for p in report.quarantine["path"]] == ["words.wav"]
    table, _, data = write_folder_report(report, tmp_path / "card")
    assert pd.read_csv(table).to_dict("records") == [pytest.approx(r) for r in report.records()]
    assert json.loads(data.read_text())["rows"] == report.records()


def test_fewer_than_two_readable_tracks_make_no_card(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("words")
    encoder = EncoderExtractor(Embedder(plan_of(PretrainConfig())), name="trained", device="cpu")
    with pytest.raises(DatasetError, match=r"0 of 1 tracks could be read; a report needs 2"):
        finish(evaluate_folder(pd.DataFrame([{"path": str(tmp_path / "a.wav"), "artist": "x"}]), encoder))
