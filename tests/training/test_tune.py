"""A search as a user meets it: what may vary, what it writes, how it stops, goes on, and what it claims."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from mirclr.config import PretrainConfig, dump, read_yaml, validate
from mirclr.errors import ConfigError, TrainingError, UsageError
from mirclr.features.encoder_file import load_encoder
from mirclr.reports import Progress, finish
from mirclr.training import pretrain as loop
from mirclr.training.held_out import hold_out
from mirclr.training.journal import read_journal
from mirclr.training.tune import HELD_OUT, Objective, TuneBudget, held_out_score, tune
from mirclr.training.tune_result import Confirmed, Tuned
from mirclr.training.tune_space import applied, default_space, plain, read_space
from mirclr.training.tune_study import open_search
from tests.support.tiny import tiny
from tests.support.tones import tone_folder
from tests.support.tune_child import SMALL

ROOT = Path(__file__).parents[2]
Sound = tuple[pd.DataFrame, Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A track table and a cache folder, decoded once for the module."""
    folder = tmp_path_factory.mktemp("sound")
    return tone_folder(folder / "music"), folder / "cache"


def base_of(sound: Sound, **over: Any) -> PretrainConfig:
    return tiny(sound[1], **{"hold_out": 0.5, "optim": {"batch": 2}, "budget": {"steps": None}, **over})


def search(sound: Sound, out: Path, space: Any = SMALL, objective: Objective = HELD_OUT, **budget: Any) -> Tuned:
    base = base_of(sound)
    searched = read_space(space, base, objective.held_out, "test")
    given = {"trials": 2, "trial_steps": 3, "confirm": 0, **budget}
    return finish(tune(sound[0], base, out, searched, TuneBudget(**given), objective))


def asked(done: Tuned, *names: str) -> list[tuple[Any, ...]]:
    """Values and score of the trials that tell something."""
    return [tuple(row[name] for name in (*names, "score")) for row in done.rows if row["state"] != "dropped"]


