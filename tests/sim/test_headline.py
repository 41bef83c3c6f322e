"""Budget used at equal cost: what can be mixed, by hand and against a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from market.errors import ConfigError
from sim.headline import best_mix, best_use
from sim.power import Size, campaigns_needed, scaled, standard_error, surprise

BASE = np.array([80.0, 200.0, 8.0, 100.0])  # 40 % used at 10 each, 100 impressions


def point(posted: float, qualified: float, impressions: float = 100.0) -> list[float]:
    return [posted, 200.0, qualified, impressions]


def used(*points: list[float], ad_load: bool = False) -> float:
    return float(best_use(np.array([points]), BASE[None], ad_load)[0])


def test_between_two_settings_the_mix_that_costs_as_much_counts() -> None:
    """60 spent at 6 each and 140 at 14: half of each spends 100 on 10."""
    assert used(point(60, 10), point(140, 10)) == pytest.approx(0.5)
    mix, limit = best_mix(np.array([point(60, 10), point(140, 10)]), BASE, ad_load=False)
    assert mix == pytest.approx([0.5, 0.5])
    assert limit == "cost"


def test_an_arm_that_is_cheaper_everywhere_ends_at_its_own_frontier() -> None:
    assert used(point(60, 10), point(100, 20)) == pytest.approx(0.5)
    assert best_mix(np.array([point(60, 10), point(100, 20)]), BASE, False)[1] == "the frontier's end"


def test_what_is_never_that_cheap_has_no_figure() -> None:
    assert np.isnan(used(point(60, 2), point(140, 10)))
    assert best_mix(np.array([point(60, 2)]), BASE, False) == (None, None)
    assert np.isnan(best_use(np.array([[point(60, 10)]]), np.array([[80.0, 200.0, 0.0, 100.0]]), False)[0])


def test_a_frontier_whose_cost_falls_and_rises_is_read_at_its_best() -> None:
    """Costs 12, 8 and 14: the last stretch reaches 10 with more used than the first."""
    found = used(point(60, 5), point(80, 10), point(140, 10))
    assert found == pytest.approx(100 / 200)


def test_equal_ad_load_limits_as_well() -> None:
    """60 spent in 50 impressions, 100 in 150, both cheap: half of each shows 100."""
    settings_ = [point(60, 10, 50), point(100, 20, 150)]
    assert used(*settings_, ad_load=True) == pytest.approx(0.4)
    mix, limit = best_mix(np.array(settings_), BASE, ad_load=True)
    assert mix == pytest.approx([0.5, 0.5])
    assert limit == "ad load"


def test_the_baseline_alone_reaches_itself() -> None:
    assert used(BASE.tolist()) == pytest.approx(0.4)
    assert used(BASE.tolist(), ad_load=True) == pytest.approx(0.4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.booleans(), st.integers(0, 10_000))
def test_trying_the_vertices_solves_the_linear_program(count: int, ad_load: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.column_stack(
        [rng.uniform(20, 180, count), np.full(count, 200.0), rng.uniform(2, 20, count), rng.uniform(40, 200, count)]
    )
    found = best_use(points[None], BASE[None], ad_load)[0]
    rows = [points[:, 0] - 10 * points[:, 2], points[:, 3] - 100][: 1 + ad_load]
    solved = linprog(
        -points[:, 0] / 200, A_ub=np.array(rows), b_ub=np.zeros(len(rows)), A_eq=np.ones((1, count)), b_eq=[1.0]
    )
    if solved.status == 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(-solved.fun, abs=1e-6)


# ---- power


def test_four_times_the_campaigns_halve_the_standard_error() -> None:
    small = Size(100, 7, standard_error((-0.04, 0.04)))
    assert small.standard_error == pytest.approx(0.04 / 1.96, rel=1e-4)
    assert scaled(small, 400) == pytest.approx(small.standard_error / 2)
    assert campaigns_needed(small) == 1600
    assert surprise(small, Size(400, 7, 0.02 / 1.959964)) == pytest.approx(1)


def test_a_target_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="target"):
        campaigns_needed(Size(100, 7, 0.1), target=0.0)
