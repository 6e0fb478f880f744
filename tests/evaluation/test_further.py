"""What a card holds beside its rows: few labels, changed tracks, other people's vectors, kept embeddings."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mirclr.augment.codec import round_trip
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation import probes
from mirclr.evaluation.crossfit import Problem, predict_splits
from mirclr.evaluation.exams import Exams, d_prime
from mirclr.evaluation.given import Table, read_tables
from mirclr.evaluation.judge import Judge
from mirclr.evaluation.label_efficiency import efficiency_section, judge_few, told_tracks
from mirclr.evaluation.report_files import write_report
from mirclr.evaluation.retrieval import Ground
from mirclr.evaluation.robustness import UNCHANGED, Played, Playing, compression_of, conditions, drops, judge_worn, wear
from mirclr.evaluation.softmax_newton import softmax_scores
from mirclr.features.embed import embed_tracks
from mirclr.features.segment_cache import SegmentCache
from mirclr.features.together import Together
from mirclr.features.vector_file import write_vectors
from mirclr.reports import finish
from mirclr.seeds import generator
from tests.support.report_card import RATE, collection, judge, knowing

COLLECTION = collection()


def a_judge(task: str = "multiclass") -> Judge:
    found = collection(task)  # type: ignore[arg-type]
    problem = Problem(found.task, found.targets, found.groups, found.splits, len(found.vocabulary))
    return Judge(problem, Ground(found.groups), draws=100)


class Mean:
    """An extractor of two vectors a track, and how often it was asked."""

    def __init__(self, name: str, scale: float = 1.0) -> None:
        self.name = self.fingerprint = name
        self.dim, self.sample_rate, self.scale, self.heard = 2, RATE, scale, 0

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.heard += 1
        values = np.array([[samples.mean(), samples.std()], [samples.max(), samples.min()]]) * self.scale
        return values.astype(np.float32), np.array([0.0, 0.5])


@pytest.fixture
def tracks(tmp_path: Path) -> pd.DataFrame:
    for i in range(4):
        noise = 0.1 * generator(420, i).normal(size=RATE // 4)
        soundfile.write(tmp_path / f"{i}.wav", noise, RATE)
    return pd.DataFrame({"path": [str(tmp_path / f"{i}.wav") for i in range(4)]})


# The probe reproduces known numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.8, 1.6])
def test_the_linear_protocol_is_as_good_as_the_best_logistic_regression(noise: float) -> None:
    """On features of a known kind: within 1.5 points of scikit-learn's best C, chosen in hindsight on the test part."""
    rng, count, classes = generator(421, int(noise * 10)), 1500, 5
    labels = np.arange(count) % classes
    vectors = (generator(422).normal(size=(classes, 20))[labels] * 0.6 + noise * rng.normal(size=(count, 20))) * 3 + 7
    found = dataclasses.make_dataclass("S", ["name", "train", "valid", "test"])
    split = found("s", np.arange(300), np.arange(300, 450), np.arange(450, count))
    problem = Problem("multiclass", labels, np.arange(count), [split], classes)
    ours = (predict_splits(problem, vectors).scores["linear"].argmax(axis=1) == labels[split.test]).mean()
    known = np.concatenate([split.train, split.valid])
    theirs = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
        .fit(vectors[known], labels[known])
        .score(vectors[split.test], labels[split.test])
        for c in np.logspace(-6, 1, 8)
    ]
    assert 0.3 < max(theirs) < 0.99  # neither trivial nor hopeless
    assert ours >= max(theirs) - 0.015


def test_d_prime_by_hand() -> None:
    truth = np.array([[1, 1], [1, 1], [0, 1], [0, 1]])
    scores = np.array([[0.9, 0], [0.4, 0], [0.5, 0], [0.1, 0]])
    assert roc_auc_score(truth[:, 0], scores[:, 0]) == 0.75
    assert d_prime(truth, scores) == pytest.approx(2**0.5 * 0.6744897501960817)  # the second label has no negative


# Few labels -----------------------------------------------------------------------------------------------------------


def test_draws_tell_so_many_tracks_of_every_label() -> None:
    problem, known = a_judge().problem, np.arange(0, 72, 2)
    told = told_tracks(problem, known, 5, generator(1))
    assert np.bincount(problem.targets[told]).tolist() == [5, 5, 5, 5]
    assert set(told) <= set(known)
    assert len(told_tracks(problem, known, 1000, generator(1))) == len(known)
    tags = dataclasses.replace(
        problem, task="multilabel", targets=np.array([[1, 1], [1, 0], [1, 0], [0, 0]]), classes=2
    )
    told = told_tracks(tags, np.arange(4), 2, generator(2))
    assert 0 in told  # the only track of the second label
    assert 3 not in told
    numbers = a_judge("regression").problem
    assert len(told_tracks(numbers, np.arange(72), 2, generator(3))) == 20


