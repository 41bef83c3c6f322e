"""Response rates: planted coefficients come back, and too little to learn from is refused."""

import json

import numpy as np
import pytest

from market.errors import ArtefactError, DataError
from targeting.response import FEATURES, LIFT_RANGE, MINIMUM_EVENTS, ResponseModel, fit_response, pair_features

CLICK = np.array([-1.5, 1.0, 0.5, -0.8, 0.4, 0.6, -0.7, -0.9])  # intercept, FEATURES, log position
APPLY = np.array([-0.5, 0.7, -0.4, 0.9, 0.3, -0.6, 0.8])


def pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    return pair_features(rng.random(n), rng.random(n), rng.normal(1, 2, n), rng.random(n) < 0.4, rng.normal(0, 0.7, n))


def events(n=60_000, seed=0):
    """Impressions and clicks drawn from the planted coefficients."""
    rng = np.random.default_rng(seed)
    features, position = pairs(n, seed), rng.integers(1, 9, n)
    logit = CLICK[0] + features @ CLICK[1:7] + CLICK[7] * np.log(position)
    clicked = rng.random(n) < 1 / (1 + np.exp(-logit))
    on_click = pairs(n, seed + 1)
    applied = rng.random(n) < 1 / (1 + np.exp(-(APPLY[0] + on_click @ APPLY[1:])))
    return features, position, clicked, on_click, applied


@pytest.fixture(scope="module")
def model():
    return fit_response(*events())


def test_planted_coefficients_come_back(model):
    # expected grade and its root tell much the same: only their sum effect is well determined
    alone = [0, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(model.click[alone], CLICK[alone], atol=0.15)
    np.testing.assert_allclose(model.apply[alone[:-1]], APPLY[alone[:-1]], atol=0.15)


def test_predictions_are_the_planted_rates_at_the_top_position(model):
    fresh = pairs(500, seed=7)
    truth = 1 / (1 + np.exp(-(CLICK[0] + fresh @ CLICK[1:7])))
    np.testing.assert_allclose(model.p_click(fresh), truth, atol=0.03)
    assert model.p_click(fresh).dtype == np.float32


def test_a_lower_position_is_learned_as_such_and_does_not_lower_the_prediction_at_the_top():
    features, position, clicked, on_click, applied = events()
    top = position == 1
    at_top = fit_response(features[top], position[top], clicked[top], on_click, applied)
    fresh = pairs(300, seed=9)
    np.testing.assert_allclose(at_top.p_click(fresh), fit_response(*events()).p_click(fresh), atol=0.06)


def test_the_value_of_a_click_is_the_chance_of_an_application_times_its_expected_grade():
    model = ResponseModel(CLICK, APPLY)
    nothing, sure = pair_features(np.array([0.0, 1.0]), *np.zeros((4, 2)))
    assert model.value_per_click(nothing[None]).tolist() == [0.0]
    # grade and its root are 1: logit -.5 + .7 - .4
    assert model.value_per_click(sure[None]).tolist() == pytest.approx([1 / (1 + np.exp(0.2))])


def test_the_chance_of_a_click_by_hand():
    nothing = pair_features(*np.zeros((5, 1)))
    assert ResponseModel(CLICK, APPLY).p_click(nothing).tolist() == pytest.approx([1 / (1 + np.exp(1.5))])


def test_extreme_pairs_have_chances_of_zero_and_one():
    steep = ResponseModel(CLICK * 1e4, APPLY * 1e4)
    extreme = pair_features(np.array([0.0, 1.0]), np.zeros(2), np.array([-50, 50]), np.zeros(2), np.zeros(2))
    assert steep.p_click(extreme).tolist() == [0.0, 1.0]


def test_features_stand_in_their_order_and_are_cut_to_a_range():
    found = pair_features(
        np.array([0.25, -1e-9]),
        np.array([0.5, 0.1]),
        np.array([99.0, -99.0]),
        np.array([True, False]),
        np.array([9, -9]),
    )
    assert found.dtype == np.float32
    assert dict(zip(FEATURES, found[0].tolist(), strict=True)) == {
        "expected_grade": 0.25,
        "root_expected_grade": 0.5,
        "p_occupation": 0.5,
        "log_lift": LIFT_RANGE[1],
        "same_section": 1.0,
        "log_wage_ratio": 2.0,
    }
    assert found[1, [1, 3, 5]].tolist() == [0.0, LIFT_RANGE[0], -2.0]


@pytest.mark.parametrize("positives", [0, MINIMUM_EVENTS - 1, 2000 - MINIMUM_EVENTS + 1, 2000])
@pytest.mark.parametrize("which", ["clicks", "applications"])
def test_too_few_events_of_a_kind_are_refused(which, positives):
    features, position, clicked, on_click, applied = (column[:2000] for column in events(2000))
    few = np.arange(2000) < positives
    clicked, applied = (few, applied) if which == "clicks" else (clicked, few)
    with pytest.raises(DataError, match=f"{which}: {positives} of 2000 rows are positive. at least {MINIMUM_EVENTS}"):
        fit_response(features, position, clicked, on_click, applied)


def test_the_fewest_events_that_are_enough_give_finite_rates():
    features, position, _, on_click, _ = events(2000)
    few = np.arange(2000) < MINIMUM_EVENTS
    model = fit_response(features, position, few, on_click, ~few)
    assert np.isfinite(model.click).all()
    assert np.isfinite(model.apply).all()


def test_a_feature_that_never_varies_gets_no_weight():
    features, position, clicked, on_click, applied = events(3000)
    features, on_click = features.copy(), on_click.copy()
    features[:, 4] = on_click[:, 4] = 1.0
    model = fit_response(features, position, clicked, on_click, applied)
    assert abs(model.click[5]) < 1e-6
    assert abs(model.apply[5]) < 1e-6


def test_the_same_events_give_the_same_coefficients_and_json_keeps_them(model):
    again = ResponseModel.from_json(fit_response(*events()).to_json())
    np.testing.assert_array_equal(again.click, model.click)
    np.testing.assert_array_equal(again.apply, model.apply)


def test_rates_on_other_features_are_refused():
    content = json.loads(ResponseModel(CLICK, APPLY).to_json())
    content["features"][0] = "shoe_size"
    with pytest.raises(ArtefactError, match="shoe_size"):
        ResponseModel.from_json(json.dumps(content))
