"""Delayed hires: open applications are neither; Kaplan and Meier by hand, and where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.hires import CENSORED, HIRED, NOT_HIRED, confirm
from graph.selection.delays import Watched, censoring_weights, hire_rate, watched
from market.errors import ConfigError, DataError
from tests.graph.toy_logs import application, day, job, logs, position


def of(*rows):
    """(days, hired) of each application."""
    days, hired = zip(*rows, strict=True)
    return Watched(np.array(days, float), np.array(hired, bool))


def test_the_curve_by_hand():
    """Hires on days 10 (5 at risk) and 30 (3 at risk, one left on day 20): 1 - 4/5 * 2/3."""
    applications = of((10, True), (20, False), (30, True), (99, False), (99, False))
    assert hire_rate(applications, 60) == pytest.approx(1 - 4 / 5 * 2 / 3)
    assert hire_rate(applications, 20) == pytest.approx(1 / 5)


def test_a_hire_and_a_last_look_on_one_day_count_the_hire_first():
    assert hire_rate(of((10, True), (10, False), (99, False)), 50) == pytest.approx(1 / 3)


def test_hires_after_the_horizon_are_no_hires():
    assert hire_rate(of((10, True), (61, True), (99, False)), 60) == pytest.approx(1 / 3)


def test_without_any_hire_the_rate_is_zero_and_with_nothing_else_one():
    assert hire_rate(of((99, False)), 60) == 0
    assert hire_rate(of((10, True), (70, True)), 70) == 1


def test_a_horizon_that_nobody_was_watched_for_is_refused():
    with pytest.raises(DataError, match=r"none was watched for 60 days \(longest 59"):
        hire_rate(of((59, False), (3, True)), 60)
    with pytest.raises(DataError, match="longest 0"):
        hire_rate(Watched(np.zeros(0), np.zeros(0, bool)), 60)
    with pytest.raises(ConfigError, match="horizon_days is 0"):
        hire_rate(of((59, False)), 0)


applications = st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1, max_size=40)


@given(applications)
def test_with_everybody_watched_long_enough_the_rate_is_the_plain_share(rows):
    everybody = of(*((min(days, 60) if hired else 100, hired) for days, hired in rows), (100, False))
    assert hire_rate(everybody, 60) == pytest.approx(everybody.hired.mean())
    assert censoring_weights(everybody, 60).tolist() == pytest.approx([1.0] * len(everybody))


@given(applications)
def test_weighing_by_the_chance_of_being_watched_gives_the_same_rate(rows):
    """The Kaplan-Meier estimate is the inverse-probability-of-censoring weighted mean (Satten and Datta 2001)."""
    some = of(*rows, (100, False))
    weights = censoring_weights(some, 60)
    hired = some.hired & (some.days <= 60)
    assert (weights * hired).sum() / len(some) == pytest.approx(hire_rate(some, 60))


@given(applications)
def test_open_applications_lift_the_rate_above_naive_and_never_weigh_anything(rows):
    some = of(*rows, (100, False))
    hired = some.hired & (some.days <= 60)
    assert hire_rate(some, 60) >= hired.mean() - 1e-12
    still_open = ~hired & (some.days < 60)
    weights = censoring_weights(some, 60)
    assert (weights[still_open] == 0).all()
    assert (weights[~still_open] >= 1 - 1e-12).all()


def test_both_naive_shares_are_wrong_where_the_estimate_is_right():
    """Applications arrive evenly over a year; .4 become hires, 45 days later on average; the logs end today."""
    rng = np.random.default_rng(0)
    n = 30_000
    age = rng.uniform(0, 365, n)
    delay = np.where(rng.random(n) < 0.4, np.minimum(rng.exponential(45, n), 180), np.inf)
    hired = delay <= age
    done = hired | (age > 180)
    assert hired.mean() < 0.36
    assert hired[done].mean() > 0.43
    assert hire_rate(Watched(np.minimum(delay, age), hired), 180) == pytest.approx(0.4, abs=0.01)


SITE = {
    "applications": [
        application("hired", "acme-111", 0),
        application("refused", "zeta-111", 5),
        application("open", "mega-111", 150),
    ],
    "positions": [position("acme", "111", 30, recorded=50)],
    "jobs": [job("acme-111"), job("zeta-111"), job("mega-111")],
}


def test_an_application_is_watched_until_its_hire_is_on_record_or_until_today():
    tables = logs(**SITE)
    hires = confirm(tables, day(200))
    found = watched(tables, hires, day(200))
    events = hires.outcomes["event_id"].to_pylist()
    assert dict(zip(events, found.days.tolist(), strict=True)) == {"hired": 50, "refused": 195, "open": 50}
    assert dict(zip(events, found.hired.tolist(), strict=True)) == {"hired": True, "refused": False, "open": False}


def test_an_open_application_is_no_no_hire_until_its_whole_window_has_passed():
    tables = logs(**SITE)
    for today, expected in ((200, CENSORED), (329, CENSORED), (330, NOT_HIRED)):
        outcomes = {row["event_id"]: row["outcome"] for row in confirm(tables, day(today)).outcomes.to_pylist()}
        assert outcomes["open"] == expected
        assert outcomes["hired"] == HIRED


def test_before_it_is_recorded_a_hire_is_an_open_application():
    tables = logs(**SITE)
    hires = confirm(tables, day(40))
    assert watched(tables, hires, day(40)).hired.tolist() == [False, False]