@pytest.mark.parametrize(("examples", "dim", "penalty"), [(4, 40, 1.0), (40, 200, 1.0), (60, 5, 0.01), (60, 5, 100.0)])
def test_many_probes_at_once_are_scikit_learns_one_by_one(examples: int, dim: int, penalty: float) -> None:
    rng = generator(426, examples)
    targets = np.stack([np.arange(examples) % 4 * 2] * 3)  # classes 0, 2, 4, 6 of 8
    x = rng.normal(size=(3, examples, dim)) + targets[..., None] * 0.3
    new = rng.normal(size=(10, dim))
    scores = softmax_scores(x, targets, new, classes=8, penalty=penalty)
    assert scores.shape == (3, 10, 8)
    assert (scores[..., 1::2] == 0).all()
    for one, labels, found in zip(x, targets, scores, strict=True):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=20_000).fit(one, labels).predict_proba(new)
        np.testing.assert_allclose(found[:, ::2], theirs, atol=2e-5)
    with pytest.raises(ValueError, match="same classes"):
        softmax_scores(x, np.vstack([targets[:2], targets[:1] + 1]), new, classes=8, penalty=1.0)


def test_more_labels_help_and_all_are_all() -> None:
    judge_ = a_judge()
    few = judge_few(judge_, knowing(0.4).astype(np.float32), "linear", shots=(1, 5), draws=6)
    one, five, every = (few.measures[f"{n}.accuracy"] for n in ("1", "5", "all"))
    assert 0.2 < one.value < five.value < every.value
    assert one.low < one.value < one.high
    assert len(few.draws["1.accuracy"]) == judge_.draws // 6 * 6 + judge_.draws % 6 == judge_.draws
    again = judge_few(a_judge(), knowing(0.4).astype(np.float32), "linear", shots=(1, 5), draws=6)
    assert again.measures == few.measures


def test_the_curve_of_numbers_counts_tracks() -> None:
    judge_ = a_judge("regression")
    few = {"mine": judge_few(judge_, knowing(1).astype(np.float32), "linear", draws=2)}
    section = efficiency_section("linear", judge_, few)
    assert section.columns == ("tracks", "mine", "mine low", "mine high")
    assert [row[0] for row in section.rows] == [10, 50, 100, 200, 48]
    assert section.kind == "curve"


# Other people's vectors -----------------------------------------------------------------------------------------------

PATHS = list(COLLECTION.tracks["path"])


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@pytest.mark.parametrize("ids", ["path", "id"])
def test_a_file_of_vectors_is_a_row_like_its_encoder(suffix: str, ids: str, tmp_path: Path) -> None:
    table = knowing(1).astype(np.float32)
    order = generator(423).permutation(len(PATHS))
    names = [PATHS[i] if ids == "path" else COLLECTION.tracks["id"][i] for i in order]
    write_vectors(tmp_path / f"theirs{suffix}", [*names, "of no track"], np.vstack([table[order], np.zeros(16)]))
    tables = read_tables([tmp_path / f"theirs{suffix}"], COLLECTION)
    np.testing.assert_array_equal(tables["theirs"].vectors, table)
    assert "1 of 73 vectors" in tables["theirs"].notes[1]


