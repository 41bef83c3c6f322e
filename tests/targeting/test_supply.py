"""Supply on traffic whose rates are known: pooling, shape, days, and whether intervals cover what comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targeting.supply import WEEK, K, Supply, fit_shape, fit_supply, hour_of_week, hours_between, local_days
from targeting.traffic import HOUR, History

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SECTIONS = {"nurse": "care", "carer": "care", "cook": "food", "baker": "food"}


def history(requests: np.ndarray, cells: dict[tuple[str, str], int] | None = None) -> History:
    counts = cells if cells is not None else {("nurse", "31080"): int(requests.sum())}
    return History(MONDAY, np.asarray(requests, np.int64), counts, {})


def everywhere(_: str) -> bool:
    return True


def flat(hours: int, rate: int = 10) -> np.ndarray:
    return np.full(hours, rate)


def test_without_traffic_nothing_is_expected() -> None:
    supply = fit_supply(history(np.zeros(0, int), {}), "UTC", everywhere)
    assert supply.total == 0
    assert not supply.requests(MONDAY, MONDAY + DAY, 50, np.random.default_rng(0)).any()


def test_even_traffic_is_expected_to_go_on() -> None:
    supply = fit_supply(history(flat(WEEK)), "UTC", everywhere)
    assert supply.shape == pytest.approx(np.ones(WEEK))
    assert supply.total / supply.hours == pytest.approx(10)
    drawn = supply.requests(MONDAY, MONDAY + DAY, 4_000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(240, rel=0.02)


def test_a_night_without_traffic_stays_quiet() -> None:
    day = np.repeat([0, 100], 12)
    shape, _, _ = fit_shape(history(np.tile(day, 28)), "UTC")
    assert shape.reshape(7, 24)[:, :12].max() < 0.1
    assert shape.reshape(7, 24)[:, 12:].min() > 1.8
    assert shape.mean() == pytest.approx(1)


def test_an_hour_of_the_week_that_was_never_seen_is_like_the_same_hour_of_other_days() -> None:
    day = np.repeat([20, 100], 12)
    shape, _, _ = fit_shape(history(np.tile(day, 3)), "UTC")  # Monday to Wednesday
    days = shape.reshape(7, 24)
    assert days[5, 20] / days[5, 2] == pytest.approx(days[0, 20] / days[0, 2], rel=0.25)
    assert days[5, 20] > 1.5


def test_a_thin_occupation_leans_on_its_section_and_a_thick_one_on_itself() -> None:
    # Elsewhere nurses and carers come equally often. Here carers have not come yet, and 1,000 nurses have.
    cells = {("nurse", "far"): 5_000, ("carer", "far"): 5_000, ("nurse", "here"): 1_000}
    supply = fit_supply(history(flat(WEEK), cells), "UTC", lambda area: area == "here", SECTIONS)
    carer, nurse = supply.mean  # in the order of their names
    assert supply.occupations == ("carer", "nurse")
    assert 0 < carer < 100
    assert nurse == pytest.approx(1_000, rel=0.05)
    few = {("nurse", "far"): 5_000, ("carer", "far"): 5_000, ("nurse", "here"): 4}
    thin = fit_supply(history(flat(WEEK), few), "UTC", lambda area: area == "here", SECTIONS)
    assert thin.mean[0] == pytest.approx(2, rel=0.1)  # half of the section's four, against K of its own


def test_pooling_is_the_formula() -> None:
    cells = {("nurse", "a"): 30, ("cook", "a"): 10, ("nurse", "b"): 10, ("cook", "b"): 50}
    supply = fit_supply(history(flat(10), cells), "UTC", lambda area: area == "a", SECTIONS)
    for at, (seen, total) in enumerate(((10, 60), (30, 40))):  # cook, nurse
        expected = 40 * total / 100
        expected = expected * (seen + K) / (expected + K)
        assert supply.mean[at] == pytest.approx(expected * (seen + K) / (expected + K))


def test_hours_are_those_of_the_zone() -> None:
    assert hour_of_week(MONDAY, "UTC") == 0
    assert hour_of_week(MONDAY, "Europe/Berlin") == 1
    assert hour_of_week(MONDAY, "America/New_York") == WEEK - 5


@given(st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]), st.integers(0, 400 * 24 * 60))
@settings(max_examples=60, deadline=None)
def test_days_and_hours_cut_any_span_without_gap_or_overlap(zone: str, minutes: int) -> None:
    start = MONDAY + timedelta(minutes=minutes)
    end = start + timedelta(days=3, minutes=minutes % 1_440)
    days = local_days(zone, start, end)
    assert days[0][0] == start
    assert days[-1][1] == end
    assert all(before[1] == after[0] for before, after in pairwise(days))
    assert len({first.astimezone(ZoneInfo(zone)).date() for first, _ in days}) == len(days)
    weights = [weight for first, last in days for _, weight in hours_between(np.ones(WEEK), zone, first, last)]
    assert sum(weights) == pytest.approx((end - start) / HOUR)


class KnownTraffic:
    """Four occupations in two areas; a day of the week and an hour of the day; days that are `noise` off."""

    def __init__(self, rate: float, noise: float, rng: np.random.Generator) -> None:
        self._rng, self._noise = rng, noise
        hours = 1 + 0.8 * np.sin(np.arange(24) / 24 * 2 * np.pi)
        days = np.array([1.2, 1.2, 1.1, 1.1, 1.0, 0.6, 0.8])
        self.shape = rate * (days[:, None] * hours).ravel()
        self.share = {(code, area): rng.dirichlet(np.ones(8))[0] for code in SECTIONS for area in ("here", "far")}
        whole = sum(self.share.values())
        self.share = {place: share / whole for place, share in self.share.items()}

    def days(self, count: int) -> tuple[np.ndarray, dict[tuple[str, str], int]]:
        factor = np.repeat(
            np.ones(count) if not self._noise else self._rng.gamma(1 / self._noise, self._noise, count), 24
        )
        hourly = self._rng.poisson(np.resize(self.shape, 24 * count) * factor)
        cells = self._rng.multinomial(hourly.sum(), list(self.share.values()))
        return hourly, dict(zip(self.share, cells.tolist(), strict=True))


def covered(rate: float, noise: float, worlds: int, seen_days: int, horizon_days: int) -> tuple[float, float]:
    """Share of worlds whose requests from one area lay within the 80 % and the 95 % interval."""
    hits = np.zeros(2)
    for seed in range(worlds):
        rng = np.random.default_rng([seed, 5])
        world = KnownTraffic(rate, noise, rng)
        hourly, cells = world.days(seen_days)
        supply: Supply = fit_supply(history(hourly, cells), "UTC", lambda area: area == "here", SECTIONS)
        start = MONDAY + DAY * seen_days
        assert start.weekday() == 0
        drawn = supply.requests(start, start + DAY * horizon_days, 400, rng)
        _, after = world.days(horizon_days)
        came = sum(number for (_, area), number in after.items() if area == "here")
        for at, inside in enumerate((0.8, 0.95)):
            low = np.quantile(drawn, (1 - inside) / 2, method="lower")
            high = np.quantile(drawn, (1 + inside) / 2, method="higher")
            hits[at] += low <= came <= high
    return float(hits[0] / worlds), float(hits[1] / worlds)


def test_days_that_always_differ_are_believed_and_chance_is_not() -> None:
    week = np.repeat([40, 20, 20, 20, 20, 20, 0], 24)
    shape, _, sure = fit_shape(history(np.tile(week, 4)), "UTC")
    assert sure.trust > 0.9
    assert sure.noise < 0.01
    assert shape.reshape(7, 24).mean(1) == pytest.approx([2, 1, 1, 1, 1, 1, 0], abs=0.1)
    found = []
    for seed in range(40):
        chance = np.repeat(np.random.default_rng(seed).choice([10, 30], 28), 24)
        found.append(fit_shape(history(chance), "UTC")[2])
    assert np.mean([days.trust for days in found]) < 0.5
    assert np.mean([days.noise for days in found]) == pytest.approx(0.25, rel=0.2)


# n = 300 worlds each: binomial standard errors 2.3 and 1.3 points.
@pytest.mark.parametrize(("rate", "noise"), [(0.5, 0.0), (20.0, 0.0), (20.0, 0.04)])
@pytest.mark.parametrize("horizon_days", [1, 7])
def test_intervals_cover_what_comes_about_as_often_as_they_say(rate: float, noise: float, horizon_days: int) -> None:
    at80, at95 = covered(rate, noise, worlds=300, seen_days=28, horizon_days=horizon_days)
    assert 0.73 <= at80 <= 0.92, at80
    assert 0.91 <= at95 <= 0.995, at95


@pytest.mark.slow
def test_intervals_after_one_week_are_wide_enough() -> None:
    at80, at95 = covered(5.0, 0.04, worlds=500, seen_days=7, horizon_days=7)
    assert at80 >= 0.72
    assert at95 >= 0.9
