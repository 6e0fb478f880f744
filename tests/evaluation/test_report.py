"""The report card: which rows it has, what it says, and that everybody is judged alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation.card import Report
from mirclr.evaluation.report import evaluate
from mirclr.evaluation.report_files import row_confusion, write_report
from mirclr.reports import finish
from tests.support.report_card import Lookup, collection, embed_by_number, judge, knowing, twin


@pytest.fixture(scope="module")
def report() -> Report:
    return judge(tables={"clever": knowing(1), "clever too": knowing(1, 1), "noisy": knowing(0)},
                 families={"clever": "trained", "clever too": "trained"})  # fmt: skip


def value(report: Report, row: str, measure: str) -> float:
    return next(r for r in report.rows if r.name == row).judged.measures[measure].value


def test_chance_handcrafted_random_and_trained_rows_are_always_there(report: Report) -> None:
    assert [(row.name, row.kind, row.seeds) for row in report.rows] == [
        ("chance", "chance", 1),
        ("MFCC statistics", "handcrafted", 1),
        ("MFCC, chroma and tempogram", "handcrafted", 1),
        ("random-init (seed 0)", "random-init", 1),
        ("random-init (seed 1)", "random-init", 1),
        ("clever", "trained", 1),
        ("clever too", "trained", 1),
        ("noisy", "trained", 1),
        ("clever + handcrafted", "fusion", 1),
        ("clever too + handcrafted", "fusion", 1),
        ("noisy + handcrafted", "fusion", 1),
        ("random-init (mean of 2 seeds)", "random-init", 2),
        ("trained (mean of 2 seeds)", "trained", 2),
        ("trained + handcrafted (mean of 2 seeds)", "fusion", 2),
    ]
    expected = set(report.measures)
    for row in report.rows[1:]:
        assert set(row.judged.measures) == expected


def test_values_are_those_of_the_predictions(report: Report) -> None:
    assert value(report, "clever", "linear.accuracy") > 0.8
    counts = row_confusion(report, "clever")
    assert counts.trace() / counts.sum() == pytest.approx(value(report, "clever", "linear.accuracy"))
    assert counts.sum(axis=1).tolist() == [18, 18, 18, 18]


def test_chance_is_the_best_constant_and_a_random_ranking(report: Report) -> None:
    chance = {name: m.value for name, m in report.rows[0].judged.measures.items()}
    assert chance["linear.accuracy"] == pytest.approx(0.25)
    assert chance["linear.top3_accuracy"] == pytest.approx(0.75)
    assert chance["linear.roc_auc"] == pytest.approx(0.5)
    assert chance["linear.pr_auc"] == pytest.approx(0.25)
    assert chance["retrieval.artist_r1"] == pytest.approx(2 / 71)
    assert chance["retrieval.label_p10"] == pytest.approx(15 / 69)


def test_mean_row_is_the_mean_and_the_spread_over_seeds(report: Report) -> None:
    single = [value(report, name, "linear.accuracy") for name in ("clever", "clever too")]
    mean = next(row for row in report.rows if row.name == "trained (mean of 2 seeds)")
    assert mean.judged.measures["linear.accuracy"].value == pytest.approx(np.mean(single))
    assert mean.spread["linear.accuracy"] == pytest.approx(np.std(single, ddof=1))


def test_verdicts_compare_every_family_with_its_twins_and_with_mfcc(report: Report) -> None:
    asked = [(c.ours, c.rival) for c in report.comparisons if c.measure == "linear.accuracy"]
    rivals = ("random-init (mean of 2 seeds)", "MFCC statistics", "MFCC, chroma and tempogram")
    families = (
        ("trained (mean of 2 seeds)", "trained + handcrafted (mean of 2 seeds)"),
        ("noisy", "noisy + handcrafted"),
    )
    trained = [(ours, rival) for ours, _ in families for rival in rivals]
    fused = [(both, rival) for ours, both in families for rival in (rivals[2], ours)]
    assert asked == [*trained, *fused]
    outcomes = {(c.ours, c.rival): c.outcome for c in report.comparisons if c.measure == "linear.accuracy"}
    assert outcomes["trained + handcrafted (mean of 2 seeds)", rivals[2]] == "better"
    assert outcomes["trained (mean of 2 seeds)", rivals[0]] == "helped"
    assert outcomes["noisy", rivals[0]] == "cannot tell"


def test_sentence_says_outcome_values_difference_interval_and_p(report: Report) -> None:
    c = report.comparisons[0]
    assert c.sentence == (
        f"Pretraining helped against random-init (mean of 2 seeds): accuracy of trained (mean of 2 seeds) "
        f"{100 * c.our_value:.1f} % against {100 * c.rival_value:.1f} %, difference {100 * c.difference:+.1f} points "
        f"(95 % interval {100 * c.low:+.1f} to {100 * c.high:+.1f}, p = {c.p:.3f})."
    )
    assert c.difference == pytest.approx(c.our_value - c.rival_value)
    assert c.low < c.difference < c.high


def test_an_encoder_worse_than_its_twins_did_not_help() -> None:
    good = Lookup("twin", knowing(1))
    report = judge(tables={"worse": knowing(0)}, untrained=lambda encoder, seed: good)
    assert report.comparisons[0].outcome == "did not help"
    assert report.sentences[0].startswith("Pretraining did not help against random-init (mean of 2 seeds), it is worse")


def test_the_same_seed_gives_the_same_report_and_another_seed_other_intervals() -> None:
    first, again, other = judge(), judge(), judge(seed=1)
    told = [report.to_json() for report in (first, again)]
    assert [each.pop("cost")["seconds"] > 0 for each in told] == [True, True]
    assert told[0] == told[1]
    low = [report.rows[4].judged.measures["retrieval.artist_map"].low for report in (first, other)]
    assert low[0] != low[1]


def test_a_fusion_holds_both_vectors_and_a_previous_encoder_is_a_rival() -> None:
    earlier = Lookup("before", knowing(0.5))
    report = judge(previous={"previous: before": earlier}, draws=50)
    rows = {row.name: row for row in report.rows}
    assert rows["previous: before"].kind == "previous"
    assert rows["clever + handcrafted"].dim == rows["clever"].dim + rows["MFCC, chroma and tempogram"].dim  # type: ignore[operator]
    (found,) = [c for c in report.comparisons if c.rival == "previous: before" and c.measure == report.main]
    assert found.ours == "clever"
    assert "previous: before: accuracy of clever" in found.sentence or "better: accuracy of clever" in found.sentence
    assert rows["clever"].vectors is not None
    np.testing.assert_array_equal(rows["clever"].vectors, knowing(1).astype(np.float32))


def test_facts_of_a_report_say_split_overlap_seeds_and_versions(report: Report) -> None:
    told = report.to_json()
    assert told["split"] == {"name": "folds", "digest": report.about.digest, "artists_in_train_and_test": 0}
    assert len(report.about.digest) == 16
    assert {"mirclr", "python", "torch"} <= set(told["cost"]["versions"])
    assert any(note.startswith("trained: 2 of the 3 seeds") for note in report.notes)
    assert report.about.cautions == ()


def test_what_makes_a_score_no_benchmark_stands_in_every_file(report: Report, tmp_path: Path) -> None:
    marked = replace(report, about=replace(report.about, cautions=("partial collection: 3 gone", "leak")))
    paths = write_report(marked, tmp_path)
    assert json.loads(paths[-1].read_text())["cautions"] == ["partial collection: 3 gone", "leak"]
    for path in paths[:4]:
        assert set(pd.read_csv(path)["caution"]) == {"partial collection: 3 gone; leak"}


def test_unreadable_files_are_left_out_of_every_row_and_listed() -> None:
    broken = ("/music/00.mp3", "/music/40.mp3")
    report = judge(broken=broken)
    assert report.quarantine["path"].tolist() == list(broken)
    assert report.about.cautions == ("partial collection: 2 of 72 files could not be read",)
    assert len(report.tracks) == 70
    assert not set(broken) & set(report.tracks["path"])
    for row in report.rows:
        if row.judged.predictions is not None:
            assert len(row.judged.predictions.scores["linear"]) == 70
    tested, folds = report.problem.tested()
    by_hand = pd.Series(collection().targets, index=collection().tracks["path"])[report.tracks["path"]].to_numpy()
    np.testing.assert_array_equal(report.problem.targets[tested], by_hand[tested])
    paths = report.tracks["path"].to_numpy()
    for number, split in enumerate(collection().splits):
        expected = set(collection().tracks["path"].iloc[split.test]) - set(broken)
        assert set(paths[tested[folds == number]]) == expected


def test_no_readable_file_is_an_error() -> None:
    with pytest.raises(DatasetError, match="made-up: none of 72 files could be read"):
        judge(broken=tuple(collection().tracks["path"]))


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_other_tasks_have_their_own_measures(task: str) -> None:
    report = judge(task)  # type: ignore[arg-type]
    main = {"multilabel": "linear.roc_auc", "regression": "linear.r2"}[task]
    assert report.main == main
    assert value(report, "clever", main) > 0.5
    assert value(report, "chance", main) == pytest.approx({"multilabel": 0.5, "regression": 0}[task], abs=1e-6)
    assert report.comparisons[0].outcome == "helped"
    assert "retrieval.label_p10" not in report.measures


def test_notes_of_extractors_and_of_few_artists_are_carried(report: Report) -> None:
    assert next(row for row in report.rows if row.name == "clever").notes == ("a note",)
    assert not any("artists:" in note for note in report.notes)
    few = collection()
    few.groups[:] = few.groups % 12
    settings = {"untrained": twin, "embed": embed_by_number(), "draws": 50}
    told = finish(evaluate(few, {"e": Lookup("e", knowing(1))}, **settings)).notes  # type: ignore[arg-type]
    assert any(note.startswith("only 12 artists: intervals") for note in told)


def test_near_duplicates_are_told(report: Report) -> None:
    assert report.near_duplicates[0] == (0, 1)  # alike to MFCC
    assert any("sound almost the same" in note for note in report.notes)


def test_vectors_that_are_not_finite_name_the_encoder_and_the_track() -> None:
    bad = knowing(1)
    bad[5, 3] = np.nan
    with pytest.raises(DatasetError, match=r"broken: the vector of /music/05.mp3 is not finite \(1 such tracks\)"):
        judge(tables={"broken": bad})


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ({"MFCC statistics": knowing(1)}, {}, "two rows would be called 'MFCC statistics'"),
        ({"chance": knowing(1)}, {}, "two rows would be called 'chance'"),
        ({"e": knowing(1)}, {"random_seeds": 0}, "at least one trained encoder and one random-init seed"),
        ({"e": knowing(1)}, {"untrained": None}, "say how its untrained twin is made"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    tables: dict[str, np.ndarray], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        judge(tables=tables, **options)


def test_twins_are_made_once_per_architecture() -> None:
    made: list[tuple[str, int]] = []

    def counted(encoder: Lookup, seed: int) -> Lookup:
        made.append((encoder.name, seed))
        return twin(encoder, seed)

    tables = {"a": knowing(1), "b": knowing(1, 1), "slim": knowing(1)[:, :8]}
    report = judge(tables=tables, untrained=counted)
    assert made == [("a", 0), ("a", 1), ("slim", 0), ("slim", 1)]
    rivals = {c.ours: c.rival for c in report.comparisons if c.measure == report.main and "MFCC" not in c.rival}
    assert rivals["b"] == "random-init of a (mean of 2 seeds)"
    assert rivals["slim"] == "random-init of slim (mean of 2 seeds)"


def test_files_hold_what_the_report_says(report: Report, tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "deep" / "card")
    assert [p.name for p in paths] == ["report.csv", "per_class.csv", "predictions.csv", "confusion.csv", "draws.npz",
                                       "report.json"]  # fmt: skip
    told = json.loads(paths[-1].read_text())
    assert told == report.to_json()
    measures = pd.read_csv(paths[0])
    one = measures.query("extractor == 'clever' and probe == 'linear' and metric == 'accuracy'").iloc[0]
    assert one["value"] == value(report, "clever", "linear.accuracy")
    assert one["low"] <= one["value"] <= one["high"]
    predictions = pd.read_csv(paths[2]).query("extractor == 'clever'")
    assert len(predictions) == 72
    assert (predictions["true"] == predictions["predicted"]).mean() == pytest.approx(one["value"])
    confusion = pd.read_csv(paths[3]).query("extractor == 'clever'")
    assert confusion.query("true == predicted")["count"].sum() / 72 == pytest.approx(one["value"])
    assert pd.read_csv(paths[1]).query("extractor == 'clever'")["support"].sum() == 72


@pytest.mark.parametrize(
    ("task", "columns"), [("multilabel", {"roc_auc", "pr_auc"}), ("regression", {"r2", "r", "mae", "rmse"})]
)
def test_files_of_other_tasks(task: str, columns: set[str], tmp_path: Path) -> None:
    report = judge(task)  # type: ignore[arg-type]
    paths = write_report(report, tmp_path)
    assert [p.name for p in paths] == ["report.csv", "per_class.csv", "predictions.csv", "draws.npz", "report.json"]
    table = pd.read_csv(paths[1]).query("extractor == 'clever'")
    assert columns <= set(table.columns)
    main = report.main.partition(".")[2]
    assert table[main].mean() == pytest.approx(value(report, "clever", report.main))
    assert len(pd.read_csv(paths[2]).query("extractor == 'clever'")) == 72 * 4


def test_json_has_no_numbers_that_json_does_not_know(report: Report) -> None:
    json.dumps(report.to_json(), allow_nan=False)
    assert report.to_json()["rows"][0]["measures"]["linear.accuracy"]["low"] is None