class Scripted:
    """An objective that knows the answer: `score` of the settings a run was trained with."""

    def __init__(self, score: Callable[[PretrainConfig], float]) -> None:
        self.score = score

    def __call__(self, run: Path) -> float:
        return self.score(validate(PretrainConfig, read_yaml(run / "config.json"), "test"))


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that leave their configuration and nothing else, for tests of the search itself."""

    def leave(tracks: pd.DataFrame, config: PretrainConfig, folder: Path, resume: bool = False) -> Any:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(dump(config))
        yield Progress("train", 1, 1)

    monkeypatch.setattr("mirclr.training.tune.pretrain", leave)


def test_a_search_leaves_the_best_settings_every_trial_and_no_checkpoint(sound: Sound, tmp_path: Path) -> None:
    done = search(sound, tmp_path / "out", trials=3, confirm=1)
    assert done.score == max(row["score"] for row in done.rows)
    best = validate(PretrainConfig, read_yaml(done.settings), "best")
    assert best == applied(base_of(sound), done.values)
    assert best.optim.learning_rate == done.values["optim.learning_rate"]
    run = tmp_path / "out" / "trials" / f"{done.best:03}"
    assert held_out_score(run) == done.score
    assert load_encoder(run / "encoder").dim > 0
    assert not list((tmp_path / "out").rglob("*/checkpoints"))
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert list(table) == ["trial", "state", "score", "seconds", "reason", *SMALL]
    assert list(table["state"]) == ["done"] * 3
    assert (table["seconds"] > 0).all()


def test_the_winner_and_the_default_are_confirmed_on_seeds_and_tracks_of_their_own(
    sound: Sound, tmp_path: Path
) -> None:
    done = search(sound, tmp_path / "out", confirm=2)
    runs = {run.name: read_yaml(run / "config.json") for run in (tmp_path / "out" / "confirm").iterdir()}
    assert set(runs) == {f"{who}-seed{n}" for who in ("default", f"trial{done.best:03}") for n in (1, 2)}
    assert [pair.seed for pair in done.confirmed] == [1, 2]
    won, lost = runs[f"trial{done.best:03}-seed2"], runs["default-seed2"]
    assert won["seed"] == lost["seed"] == 2
    assert won["budget"] == lost["budget"] == {"steps": 3, "minutes": None}
    assert lost["optim"] == base_of(sound).optim.model_dump()
    assert list(hold_out(8, 0.5, 2)) != list(hold_out(8, 0.5, 0))
    assert done.confirmed[1].best == held_out_score(tmp_path / "out" / "confirm" / f"trial{done.best:03}-seed2")


def test_the_same_seed_searches_the_same_and_another_does_not(sound: Sound, tmp_path: Path, untrained: None) -> None:
    judge = Objective("rate", Scripted(lambda config: -abs(config.optim.learning_rate - 1e-3)))
    first, again = (search(sound, tmp_path / name, objective=judge, trials=14) for name in ("a", "b"))
    assert asked(first, *SMALL) == asked(again, *SMALL)
    base = base_of(sound, seed=1)
    space = read_space(SMALL, base, False, "test")
    other = finish(tune(sound[0], base, tmp_path / "c", space, TuneBudget(trials=14, trial_steps=3, confirm=0), judge))
    assert not set(asked(first, *SMALL)) & set(asked(other, *SMALL))


def test_the_search_comes_closer_to_a_known_optimum_than_its_random_start(
    sound: Sound, tmp_path: Path, untrained: None
) -> None:
    judge = Objective("rate", Scripted(lambda config: -abs(config.optim.weight_decay - 0.7)))
    space = {"optim.weight_decay": {"low": 0, "high": 1}}
    misses = [-row["score"] for row in search(sound, tmp_path, space, judge, trials=25).rows]
    assert sum(misses[15:]) / 10 < 0.5 * sum(misses[:10]) / 10


def test_in_parts_it_is_the_same_search_and_nothing_is_done_twice(
    sound: Sound, tmp_path: Path, untrained: None
) -> None:
    judge = Objective("rate", Scripted(lambda config: config.optim.learning_rate))
    whole = search(sound, tmp_path / "whole", objective=judge, trials=13)
    for trials in (3, 12, 13, 13):
        parts = search(sound, tmp_path / "parts", objective=judge, trials=trials)
    assert asked(parts, *SMALL) == asked(whole, *SMALL)
    assert len(parts.rows) == 13


def spawn(sound: Sound, out: Path, trials: int, steps: int) -> subprocess.Popen[bytes]:
    table, settings = out.parent / "tracks.csv", out.parent / "config.json"
    sound[0].to_csv(table, index=False)
    settings.write_text(dump(base_of(sound)))
    words = [str(word) for word in (table, settings, out, trials, steps)]
    command = [sys.executable, "-m", "tests.support.tune_child", *words]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


def wait_for(run: Path, steps: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while len(read_journal(run / "metrics.jsonl")) < steps:
        assert child.poll() is None, "the child ended before it could be killed"
        assert time.monotonic() < deadline, "the child is not training"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_a_trial_it_goes_on_as_if_it_had_not_been(
    sound: Sound, tmp_path: Path, number: signal.Signals
) -> None:
    out, steps = tmp_path / "out", 100
    child = spawn(sound, out, 2, steps)
    wait_for(out / "trials" / "001", 2, child)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    if number == signal.SIGINT:
        assert child.returncode == 130
        assert b"SIGINT: trial 1 was dropped, 1 finished trial(s) are kept" in said
    done, whole = (search(sound, at, trial_steps=steps) for at in (out, tmp_path / "whole"))
    assert [row["state"] for row in done.rows] == ["done", "dropped", "done"]
    assert asked(done, *SMALL) == asked(whole, *SMALL)


def test_another_search_in_the_same_folder_is_refused_by_what_differs(
    sound: Sound, tmp_path: Path, untrained: None
) -> None:
    judge = Objective("rate", Scripted(lambda config: config.optim.learning_rate))
    search(sound, tmp_path, objective=judge)
    with pytest.raises(UsageError, match="holds a search with another budget of a trial, whose trials"):
        search(sound, tmp_path, objective=judge, trial_steps=4)
    wider = {**SMALL, "optim.batch": {"choices": [2, 4]}}
    with pytest.raises(UsageError, match="another space and another objective"):
        search(sound, tmp_path, wider, Objective("other", judge.judge))
    with pytest.raises(UsageError, match="another collection"):
        search((sound[0].iloc[:7], sound[1]), tmp_path, objective=judge)
    other = base_of(sound, loss={"name": "nt_xent"})
    space = read_space(SMALL, other, False, "test")
    with pytest.raises(UsageError, match="another configuration"):
        finish(tune(sound[0], other, tmp_path, space, TuneBudget(trials=2, trial_steps=3, confirm=0), judge))
    assert len(search(sound, tmp_path, objective=judge, trials=3).rows) == 3


def test_two_processes_do_not_search_one_folder(sound: Sound, tmp_path: Path) -> None:
    space = read_space(SMALL, base_of(sound), True, "test")
    with (
        open_search(tmp_path, space, {}, seed=0, pruning=True),
        pytest.raises(UsageError, match="another process is tuning here"),
    ):
        search(sound, tmp_path)


def test_any_folder_name_will_do_and_optuna_is_as_loud_as_before(
    sound: Sound, tmp_path: Path, untrained: None, capfd: pytest.CaptureFixture[str]
) -> None:
    judge = Objective("rate", Scripted(lambda config: config.optim.learning_rate))
    before = optuna.logging.get_verbosity()
    out = tmp_path / "a b?x=1#{y}%20"
    search(sound, out, objective=judge)
    assert (out / "study.db").stat().st_size > 0
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_built_is_pruned_with_its_reason(sound: Sound, tmp_path: Path, untrained: None) -> None:
    judge = Objective("batch", Scripted(lambda config: config.optim.batch))
    space = {"encoder.name": {"choices": ["resnet", "vgg"]}, "encoder.stages": {"choices": [1, 2]}}
    done = search(sound, tmp_path, space, judge, trials=8)
    pruned = [row for row in done.rows if row["state"] == "pruned"]
    assert {row["encoder.name"] for row in pruned} == {"vgg"}
    assert all("unknown option 'stages'" in row["reason"] for row in pruned)
    assert {row["encoder.name"] for row in done.rows if row["state"] == "done"} == {"resnet"}


def test_a_run_that_does_not_learn_is_pruned_and_in_vain_is_said(
    sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapse(*_: Any) -> Any:
        yield Progress("train", 1, 2)
        raise TrainingError("the representation collapsed")

    monkeypatch.setattr("mirclr.training.tune.pretrain", collapse)
    with pytest.raises(TrainingError, match=r"no trial could be trained to a score; .*collapsed"):
        search(sound, tmp_path / "few")
    with pytest.raises(TrainingError, match="no trial could be trained to a score"):
        search(sound, tmp_path / "many", trials=1000)
    assert len(pd.read_csv(tmp_path / "many" / "trials.csv")) == 20


def test_a_trial_behind_the_others_ends_early_and_leaves_no_encoder(
    sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_BETWEEN_REPORTS", 1)
    trials: list[Path] = []

    def falling(run: Path) -> float:
        trials.extend([run] if run not in trials else [])
        return 1.0 - 0.1 * trials.index(run)

    monkeypatch.setattr("mirclr.training.tune.held_out_score", falling)
    done = search(sound, tmp_path, objective=Objective("held out", falling, held_out=True), trials=6, trial_steps=20)
    last = done.rows[5]
    assert [row["state"] for row in done.rows] == ["done"] * 5 + ["pruned"]
    assert last["reason"] == "behind the median of the others after 30 % of its budget (0.500)"
    steps = [row for row in read_journal(tmp_path / "trials" / "005" / "metrics.jsonl") if row["kind"] == "step"]
    assert len(steps) == 6
    assert not (tmp_path / "trials" / "005" / "encoder").exists()


def test_the_clock_ends_a_search_with_time_left_to_confirm(sound: Sound, tmp_path: Path, untrained: None) -> None:
    judge = Objective("rate", Scripted(lambda config: config.optim.learning_rate))
    timed = {"trials": None, "trial_steps": None, "trial_minutes": 1}
    assert len(search(sound, tmp_path / "a", objective=judge, minutes=2.9, confirm=1, **timed).rows) == 1
    both = {**timed, "trials": 4}
    assert len(search(sound, tmp_path / "b", objective=judge, minutes=3.5, confirm=1, **both).rows) == 4


def test_every_mistake_of_a_space_is_said_at_once_with_the_nearest_word(sound: Sound) -> None:
    wrong = {
        "optim.learnig_rate": {"low": 1e-4, "high": 1e-3},
        "encoder.widht": {"choices": [4, 8]},
        "augment.strenght": {"low": 0, "high": 1},
        "augment.strength": {"low": -1, "high": 1},
        "optim.batch": {"chioces": [2, 4]},
        "optim.weight_decay": {"low": 0, "high": 1, "log": True},
        "loss.temperature": {"low": 2, "high": 1},
        "optim.warmup": {"low": 0, "high": 2},
        "views.count": {"low": 2.5, "high": 4, "int": True},
        "views.seconds": {"low": 1, "high": 2},
        "seed": {"low": 0, "high": 9, "int": True},
        "loss.name": {"choices": ["dlc", "ntxent"]},
        "optim": {"choices": [1, 1]},
    }
    with pytest.raises(ConfigError) as caught:
        read_space(wrong, base_of(sound), True, "space.yaml")
    said = str(caught.value)
    for line in (
        "optim.learnig_rate: unknown key. Did you mean 'learning_rate'?",
        "encoder.widht: frontend/encoder: encoder 'resnet': unknown option 'widht'. Did you mean 'width'?",
        "augment.strenght: unknown key. Did you mean 'strength'?",
        "augment.strength: is a factor of probabilities: numbers from 0 up",
        "optim.batch: chioces: unknown key",
        "optim.weight_decay: Value error, log needs low > 0, got 0",
        "loss.temperature: Value error, low=2 must be below high=1",
        "optim.warmup: Input should be less than 1 (got 2.0)",
        "views.count: Value error, int needs whole numbers, got low=2.5, high=4",
        "views.seconds: changes how hard the held-out question is",
        "seed: is the frame of every trial",
        "loss.name: loss: no loss 'dlc'. Did you mean 'dcl'?",
        "optim: Value error, a value is given twice",
    ):
        assert line in said, (line, said)
    with pytest.raises(ConfigError, match="a space is one or more lines"):
        read_space({}, base_of(sound), True, "space.yaml")


def test_the_default_space_holds_what_the_parts_take_and_reads_back() -> None:
    base = PretrainConfig()
    space = default_space(base, 150, held_out=True)
    assert read_space(plain(space), base, True, "x") == space
    assert space["optim.batch"].ends == (32, 64, 128)
    assert {"loss.temperature", "encoder.width", "encoder.dropout", "augment.strength"} <= set(space)
    assert "views.seconds" not in space
    assert "views.seconds" in default_space(base, 150, held_out=False)
    other = validate(PretrainConfig, {"loss": {"name": "vicreg"}, "augment": {"spec": []}}, "x")
    assert not {"loss.temperature", "augment.strength", "optim.batch"} & set(default_space(other, 40, held_out=True))


def test_strength_scales_every_probability_and_stops_at_one() -> None:
    base = validate(PretrainConfig, {"augment": {"wave": [{"name": "gain", "p": 0.4}]}}, "x")
    none, more = (applied(base, {"augment.strength": strength}).augment for strength in (0.0, 1.5))
    assert {part.p for part in (*none.wave, *none.spec)} == {0.0}
    assert [part.p for part in more.wave] == [pytest.approx(0.6)]
    assert [part.p for part in more.spec] == pytest.approx([min(1.0, 1.5 * part.p) for part in base.augment.spec])
    assert applied(base, {"augment.strength": 1.0}) == base


def test_another_encoder_keeps_no_option_of_the_old_one() -> None:
    base = validate(PretrainConfig, {"encoder": {"name": "resnet", "stages": 2}}, "x")
    changed = applied(base, {"encoder.name": "vgg", "encoder.width": 8})
    assert changed.encoder.model_dump() == {"name": "vgg", "width": 8}


def test_nothing_to_judge_by_and_budgets_that_fit_no_search_are_refused(sound: Sound, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hold_out=0\.1 of 8 tracks is fewer than 4"):
        finish(tune(sound[0], base_of(sound, hold_out=0.1), tmp_path))
    with pytest.raises(UsageError, match="trial_minutes or trial_steps, not both"):
        TuneBudget(trial_minutes=1, trial_steps=1)
    with pytest.raises(UsageError, match="trials must be above 0, got 0"):
        TuneBudget(trials=0)
    with pytest.raises(UsageError, match="confirm must be 0 or more"):
        TuneBudget(confirm=-1)


def test_a_missing_package_is_said_with_what_to_install(
    sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'mirclr\[tune\]'"):
        search(sound, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ((), "not confirmed: nothing says yet"),
        (((0.5, 0.4),), r"on 1 seed that chose nothing it beats the default by \+0.100; that is little evidence"),
        (((0.5, 0.4), (0.6, 0.5), (0.5, 0.3)), r"on 3 seeds that chose nothing it beats the default by \+0.133\.$"),
        (((0.5, 0.4), (0.6, 0.5), (0.3, 0.4)), "little evidence"),
        (((0.4, 0.5),), r"does not beat the default \(-0.100\): keep the default"),
        (((None, 0.5),), r"not confirmed.*1 pair\(s\) could not be trained"),
    ],
)
def test_what_is_claimed_follows_from_the_confirmation(pairs: Any, said: str) -> None:
    confirmed = tuple(Confirmed(seed, *pair) for seed, pair in enumerate(pairs, 1))
    rows = [{"trial": 0, "state": "done", "score": 0.9}]
    done = Tuned(0, {}, 0.9, Path("best.json"), rows, confirmed, "rank")
    assert re.search(said, done.sentences[1]), done.sentences[1]
