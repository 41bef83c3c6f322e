"""Two fits with a known answer, and a reliability table small enough to check by hand."""

import numpy as np
import pytest

from graph.calibration import (
    chance_error,
    fit_confidence,
    fit_temperature,
    log_loss_skill,
    logistic_line,
    reliability,
    row_temperatures,
    top_one,
)


def drawn(scores, rng):
    """One outcome a row from softmax(scores)."""
    return (softmax(scores).cumsum(axis=1) < rng.random((len(scores), 1))).sum(axis=1)


def softmax(scores):
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_temperature_of_scores_that_are_twice_too_sharp_is_two():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 5))
    assert fit_temperature(2 * scores, drawn(scores, rng)) == pytest.approx(2, rel=0.05)


def test_temperature_ignores_what_is_no_candidate():
    scores = np.array([[0.0, 1.0, -np.inf], [2.0, -np.inf, 0.0]] * 50)
    assert np.isfinite(fit_temperature(scores, np.array([1, 2] * 50)))


def test_caution_is_found_where_the_surest_rows_are_too_sure():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(20_000, 6)) * rng.choice([0.5, 3.0], (20_000, 1))
    truth = scores / row_temperatures(scores, 1.3, 0.2)[:, None]
    temperature, caution = fit_confidence(scores, drawn(truth, rng))
    assert (temperature, caution) == pytest.approx((1.3, 0.2), abs=0.05)


def test_without_a_reason_for_caution_one_temperature_is_found():
    rng = np.random.default_rng(5)
    scores = 2 * rng.normal(size=(20_000, 6))
    target = drawn(scores / 1.5, rng)
    temperature, caution = fit_confidence(scores, target)
    assert temperature == pytest.approx(fit_temperature(scores, target), rel=0.05)
    assert caution == pytest.approx(0, abs=0.03)


def test_caution_flattens_sure_rows_sharpens_unsure_ones_and_keeps_every_order():
    scores = np.array([[9.0, 0.0, -np.inf], [0.1, 0.0, 0.05]])
    sure, unsure = row_temperatures(np.concatenate([scores, np.zeros((2, 17))], axis=1), 1.0, 0.3)
    assert unsure < 1 < sure
    assert (row_temperatures(scores, 2.0, 0.0) == 2).all()
    assert row_temperatures(scores, 1.0, 0.3)[0] == pytest.approx((10 * softmax(scores)[0, 0]) ** 0.3)


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
    assert [row["ratio"] for row in found["bins"]] == pytest.approx([0.5 / 0.2, 1 / 0.6])
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


def test_the_interval_of_a_ratio_is_wider_when_one_person_stands_for_many_pairs():
    rng = np.random.default_rng(6)
    predicted = np.full(1000, 0.3)
    happened = np.repeat(rng.random(100) < 0.3, 10)
    widths = []
    for person in (np.arange(1000), np.arange(1000) // 10):
        (row,) = reliability(predicted, happened, 1, person=person, rng=np.random.default_rng(0))["bins"]
        low, high = row["ci95"]
        assert low <= row["ratio"] <= high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_top_one_by_hand():
    found = top_one(np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, False, True]), bins=2)
    assert found["ece"] == pytest.approx((0.25 + 0.35) / 2)
    assert (found["confidence"], found["hit_rate"], found["n"]) == (pytest.approx(0.55), 0.5, 4)
    assert top_one(np.zeros(0), np.zeros(0, bool))["n"] == 0


def test_the_floor_is_the_error_that_exact_probabilities_show_by_chance():
    rng = np.random.default_rng(7)
    p = rng.uniform(0.05, 0.6, 2000)
    shown = [top_one(p, rng.random(2000) < p)["ece"] for _ in range(300)]
    assert np.mean(shown) == pytest.approx(chance_error(p, 10), rel=0.05)


def test_skill_is_the_share_of_the_baselines_loss_that_is_gone():
    found = log_loss_skill(np.log([0.5, 0.5]), np.log([0.25, 0.25]))
    assert found == {"model": pytest.approx(np.log(2)), "baseline": pytest.approx(np.log(4)), "skill": 0.5, "n": 2}
    assert log_loss_skill(np.zeros(0), np.zeros(0))["skill"] == 0
