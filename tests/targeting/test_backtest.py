"""The back-test sees the past only, and finds in known traffic what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from targeting.backtest import backtest
from targeting.traffic import HOUR, History

NOW = datetime(2026, 3, 30, 12, 40, tzinfo=UTC)
SINCE = datetime(2026, 2, 1, tzinfo=UTC)


class Past:
    """Requests by hour and area; reads are noted."""

    def __init__(self, hourly: dict[str, np.ndarray]) -> None:
        self.hourly, self.asked = hourly, list[tuple[datetime, int]]()

    def read(self, until: datetime, days: int) -> History:
        self.asked.append((until, days))
        last = (until - SINCE) // HOUR
        first = max(0, last - 24 * days)
        parts = {area: counts[first:last] for area, counts in self.hourly.items()}
        cells = {("", area): int(counts.sum()) for area, counts in parts.items()}
        return History(SINCE + HOUR * first, sum(parts.values(), np.zeros(last - first, np.int64)), cells, {})


def past(rate: float = 20.0, days: int = 58) -> Past:
    rng = np.random.default_rng(3)
    return Past({area: rng.poisson(rate * share, 24 * days) for area, share in (("a", 0.7), ("b", 0.3))})


def test_poisson_traffic_is_covered_and_hardly_missed() -> None:
    day, week = backtest(past().read, NOW, 21)
    assert (day.horizon_days, day.n) == (1, 21 * 3)
    assert (week.horizon_days, week.n) == (7, 15 * 3)
    for row in (day, week):
        assert row.coverage80 >= 0.6
        assert row.coverage95 >= 0.85
        assert abs(row.bias) < 0.05
    assert week.absolute_error < day.absolute_error < 0.1


def test_a_forecast_sees_nothing_of_its_own_horizon() -> None:
    seen = past()
    backtest(seen.read, NOW, 8, horizons=(7,))
    assert [(until, days) for until, days in seen.asked if days == 28] == [
        (NOW.replace(minute=0) - timedelta(days=back), 28) for back in (7, 8)
    ]
    assert max(until for until, _ in seen.asked) == NOW.replace(minute=0)


def test_traffic_that_doubles_is_missed_and_the_bias_says_so() -> None:
    doubled = past()
    for counts in doubled.hourly.values():
        counts[24 * 50 :] *= 2
    day = backtest(doubled.read, NOW, 5, horizons=(1,))[0]
    assert day.bias < -0.2
    assert day.coverage80 < 0.5


def test_the_same_seed_gives_the_same_answer_and_no_traffic_none() -> None:
    assert backtest(past().read, NOW, 3, seed=5) == backtest(past().read, NOW, 3, seed=5)
    nothing = Past({})
    nothing.read = lambda until, days: History(until, np.zeros(0, np.int64), {}, {})  # type: ignore[method-assign]
    assert backtest(nothing.read, NOW, 3) == []


@pytest.mark.parametrize("days", [1, 7])
def test_horizons_that_do_not_fit_are_left_out(days: int) -> None:
    assert [row.horizon_days for row in backtest(past().read, NOW, days)] == [h for h in (1, 7) if h <= days]
