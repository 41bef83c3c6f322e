"""Link weights beside worked numbers, and the logistic regression beside a general convex solver."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from graph.linking.firing import Firings
from graph.linking.quality import (
    L1Config,
    PathConfig,
    log_likelihood_ratio,
    log_ratio,
    logistic_weights,
    quality_path,
)
from market.errors import ConfigError, DataError

EXACT = L1Config(tolerance=1e-8, largest_iterations=100_000, intercept_scaling=1000)


def problem(pairs=400, links=6, seed=0):
    """Pairs on which some links matter, one speaks against and the rest is noise."""
    rng = np.random.default_rng(seed)
    fires = (rng.random((pairs, links)) < 0.3).astype(float)
    truth = np.array([2.0, 1.0, -1.5] + [0.0] * (links - 3))
    hired = rng.random(pairs) < 1 / (1 + np.exp(1.0 - fires @ truth))
    weight = np.where(hired, 1.0, rng.choice([0.2, 0.5], pairs))
    return sp.csr_matrix(fires), hired, weight


def objective(weights, intercept, fires, hired, weight, inverse_penalty):
    """What is minimised, by its formula; the intercept is not penalised."""
    margin = np.where(hired, 1, -1) * (fires @ weights + intercept)
    return weight @ np.logaddexp(0, -margin) + np.abs(weights).sum() / inverse_penalty


@pytest.mark.parametrize("inverse_penalty", [0.03, 0.1, 1.0])
def test_the_logistic_regression_is_the_optimum_with_an_unpenalised_intercept(inverse_penalty):
    fires, hired, weight = problem()
    links = fires.shape[1]

    def split(x):  # weights as differences of two parts of 0 or more make the objective smooth
        plus, minus, b = x[:links], x[links:-1], x[-1]
        margin = np.where(hired, 1, -1) * (fires @ (plus - minus) + b)
        return weight @ np.logaddexp(0, -margin) + (plus + minus).sum() / inverse_penalty

    found = minimize(split, np.zeros(2 * links + 1), bounds=[(0, None)] * (2 * links) + [(None, None)],
                     options={"maxiter": 5000, "ftol": 1e-13, "gtol": 1e-9, "maxfun": 200_000})  # fmt: skip
    expected = found.x[:links] - found.x[links:-1]
    weights, intercept = logistic_weights(fires, hired, weight, L1Config(inverse_penalty, 1e-8, 100_000, 1000))
    assert weights == pytest.approx(expected, abs=2e-3)
    assert intercept == pytest.approx(found.x[-1], abs=5e-3)
    best = objective(weights, intercept, fires, hired, weight, inverse_penalty)
    assert best == pytest.approx(found.fun, rel=1e-5)


def test_the_usual_settings_come_within_a_thousandth_of_the_optimum():
    fires, hired, weight = problem(2000, 40)
    exact, usual = (
        objective(*logistic_weights(fires, hired, weight, config), fires, hired, weight, 1.0)
        for config in (EXACT, L1Config())
    )
    assert exact <= usual * (1 + 1e-6)
    assert usual <= exact * 1.001


def test_with_no_link_the_intercept_is_the_log_odds_of_a_hire():
    fires, hired, weight = problem()
    weights, intercept = logistic_weights(fires, hired, weight, L1Config(1e-3, 1e-8, 100_000, 1e6))
    assert not weights.any()
    assert intercept == pytest.approx(np.log(weight[hired].sum() / weight[~hired].sum()), abs=1e-2)


def test_links_that_matter_are_kept_with_their_sign_and_noise_goes():
    fires, hired, weight = problem(4000)
    weights, _ = logistic_weights(fires, hired, np.ones(len(weight)), L1Config(0.02))
    assert weights[0] > weights[1] > 0 > weights[2]
    assert not weights[3:].any()


def test_a_pair_of_weight_two_is_the_pair_twice():
    fires, hired, _ = problem(200)
    once = logistic_weights(fires, hired, np.where(hired, 2.0, 1.0), EXACT)
    rows = np.concatenate([np.arange(200), np.flatnonzero(hired)])
    twice = logistic_weights(fires[rows], hired[rows], np.ones(len(rows)), EXACT)
    assert once[0] == pytest.approx(twice[0], abs=1e-3)


def test_the_same_pairs_give_the_same_bytes():
    fires, hired, weight = problem()
    first, again = (logistic_weights(fires, hired, weight) for _ in range(2))
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1] == again[1]


def test_only_hires_or_none_teach_nothing():
    fires, hired, weight = problem()
    for outcome in (np.ones_like(hired), np.zeros_like(hired)):
        with pytest.raises(DataError, match="only one of hires and pairs without"):
            logistic_weights(fires, outcome, weight)


def test_the_ratio_is_smoothed_by_one():
    assert log_ratio(np.array([4, 0, 3]), np.array([0.0, 0.0, 3.0])).tolist() == pytest.approx([np.log(5), 0, 0])


def test_the_log_likelihood_ratio_is_that_of_the_two_by_two_table():
    counted = Firings(np.array([10, 1, 50]), np.array([0] * 3), np.array([5.0, 9.0, 50.0]), np.zeros(3, np.uint64))
    # 10 of 100 hires and 5 of 100 without: expected 7.5 and 92.5 in both rows
    worked = 2 * (10 * np.log(10 / 7.5) + 5 * np.log(5 / 7.5) + 90 * np.log(90 / 92.5) + 95 * np.log(95 / 92.5))
    assert log_likelihood_ratio(counted, 100, 100).tolist() == pytest.approx([worked, 0, 0])


def test_the_path_of_ratios_drops_links_as_the_threshold_rises():
    fires, hired, weight = problem()
    q = log_ratio(fires.T @ hired.astype(float), fires.T @ np.where(hired, 0, weight))
    path = list(quality_path(fires, hired, weight, PathConfig("ratio", (0.0, 0.5, 9.0))))
    assert [setting for setting, _ in path] == [0.0, 0.5, 9.0]
    for setting, weights in path:
        np.testing.assert_array_equal(weights, np.where(q > setting, q, 0))
    assert not path[-1][1].any()


def test_the_path_of_penalties_is_the_regression_at_each():
    fires, hired, weight = problem()
    for setting, weights in quality_path(fires, hired, weight, PathConfig("logistic", (0.01, 1.0))):
        np.testing.assert_array_equal(weights, logistic_weights(fires, hired, weight, L1Config(setting))[0])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: L1Config(inverse_penalty=0),
        lambda: L1Config(tolerance=-1),
        lambda: L1Config(intercept_scaling=np.inf),
        lambda: PathConfig("hope"),
        lambda: PathConfig(settings=()),
        lambda: PathConfig(settings=(np.nan,)),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        wrong()
