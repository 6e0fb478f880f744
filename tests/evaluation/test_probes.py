"""Linear probes: against scikit-learn without our shortcuts, and on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mirclr.evaluation import probes
from mirclr.evaluation.probes import PENALTIES, Standardiser, choose_penalty, fit_path
from mirclr.seeds import generator


def clusters(tracks: int, dim: int, classes: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clouds around random centres, classes in turn."""
    random = generator(seed, tracks, dim)
    targets = np.arange(tracks) % classes
    centres = generator(99, dim, classes).normal(size=(classes, dim))
    return (centres[targets] + noise * random.normal(size=(tracks, dim))).astype(np.float32), targets


@pytest.mark.parametrize("dim", [8, 300])
@pytest.mark.parametrize("penalty", [1000.0, 1.0])
def test_multinomial_probe_equals_scikit_learn_in_the_original_space(dim: int, penalty: float) -> None:
    x, y = clusters(60, dim, 4, noise=3)
    new, _ = clusters(20, dim, 4, noise=3, seed=1)
    scaled = Standardiser.fitted(x)
    plain = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=100_000).fit(scaled(x), y)
    path = fit_path("multiclass", x, y, new, classes=4, penalties=PENALTIES)
    ours = path.scores[PENALTIES.index(penalty)]
    np.testing.assert_allclose(ours, plain.predict_proba(scaled(new)), atol=2e-3)
    assert path.unconverged == 0


@pytest.mark.parametrize("dim", [8, 300])
def test_ridge_equals_scikit_learn(dim: int) -> None:
    x, _ = clusters(60, dim, 4, noise=3)
    new, _ = clusters(20, dim, 4, noise=3, seed=1)
    y = generator(7).normal(5, 2, (60, 3)).astype(np.float32)
    scaled = Standardiser.fitted(x)
    for penalty, ours in zip(
        PENALTIES, fit_path("regression", x, y, new, classes=3, penalties=PENALTIES).scores, strict=True
    ):
        plain = Ridge(alpha=penalty, solver="svd").fit(scaled(x), y.astype(float))
        np.testing.assert_allclose(ours, plain.predict(scaled(new)), rtol=1e-6, atol=1e-6)


def test_multilabel_is_one_logistic_regression_per_label_and_a_constant_label_its_share() -> None:
    x, _ = clusters(80, 6, 4, noise=2)
    new, _ = clusters(20, 6, 4, noise=2, seed=1)
    y = (generator(8).random((80, 3)) < 0.3).astype(np.float32)
    y[:, 1] = 0
    scaled = Standardiser.fitted(x)
    ours = fit_path("multilabel", x, y, new, classes=3, penalties=[10.0]).scores[0]
    np.testing.assert_array_equal(ours[:, 1], 0)
    for k in (0, 2):
        plain = LogisticRegression(C=0.1, tol=1e-10, max_iter=100_000).fit(scaled(x), y[:, k] > 0.5)
        np.testing.assert_allclose(ours[:, k], plain.predict_proba(scaled(new))[:, 1], atol=2e-3)


def test_a_class_absent_from_training_has_probability_zero_and_the_rest_sum_to_one() -> None:
    x, y = clusters(40, 5, 3, noise=1)
    kept = y != 1
    scores = fit_path("multiclass", x[kept], y[kept], x, classes=3, penalties=[1.0]).scores[0]
    np.testing.assert_array_equal(scores[:, 1], 0)
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_a_single_class_is_answered_always() -> None:
    x, _ = clusters(10, 5, 3, noise=1)
    scores = fit_path("multiclass", x, np.full(10, 2), x, classes=3, penalties=PENALTIES).scores
    assert all((s == [0, 0, 1]).all() for s in scores)


def test_clouds_far_apart_are_told_apart_perfectly_even_in_a_thousand_dimensions() -> None:
    x, y = clusters(100, 1000, 4, noise=0.5)
    new, truth = clusters(40, 1000, 4, noise=0.5, seed=1)
    choice = choose_penalty("multiclass", x, y, [(np.arange(60), np.arange(60, 100))], 4)
    path = fit_path("multiclass", x, y, new, classes=4, penalties=[choice.penalty])
    np.testing.assert_array_equal(path.scores[0].argmax(axis=1), truth)
    assert choice.unconverged == 0


def test_noise_gets_the_strong_penalties_and_signal_the_weak_ones() -> None:
    pairs = [(np.arange(100), np.arange(100, 200))]
    noise = generator(9).normal(size=(200, 50)).astype(np.float32)
    signal, _ = clusters(200, 50, 4, noise=1)
    mood = (signal @ generator(10).normal(size=(50, 2))).astype(np.float32)
    assert choose_penalty("regression", noise, mood, pairs, 2).penalty >= 1000
    assert choose_penalty("regression", signal, mood, pairs, 2).penalty <= 10


def test_a_class_penalty_is_the_most_accurate_and_among_those_the_least_lossy() -> None:
    x, y = clusters(120, 40, 4, noise=6)
    fit, judge = np.arange(80), np.arange(80, 120)
    choice = choose_penalty("multiclass", x, y, [(fit, judge)], 4)
    path = fit_path("multiclass", x[fit], y[fit], x[judge], classes=4, penalties=PENALTIES)
    right = [int((scores.argmax(axis=1) == y[judge]).sum()) for scores in path.scores]
    tied = [p for p, hits in zip(PENALTIES, right, strict=True) if hits == max(right)]
    losses = dict(zip(PENALTIES, choice.losses, strict=True))
    assert len(set(right)) > 1
    assert choice.penalty == min(tied, key=losses.__getitem__)


def test_equal_losses_take_the_strongest_penalty() -> None:
    constant = np.ones((20, 3), np.float32)
    choice = choose_penalty("multiclass", constant, np.arange(20) % 2, [(np.arange(10), np.arange(10, 20))], 2)
    assert choice.penalty == max(PENALTIES)
    assert len(set(choice.losses)) == 1


def test_dimensions_that_do_not_vary_become_zero_and_the_rest_have_unit_deviation() -> None:
    x = generator(10).normal(3, 7, (50, 3)).astype(np.float32)
    x[:, 1] = 0.1
    scaled = Standardiser.fitted(x)(x)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)


def test_scaling_a_dimension_changes_nothing() -> None:
    x, y = clusters(60, 5, 3, noise=2)
    plain = fit_path("multiclass", x, y, x, classes=3, penalties=[1.0]).scores[0]
    scale = np.array([1e-3, 1, 1e4, 7, 0.5], np.float32)
    np.testing.assert_allclose(
        fit_path("multiclass", x * scale, y, x * scale, classes=3, penalties=[1.0]).scores[0], plain, atol=1e-3
    )


def test_fits_that_stop_early_are_counted(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(probes, "MAX_STEPS", 1)
    x, y = clusters(60, 5, 3, noise=2)
    choice = choose_penalty("multiclass", x, y, [(np.arange(30), np.arange(30, 60))], 3)
    assert choice.unconverged > 0
    assert not recwarn.list