def broken_csv(place: Path, rows: dict[int, str]) -> Path:
    lines = [rows.get(i, f"{path},1.0,2.0") for i, path in enumerate(PATHS)]
    place.write_text("\n".join(["path,a,b", *lines]))
    return place


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ({5: "/music/05.mp3,nan,2.0"}, UsageError, r"v\.csv: the row of /music/05\.mp3 has no number"),
        ({5: "/music/04.mp3,1.0,2.0"}, UsageError, r"v\.csv: /music/04\.mp3 is given twice"),
        ({5: "04.mp3,1.0,2.0"}, UsageError, r"v\.csv: '/music/04\.mp3' and '04\.mp3' are one track"),
        ({5: "elsewhere,1.0,2.0"}, DatasetError, r"v\.csv: no vector for /music/05\.mp3 \(1 of 72 tracks"),
        ({5: "/music/05.mp3,loud,2.0"}, UsageError, r"v\.csv: cannot be read as vectors"),
    ],
)
def test_a_bad_file_of_vectors_is_named_with_its_id(
    rows: dict[int, str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        read_tables([broken_csv(tmp_path / "v.csv", rows)], COLLECTION)


def test_a_file_that_is_not_there_or_given_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.npz: cannot be read"):
        read_tables([tmp_path / "none.npz"], COLLECTION)
    with pytest.raises(UsageError, match="given twice"):
        read_tables([tmp_path / "a.npz", tmp_path / "x" / ".." / "a.npz"], COLLECTION)


# Kept embeddings ------------------------------------------------------------------------------------------------------


def test_what_was_embedded_is_not_heard_again_and_is_the_same(tracks: pd.DataFrame, tmp_path: Path) -> None:
    cache, one, two = SegmentCache(tmp_path / "kept"), Mean("one"), Mean("two", 3.0)
    plain = finish(embed_tracks(Together({"one": one, "two": two}), tracks))
    heard = one.heard
    first = finish(embed_tracks(one, tracks.iloc[:2], cache=cache))  # an evaluation that was interrupted
    assert (one.heard - heard, first.segments[0].shape) == (2, (2, 2))
    whole = finish(embed_tracks(Together({"one": one, "two": two}), tracks, cache=cache))
    assert (one.heard - heard, two.heard - heard) == (4, 4)
    np.testing.assert_array_equal(whole.vectors, plain.vectors)
    again = finish(embed_tracks(Together({"two": two, "one": one}), tracks, cache=cache))
    assert (one.heard - heard, two.heard - heard) == (4, 4)
    np.testing.assert_array_equal(again.vectors, plain.vectors[:, [2, 3, 0, 1]])


def test_a_damaged_entry_and_a_changed_file_are_embedded_anew(tracks: pd.DataFrame, tmp_path: Path) -> None:
    one = Mean("one")
    finish(embed_tracks(one, tracks, cache=SegmentCache(tmp_path / "kept")))
    entry = sorted((tmp_path / "kept" / "one").iterdir())[0]
    entry.write_bytes(entry.read_bytes()[:40])
    finish(embed_tracks(one, tracks, cache=SegmentCache(tmp_path / "kept")))
    assert one.heard == 5
    soundfile.write(tracks["path"][0], np.full(RATE // 4, 0.5), RATE)
    changed = finish(embed_tracks(one, tracks, cache=SegmentCache(tmp_path / "kept")))
    assert one.heard == 6
    assert changed.vectors[0, 0] == pytest.approx(0.5, abs=1e-3)


def test_a_file_that_cannot_be_read_is_listed_with_a_cache_too(tracks: pd.DataFrame, tmp_path: Path) -> None:
    Path(tracks["path"][1]).write_bytes(b"no sound")
    Path(tracks["path"][2]).unlink()
    done = finish(embed_tracks(Mean("one"), tracks, cache=SegmentCache(tmp_path / "kept")))
    assert list(done.quarantine["path"]) == list(tracks["path"][1:3])
    assert len(done.vectors) == 2
    with pytest.raises(ValueError, match="whole files"):
        finish(embed_tracks(Mean("one"), tracks, max_seconds=3, cache=SegmentCache(tmp_path / "kept")))


# Robustness -----------------------------------------------------------------------------------------------------------


def test_the_changes_are_those_of_the_page() -> None:
    names = [change.name for change in conditions(RATE)]
    assert names == ["noise 15 dB SNR", "noise 0 dB SNR", "gain -12 dB", "MP3 64 kbit/s", "low-pass 4 kHz",
                     "pitch +1 st", "speed +5 %"]  # fmt: skip
    assert "MP3 64 kbit/s" not in [change.name for change in conditions(20_000)]
    sound = generator(424).normal(0, 0.1, RATE).astype(np.float32)
    noisy = {change.name: change(sound) for change in conditions(RATE)}
    ratio = 20 * np.log10(sound.std() / (noisy["noise 0 dB SNR"] - sound).std())
    assert ratio == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(noisy["gain -12 dB"], sound * 10 ** (-12 / 20), rtol=1e-5)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_64_kilobits_are_64_kilobits(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read = soundfile.read

    def measured(file, **options):  # type: ignore[no-untyped-def]
        sizes.append(len(file.getvalue()))
        return read(file, **options)

    monkeypatch.setattr(soundfile, "read", measured)
    round_trip(generator(425).normal(0, 0.1, rate * 12).astype(np.float32), rate, "mp3", compression_of(64, rate))
    assert sizes[0] * 8 / 12 / 1000 == pytest.approx(64, rel=0.03)


def test_a_change_is_computed_once_for_all_who_hear_it() -> None:
    calls = []
    change = conditions(RATE)[2]

    class Counted:
        name = change.name

        def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
            calls.append(seed)
            return change(samples, seed)

    play = Playing(Counted(), 3)  # type: ignore[arg-type]
    one, two, sound = Played(Mean("one"), play), Played(Mean("two"), play), np.ones(50, np.float32)
    quiet = [e.segments(sound)[0] for e in (one, two)]
    assert calls == [3]
    assert quiet[0][0, 0] == pytest.approx(10 ** (-12 / 20), rel=1e-5)
    assert one.fingerprint != two.fingerprint


def test_changed_tracks_are_answered_by_the_probe_of_the_unchanged() -> None:
    judge_, vectors = a_judge(), knowing(2).astype(np.float32)
    worn = {"same": vectors, "mute": np.zeros_like(vectors)}
    judged = judge_worn(judge_, vectors, worn)
    plain = judge_.row(vectors).measures["linear.accuracy"].value
    assert judged.measures[f"{UNCHANGED}.accuracy"].value == judged.measures["same.accuracy"].value == plain > 0.9
    assert judged.measures["mute.accuracy"].value == pytest.approx(0.25, abs=0.1)
    fallen = drops(judged).measures
    assert (fallen["same.accuracy"].value, fallen["same.accuracy"].high) == (0, 0)
    assert fallen["mute.accuracy"].value == pytest.approx(plain - judged.measures["mute.accuracy"].value)
    assert fallen["mute.accuracy"].low > 0.4


def test_only_tested_tracks_are_changed(tracks: pd.DataFrame, tmp_path: Path) -> None:
    split = dataclasses.make_dataclass("S", ["name", "train", "valid", "test"])("s", [0], [2], np.array([1, 3]))
    problem = Problem("multiclass", np.array([0, 1, 0, 1]), np.arange(4), [split], 2)
    judge_, one = Judge(problem, Ground(np.arange(4)), draws=10), Mean("one")
    cache = SegmentCache(tmp_path / "kept")
    worn = finish(wear(judge_, tracks, {"one": one}, partial(embed_tracks, cache=cache)))
    assert one.heard == 2 * len(conditions(RATE))
    gone = worn.vectors["one"]["gain -12 dB"]
    assert (gone[[0, 2]] == 0).all()
    as_it_is = finish(embed_tracks(one, tracks)).vectors
    np.testing.assert_allclose(gone[[1, 3]], as_it_is[[1, 3]] * 10 ** (-12 / 20), rtol=1e-4)


# All of it in a report ------------------------------------------------------------------------------------------------


def test_sections_are_in_the_report_and_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PENALTIES", (100.0, 1.0))  # what is chosen is not the question here
    given = {"theirs": Table(knowing(1).astype(np.float32), ("a note",))}
    exams = Exams(("fewshot", "linear"), label_efficiency=True)
    report = judge(exams=exams, given=given, draws=60)
    theirs = next(row for row in report.rows if row.name == "theirs")
    assert (theirs.kind, theirs.dim, theirs.notes) == ("trained", 16, ("a note",))
    assert theirs.judged.measures == next(row for row in report.rows if row.name == "clever").judged.measures
    assert {c.rival for c in report.comparisons if c.ours == "theirs"} == {
        "MFCC statistics",
        "MFCC, chroma and tempogram",
    }
    assert [section.name for section in report.sections] == [
        "protocol-fewshot",
        "label-efficiency",
        "label-efficiency-fewshot",
    ]
    first = report.sections[0]
    rows = {str(row[0]): row for row in first.rows}
    measures = {row.name: row.judged.measures for row in report.rows}
    assert rows["clever"][1] == measures["clever"]["fewshot.accuracy"].value
    assert "chance" not in rows
    assert any(c.measure == "fewshot.accuracy" and c.ours == "clever" for c in report.comparisons)
    columns = report.sections[1].columns
    assert columns[:4] == ("tracks per label", "MFCC statistics", "MFCC statistics low", "MFCC statistics high")
    assert "random-init (mean of 2 seeds)" in columns
    paths = write_report(report, tmp_path)
    assert {f"{section.name}.csv" for section in report.sections} <= {path.name for path in paths}
    told = json.loads(paths[-1].read_text())["sections"]
    assert [section["name"] for section in told] == [section.name for section in report.sections]
    table = pd.read_csv(tmp_path / "label-efficiency.csv")
    assert table["clever"].iloc[-1] == pytest.approx(report.sections[1].rows[-1][columns.index("clever")])
