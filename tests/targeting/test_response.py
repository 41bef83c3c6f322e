"""Response rates: planted coefficients come back, and too little to learn from is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ArtefactError, ConfigError, DataError
from targeting.response import (
    FEATURES,
    LIFT_RANGE,
    MINIMUM_EVENTS,
    LookRates,
    ResponseConfig,
    ResponseModel,
    fit_response,
    look_rates,
    pair_features,
)

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


LOOKS = LookRates(same=0.15, near=0.02, same_grade=1.0)
EVEN = ResponseModel(np.zeros(8), np.full(7, 50.0), LOOKS)  # every look is clicked at one half, every click applies


def test_the_value_of_a_click_by_total_probability_by_hand():
    """Expected grade .37: .3 for the very occupation, .2 * .35 for the section around it."""
    pair = pair_features(np.array([0.37]), np.array([0.3]), *np.zeros((3, 1)))
    assert EVEN.value_per_click(pair).tolist() == pytest.approx([(0.3 * 0.15 + 0.07 * 0.02) / 0.5])


def test_no_click_is_worth_more_than_its_application():
    """Even if a look at the very occupation always brought an application: a tenth of the clicks apply here."""
    model = ResponseModel(np.zeros(8), np.array([np.log(1 / 9), *np.zeros(6)]), LookRates(1.0, 0.02, 1.0))
    sure = pair_features(np.ones(1), np.ones(1), *np.zeros((3, 1)))
    assert model.value_per_click(sure).tolist() == pytest.approx([0.1])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-4, 4), st.floats(-3, 3))
def test_the_value_of_a_click_is_a_share_whatever_the_pair(expected, share, lift, ratio):
    pair = pair_features(*np.array([[expected], [expected * share], [lift], [0], [ratio]]))
    for looks in (None, LOOKS, LookRates(5.0, 5.0, 1.0)):
        assert 0 <= ResponseModel(CLICK, APPLY, looks).value_per_click(pair)[0] <= 1


def test_rates_of_looks_by_hand():
    """Forty looks of half weight at jobs of the very occupation, 15 applied; thirty at jobs of grade .35, 6 applied."""
    same = np.repeat([True, False, False], [40, 30, 30])
    grade = np.repeat([1.0, 0.35, 0.0], [40, 30, 30])
    applied = np.concatenate([np.arange(40) < 15, np.arange(30) < 6, np.arange(30) < 9])
    found = look_rates(grade, same, applied, np.full(100, 0.5), 1.0)
    assert found == LookRates(pytest.approx(15 / 20), pytest.approx(6 / 15), 1.0)
    halved = look_rates(np.where(same, 0.5, grade), same, applied, np.full(100, 0.5), 0.5)
    assert halved.same == pytest.approx(0.5 * 15 / 20)


def test_too_few_qualified_applications_or_one_kind_only_give_no_rates():
    same, applied = np.arange(100) < 50, np.arange(100) % 2 == 0
    grade, seen = np.where(same, 1.0, 0.35), np.ones(100)
    assert look_rates(grade, same, applied, seen, 1.0) is not None
    assert look_rates(grade, same, np.arange(100) < MINIMUM_EVENTS - 1, seen, 1.0) is None
    assert look_rates(grade, same & False, applied, seen, 1.0) is None
    assert look_rates(np.where(same, 1.0, 0.0), same, applied, seen, 1.0) is None


def test_total_probability_finds_what_clicks_are_worth_where_the_forecast_alone_does_not():
    """People click and apply mostly where the job is what they move into, which no feature tells."""
    rng = np.random.default_rng(0)
    n, chance = 200_000, 0.2
    moves = rng.random(n) < chance
    near = ~moves & (rng.random(n) < 0.3)
    grade = np.where(moves, 1.0, np.where(near, 0.35, 0.0))
    clicked = rng.random(n) < np.where(moves, 0.3, 0.03)
    applied = clicked & (rng.random(n) < np.where(moves, 0.6, 0.15))
    forecast = np.full(n, chance + (1 - chance) * 0.3 * 0.35)
    features = pair_features(forecast, np.full(n, chance), *np.zeros((3, n)))
    prior = fit_response(features, np.ones(n), clicked, features[clicked], applied[clicked])
    looks = look_rates(grade, moves, applied, np.ones(n), 1.0)
    worth = grade[applied].sum() / clicked.sum()
    assert ResponseModel(prior.click, prior.apply, looks).value_per_click(features[:1])[0] == pytest.approx(
        worth, rel=0.02
    )
    assert prior.value_per_click(features[:1])[0] < 0.5 * worth


def test_a_line_through_the_winners_takes_back_what_was_too_high():
    """The model says twice the odds of the truth, at three positions: the line gives the truth back."""
    truth = ResponseModel(CLICK, APPLY)
    high = ResponseModel(np.concatenate([[CLICK[0] + np.log(2)], CLICK[1:]]), APPLY)
    rng = np.random.default_rng(0)
    features, position = pairs(60_000, seed=3), rng.integers(1, 4, 60_000)
    logit = CLICK[0] + features @ CLICK[1:7] + CLICK[7] * np.log(position)
    won = high.corrected(features, position, rng.random(len(features)) < 1 / (1 + np.exp(-logit)))
    assert won.line == (pytest.approx(1, abs=0.03), pytest.approx(-np.log(2), abs=0.04))
    np.testing.assert_allclose(won.p_click(features), truth.p_click(features), atol=0.01)
    assert won.p_click(features).max() > 0.5


def test_a_handful_of_clicks_draws_no_line():
    features, model = pairs(100), ResponseModel(CLICK, APPLY)
    few = np.arange(100) < MINIMUM_EVENTS - 1
    assert model.corrected(features, np.ones(100), few) is model
    assert model.corrected(features, np.ones(100), ~few) is model
    assert model.corrected(features[:0], np.ones(0), few[:0]) is model


def test_rates_and_line_survive_json_and_older_files_have_neither():
    full = ResponseModel(CLICK, APPLY, LOOKS, (0.9, -0.1))
    again = ResponseModel.from_json(full.to_json())
    assert (again.looks, again.line) == (full.looks, full.line)
    old = {"features": FEATURES, "click": CLICK.tolist(), "apply": APPLY.tolist()}
    assert ResponseModel.from_json(json.dumps(old)).looks is None
    assert ResponseModel.from_json(json.dumps(old)).line == (1.0, 0.0)


@pytest.mark.parametrize("settings", [{"value": "guess"}, {"selection": "always"}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ConfigError, match="is unknown"):
        ResponseConfig(**settings)
