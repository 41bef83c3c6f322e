"""Visits: the expected number is what a forecast may know, whatever the spells; weekdays are where they should be."""

from __future__ import annotations

import numpy as np
import pytest

from sim.behaviour import read_behaviour
from sim.traffic import arrivals, searching_days, session_rates, weekday_weights

RULES = read_behaviour()["traffic"]
MONDAY = float(np.datetime64("2026-11-30", "D").astype(int))


def rules(**changes: float) -> dict[str, object]:
    return dict(RULES) | changes


def test_a_week_has_each_weekday_once_and_sums_to_seven_average_days() -> None:
    week = weekday_weights(RULES, MONDAY, 7)
    assert week == pytest.approx(np.array(RULES["weekdays"]) / np.mean(RULES["weekdays"]))
    assert week.sum() == pytest.approx(7)
    assert weekday_weights(RULES, MONDAY + 5, 3).tolist() == [week[5], week[6], week[0]]
    assert week.argmax() == 1  # Tuesday
    assert week.argmin() == 5  # Saturday


@pytest.mark.parametrize("spells", [{}, {"searching_share": 1.0}, {"searching_share": 0.2, "spell_days": 8.0}])
def test_expected_visits_of_a_day_are_rate_times_weekday_whatever_the_spells(spells: dict[str, float]) -> None:
    seekers = 20_000
    found = arrivals(rules(**spells), np.arange(seekers), np.full(seekers, 2.0), MONDAY, 7, np.random.default_rng(3))
    by_day = np.bincount((found.second // 86_400).astype(int), minlength=7) / seekers
    assert by_day == pytest.approx(2.0 * weekday_weights(RULES, MONDAY, 7), rel=0.06)


def test_searching_days_come_in_spells_of_the_stated_share_and_length() -> None:
    days = searching_days(RULES, 4_000, 60, np.random.default_rng(4))
    assert days.mean() == pytest.approx(RULES["searching_share"], abs=0.01)
    assert days[:, 0].mean() == pytest.approx(days[:, -1].mean(), abs=0.04)
    goes_on = days[:, 1:][days[:, :-1]].mean()
    assert 1 / (1 - goes_on) == pytest.approx(RULES["spell_days"], rel=0.05)


def test_sessions_cluster_more_than_chance_would_have_it() -> None:
    seekers = 5_000
    visits = [
        np.bincount(
            arrivals(
                rules(searching_share=share), np.arange(seekers), np.full(seekers, 2.0), MONDAY, 7,
                np.random.default_rng(5),
            ).seeker,
            minlength=seekers,
        )
        for share in (0.4, 1.0)
    ]  # fmt: skip
    assert visits[0].var() > 2 * visits[1].var()
    assert visits[1].var() == pytest.approx(14, rel=0.1)  # without spells: Poisson


def test_a_visits_number_counts_the_seekers_visits_in_time_order() -> None:
    found = arrivals(RULES, np.array([7, 9]), np.full(2, 20.0), MONDAY, 7, np.random.default_rng(6))
    for row, seeker in enumerate((7, 9)):
        mine = found.number[found.seeker == row]
        assert mine.tolist() == [seeker * 100_000 + visit for visit in range(len(mine))]


def test_rates_have_the_stated_mean() -> None:
    rate = session_rates(RULES, 50_000, np.random.default_rng(7))
    assert rate.mean() == pytest.approx(RULES["sessions_per_day"], rel=0.02)
