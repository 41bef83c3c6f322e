"""Exposure weights: the chance of being shown by hand, beside a plain loop, and a biased sample set right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.hires import confirm
from graph.selection.exposure import ExposureConfig, exposure_of, exposure_weights, inverse_weights
from market.errors import ConfigError, DataError
from tests.graph.toy_logs import application, impression, job, logs, position

JOBS = [job("acme-111", -10), job("zeta-112", -10), job("mega-211", -10)]


def site(impressions, applications=None, jobs=JOBS):
    applied = applications or [application("a", "acme-111", 20)]
    began = [
        position(row["job_id"].split("-")[0], row["job_id"].split("-")[1], 40, row["seeker_id"]) for row in applied
    ]
    tables = {"applications": applied, "positions": began, "jobs": jobs}
    found = logs(**tables, **({"impressions": impressions} if impressions else {}))
    return found, confirm(found)


def test_the_chance_of_being_shown_by_hand():
    """Two of five draws showed the job, with chances .2 and .4: 1 - (1 - .3)^5."""
    shown = [impression("1", "acme-111", 1, 0.2), impression("2", "acme-111", 2, 0.4)]
    shown += [impression(f"o{i}", "zeta-112", 3 + i, 0.5) for i in range(3)]
    found = exposure_of(*site(shown))
    assert found.shown.tolist() == [True]
    assert found.chance.tolist() == pytest.approx([1 - 0.7**5])


@pytest.mark.parametrize(
    ("other", "draws"),
    [
        (impression("x", "zeta-112", 19, 0.5), 2),
        (impression("x", "zeta-112", 21, 0.5), 1),
        (impression("x", "zeta-112", -11, 0.5), 1),
        (impression("x", "zeta-112", 19, 0.5, seeker="bob"), 1),
        (impression("1", "acme-111", 1, 0.2), 1),
    ],
    ids=["before applying", "after applying", "before the job was posted", "somebody else's", "the same event twice"],
)
def test_only_draws_that_could_have_shown_the_job_before_the_application_count(other, draws):
    found = exposure_of(*site([impression("1", "acme-111", 1, 0.2), other]))
    assert found.chance.tolist() == pytest.approx([1 - 0.8**draws])


def test_no_draw_after_the_jobs_expiry_counts():
    shown = [impression("1", "acme-111", 1, 0.2), impression("2", "zeta-112", 12, 0.5)]
    jobs = [job("acme-111", -10, expires=5), *JOBS[1:]]
    assert exposure_of(*site(shown, jobs=jobs)).chance.tolist() == pytest.approx([0.2])


def test_a_job_shown_only_after_the_application_was_not_shown():
    found = exposure_of(*site([impression("1", "acme-111", 21, 0.2)]))
    assert found.shown.tolist() == [False]
    assert found.chance.tolist() == [1.0]


def test_a_hire_that_came_another_way_weighs_one_and_the_shown_ones_one_on_average():
    applied = [application(s, "acme-111", 20, seeker=s) for s in ("ann", "bob", "cat")]
    shown = [impression("1", "acme-111", 1, 0.1, "ann"), impression("2", "acme-111", 1, 0.4, "bob")]
    tables, hires = site(shown, applied)
    weights = exposure_weights(tables, hires, ExposureConfig("inverse", clip=100))
    by_seeker = dict(zip(hires.hires["seeker_id"].to_pylist(), weights.tolist(), strict=True))
    assert by_seeker == pytest.approx({"ann": 10 / 6.25, "bob": 2.5 / 6.25, "cat": 1.0})


def test_without_weighting_nobody_asks_for_propensities():
    assert exposure_weights(*site(None), ExposureConfig()) is None


def test_logs_without_propensities_can_not_be_weighted():
    with pytest.raises(DataError, match="set exposure weighting to off"):
        exposure_weights(*site(None), ExposureConfig("inverse"))


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5])
def test_a_propensity_that_is_no_chance_is_refused(propensity):
    with pytest.raises(DataError, match=f"propensity {propensity}"):
        exposure_of(*site([impression("1", "acme-111", 1, propensity)]))


def test_impressions_whose_propensity_was_not_logged_say_nothing():
    shown = [impression("1", "acme-111", 1, None), impression("2", "zeta-112", 1, 0.5)]
    assert exposure_of(*site(shown)).shown.tolist() == [False]


@pytest.mark.parametrize(("weighting", "clip", "words"), [("all", 5, "weighting"), ("inverse", 0.5, "clip")])
def test_settings_that_mean_nothing_are_refused(weighting, clip, words):
    with pytest.raises(ConfigError, match=words):
        ExposureConfig(weighting, clip)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.floats(1, 20))
def test_weights_have_mean_one_and_fall_with_the_chance(chances, clip):
    chance = np.array(chances)
    weights = inverse_weights(chance, clip)
    assert weights.mean() == pytest.approx(1)
    order = np.argsort(chance)
    assert (np.diff(weights[order]) <= 1e-12).all()
    assert weights.max() <= clip * weights.min() * (1 / chance.min()) + 1e-9


def test_a_clip_of_one_leaves_nothing_above_the_mean():
    """Inverse chances 1, 1, 10 over their mean 4: 1/4, 1/4, 1 after the clip, then scaled to a mean of 1."""
    assert inverse_weights(np.array([1, 1, 0.1]), 1).tolist() == pytest.approx([0.5, 0.5, 2.0])


def test_weights_of_nobody_are_nothing():
    assert len(inverse_weights(np.zeros(0), 5)) == 0


def test_a_sample_that_the_policy_tilted_is_set_right():
    """Half of all moves go to 111, but a policy shows it four times as often as 211: a Monte Carlo of the estimator."""
    rng = np.random.default_rng(0)
    near = rng.random(40_000) < 0.5
    chance = 1 - (1 - np.where(near, 0.16, 0.04)) ** rng.integers(1, 9, len(near))
    seen = rng.random(len(near)) < chance
    weights = inverse_weights(chance[seen], 100)
    assert near[seen].mean() > 0.68
    assert np.average(near[seen], weights=weights) == pytest.approx(0.5, abs=0.015)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_join_agrees_with_a_plain_loop(data):
    days = st.integers(-15, 25)
    jobs = st.sampled_from([row["job_id"] for row in JOBS])
    people = st.sampled_from(["ann", "bob"])
    chance = st.sampled_from([0.1, 0.25, 1.0])
    rows = data.draw(st.lists(st.tuples(jobs, days, chance, people), min_size=1, max_size=12))
    applied = [application("a", "acme-111", 20, "ann"), application("b", "mega-211", 10, "bob")]
    tables, hires = site([impression(str(i), *row) for i, row in enumerate(rows)], applied)
    found = exposure_of(tables, hires)
    for i, hire in enumerate(hires.hires.to_pylist()):
        until = 20 if hire["seeker_id"] == "ann" else 10
        mine = [row for row in rows if row[3] == hire["seeker_id"]]
        of_job = [row[2] for row in mine if row[0] == hire["job_id"] and row[1] <= until]
        draws = max(1, sum(-10 <= row[1] <= until for row in mine))
        assert found.shown[i] == bool(of_job)
        assert found.chance[i] == pytest.approx(1 - (1 - np.mean(of_job)) ** draws if of_job else 1.0)
