"""Two fits with a known answer, and a reliability table small enough to check by hand."""

import numpy as np
import pytest

from graph.calibration import fit_temperature, logistic_line, reliability


def softmax(scores):
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_temperature_of_scores_that_are_twice_too_sharp_is_two():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 5))
    target = (softmax(scores).cumsum(axis=1) < rng.random((len(scores), 1))).sum(axis=1)
    assert fit_temperature(2 * scores, target) == pytest.approx(2, rel=0.05)


def test_temperature_ignores_what_is_no_candidate():
    scores = np.array([[0.0, 1.0, -np.inf], [2.0, -np.inf, 0.0]] * 50)
    assert np.isfinite(fit_temperature(scores, np.array([1, 2] * 50)))


def test_logistic_line_finds_the_line_that_made_the_outcomes():
    rng = np.random.default_rng(1)
    logit = rng.normal(size=50_000)
    outcome = rng.random(len(logit)) < 1 / (1 + np.exp(-(0.7 * logit - 0.4)))
    assert logistic_line(logit, outcome) == pytest.approx((0.7, -0.4), abs=0.03)


def test_logistic_line_stays_finite_when_the_outcome_is_certain():
    line = logistic_line(np.array([-1.0, 1.0] * 20), np.array([0.0, 1.0] * 20))
    assert np.isfinite(line).all()


def test_reliability_by_hand():
    predicted = np.array([0.2, 0.2, 0.6, 0.6, 0.001])
    happened = np.array([False, True, True, True, True])
    found = reliability(predicted, happened, bins=2)
    assert found["n"] == 4, "the pair below .01 is left out"
    assert [row["observed"] for row in found["bins"]] == [0.5, 1.0]
    assert found["ece"] == pytest.approx((0.3 + 0.4) / 2)


def test_true_probabilities_have_slope_one_and_no_error():
    rng = np.random.default_rng(2)
    predicted = rng.uniform(0.02, 0.9, 100_000)
    found = reliability(predicted, rng.random(len(predicted)) < predicted)
    assert found["slope"] == pytest.approx(1, abs=0.03)
    assert found["ece"] < 0.01


def test_overconfident_predictions_have_a_slope_below_one():
    rng = np.random.default_rng(3)
    logit = rng.normal(size=20_000)
    happened = rng.random(len(logit)) < 1 / (1 + np.exp(-logit))
    assert reliability(1 / (1 + np.exp(-2 * logit)), happened)["slope"] == pytest.approx(0.5, abs=0.05)


def test_nothing_predicted_is_no_error():
    assert reliability(np.zeros(3), np.zeros(3, bool)) == {"ece": 0.0, "slope": 1.0, "n": 0, "bins": []}
