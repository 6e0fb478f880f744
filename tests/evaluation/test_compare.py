"""Two reports compared: the same answer as within one report, and a refusal wherever they were not judged alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mirclr.cli.main import main
from mirclr.errors import UsageError
from mirclr.evaluation.bootstrap import interval, track_weights
from mirclr.evaluation.compare import Side, compare_reports, differing
from mirclr.evaluation.judge import Judged, Measure
from mirclr.evaluation.stored import Stored, StoredRow, read_draws, write_draws
from mirclr.evaluation.verdict import ROWS, compare
from mirclr.seeds import generator

GROUPS = np.repeat(np.arange(30), 4)
TERMS = {"collection": "made-up", "split": "folds", "seed": "0"}
KEYS = ("linear.accuracy", "retrieval.artist_r1")


def judged(level: float, seed: int, keys: tuple[str, ...] = KEYS) -> Judged:
    """Right answers with probability `level`; the draws of artists are the same for all."""
    weights = track_weights(GROUPS, 300, 0)
    measures, draws = {}, {}
    for place, key in enumerate(keys):
        right = (generator(50, seed, place).random(len(GROUPS)) < level).astype(float)
        drawn = weights @ right / weights.sum(axis=1)
        measures[key], draws[key] = Measure(float(right.mean()), *interval(drawn)), drawn
    return Judged(measures, draws)


def stored(level: float = 0.8, seed: int = 0, **rows: StoredRow) -> Stored:
    ids = [f"{i}.mp3" for i in range(len(GROUPS))]
    known = rows or {"run": StoredRow("trained", 1, judged(level, seed))}
    return Stored(
        TERMS, KEYS[0], ids, GROUPS, GROUPS % 3, {"mfcc": StoredRow("handcrafted", 1, judged(0.5, 9)), **known}
    )


def test_the_difference_is_that_of_two_rows_of_one_report() -> None:
    ours, theirs = stored(0.8, 1), stored(0.5, 2)
    made = compare_reports(Side("A", ours), Side("B", theirs))
    assert [c.measure for c in made] == list(KEYS)
    expected = compare(KEYS[0], ("run (A)", judged(0.8, 1)), ("run (B)", judged(0.5, 2)), ROWS)
    assert made[0] == expected
    assert made[0].outcome == "better"
    assert made[0].sentence.startswith("run (A) is better than run (B): accuracy of run (A)")
    back = compare_reports(Side("B", theirs), Side("A", ours))[0]
    assert back.outcome == "worse"
    assert (back.difference, back.low, back.high) == pytest.approx((-made[0].difference, -made[0].high, -made[0].low))


def test_a_report_compared_with_itself_cannot_be_told_from_itself() -> None:
    (first, _) = compare_reports(Side("A", stored()), Side("B", stored()))
    assert (first.difference, first.p, first.outcome) == (0, 1, "cannot tell")


def test_errors_are_better_when_they_are_low() -> None:
    low, high = (StoredRow("trained", 1, judged(level, 3, ("linear.mae",))) for level in (0.2, 0.9))
    (made,) = compare_reports(Side("A", stored(run=low)), Side("B", stored(run=high)))
    assert made.difference < 0
    assert made.outcome == "better"


def test_draws_come_back_from_disk_as_they_went(tmp_path: Path) -> None:
    chance = StoredRow("chance", 1, judged(0.3, 4, KEYS[:1]))  # a row that lacks a measure
    known = replace(stored(0.7, 5), rows={**stored(0.7, 5).rows, "chance": chance})
    write_draws(known, tmp_path / "draws.npz")
    found = read_draws(tmp_path)
    assert (found.terms, found.main, list(found.ids)) == (known.terms, known.main, list(known.ids))
    assert differing(known, found) == []
    assert list(found.rows) == list(known.rows)
    assert list(found.rows["chance"].judged.draws) == list(KEYS[:1])
    for name, row in known.rows.items():
        for key, drawn in row.judged.draws.items():
            np.testing.assert_allclose(found.rows[name].judged.draws[key], drawn, atol=1e-7)
            assert found.rows[name].judged.measures[key].value == row.judged.measures[key].value


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"terms": {**TERMS, "split": "published"}}, "split: folds here, published there"),
        ({"terms": {"collection": "made-up", "split": "folds"}}, "seed: 0 here, none there"),
        ({"ids": [f"{i + 2}.mp3" for i in range(len(GROUPS))]}, r"tracks: 2 only here \(0.mp3, 1.mp3\)"),
        ({"ids": [f"{i}.mp3" for i in reversed(range(len(GROUPS)))]}, "tracks: the same ones in another order"),
        ({"groups": GROUPS[::-1]}, "artists: the same tracks stand under other artists"),
        ({"targets": np.zeros(len(GROUPS))}, "labels: the same tracks have other labels"),
    ],
)
def test_reports_that_were_not_judged_alike_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=rf"(?s)A and B were not judged alike.*{message}"):
        compare_reports(Side("A", stored()), Side("B", replace(stored(), **changed)))  # type: ignore[arg-type]


def test_the_trained_row_is_meant_the_mean_of_its_seeds_or_the_one_that_is_named() -> None:
    one, two, mean = (StoredRow("trained", n, judged(0.6, s)) for n, s in ((1, 1), (1, 2), (2, 3)))
    family = stored(a=one, b=two, mean=mean)
    assert compare_reports(Side("A", family), Side("B", stored()))[0].ours == "mean (A)"
    assert compare_reports(Side("A", family, "b"), Side("B", stored()))[0].ours == "b (A)"
    assert compare_reports(Side("A", stored(), "mfcc"), Side("B", stored()))[0].ours == "mfcc (A)"
    with pytest.raises(UsageError, match=r"A: which of its trained rows \('a', 'b'\)"):
        compare_reports(Side("A", stored(a=one, b=two)), Side("B", stored()))
    with pytest.raises(UsageError, match=r"A: no row 'rum'.*Did you mean 'run'"):
        compare_reports(Side("A", stored(), "rum"), Side("B", stored()))


def test_the_command_prints_every_measure_and_says_the_main_one(tmp_path: Path) -> None:
    for name, level in (("a", 0.8), ("b", 0.5)):
        (tmp_path / name).mkdir()
        write_draws(stored(level), tmp_path / name / "draws.npz")
    done = CliRunner().invoke(main, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert done.exit_code == 0, done.output
    head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert head == ["measure", "A", "B", "A - B", "low", "high", "p", "A is"]
    assert [row[0] for row in rows] == ["accuracy (linear)", "same-artist R@1 (retrieval)"]
    assert "is better than run" in " ".join(done.stderr.split())


@pytest.mark.parametrize("content", [None, b"no archive", b"PK\x03\x04 torn"])
def test_a_folder_without_draws_or_with_damaged_ones_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "draws.npz").write_bytes(content)
    done = CliRunner().invoke(main, ["compare", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 2
    assert str(tmp_path / "draws.npz") in "".join(done.stderr.split("\n"))
