from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

import targeting.plan
from market.errors import PlanError, UserError
from targeting.pacing.problem import reach_of
from targeting.plan import Plan, PlanProblem, simplex_seconds, solve

Floats = NDArray[np.float64]


def problem(
    budget: Sequence[float],
    supply: Sequence[float],
    pairs: Sequence[tuple[int, int, float, float]],
) -> PlanProblem:
    """pairs: (campaign, segment, value, cost)."""
    columns = list(zip(*pairs, strict=True)) or [(), (), (), ()]
    return PlanProblem(*map(np.array, (budget, supply, *columns)))


def rows(given: PlanProblem) -> tuple[Floats, Floats]:
    """The <= rows as a dense matrix, and their limits."""
    campaigns, pairs = len(given.budget), np.arange(len(given.value))
    matrix = np.zeros((campaigns + len(given.supply), len(pairs)))
    matrix[given.campaign, pairs] = given.cost
    matrix[campaigns + given.segment, pairs] = 1.0
    return matrix, np.concatenate([given.budget, given.supply])


def best_vertex(given: PlanProblem) -> float:
    """The optimum by trying every vertex: the slow, obvious twin."""
    matrix, limit = rows(given)
    pairs = len(given.value)
    faces = np.vstack([matrix, np.eye(pairs)])
    sides = np.concatenate([limit, np.zeros(pairs)])
    best = 0.0
    for active in map(list, combinations(range(len(faces)), pairs)):
        if abs(np.linalg.det(faces[active])) > 1e-12:
            vertex = np.linalg.solve(faces[active], sides[active])
            if (vertex >= -1e-9).all() and (matrix @ vertex <= limit + 1e-9).all():
                best = max(best, float(given.value @ vertex))
    return best


def by_highs(given: PlanProblem) -> float:
    campaigns, pairs = len(given.budget), np.arange(len(given.value))
    matrix = sp.csr_matrix(
        (
            np.concatenate([given.cost, np.ones(len(pairs))]),
            (np.concatenate([given.campaign, campaigns + given.segment]), np.concatenate([pairs, pairs])),
        ),
        shape=(campaigns + len(given.supply), len(pairs)),
    )
    answer = linprog(
        -given.value,
        A_ub=matrix,
        b_ub=np.concatenate([given.budget, given.supply]),
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert answer.status == 0
    return float(-answer.fun)


def check_certificate(given: PlanProblem, plan: Plan) -> None:
    """Everything that holds for every plan, whoever made it and however early it was stopped."""
    impressions = plan.impressions
    assert impressions.shape == given.value.shape
    assert (impressions >= 0).all()
    spent = np.bincount(given.campaign, given.cost * impressions, minlength=len(given.budget))
    shown = np.bincount(given.segment, impressions, minlength=len(given.supply))
    assert (spent <= given.budget * (1 + 1e-9)).all()
    assert (shown <= given.supply * (1 + 1e-9)).all()
    assert plan.violation <= 1e-9
    assert plan.objective == pytest.approx(float(given.value @ impressions), rel=1e-12)
    # The bound, recomputed from the prices alone.
    assert (plan.budget_price >= 0).all()
    assert (plan.supply_price >= 0).all()
    assert np.isfinite(plan.budget_price).all()
    assert np.isfinite(plan.supply_price).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        affordable = np.where(given.cost > 0, given.budget[given.campaign] / given.cost, np.inf)
    reach = np.minimum(given.supply[given.segment], affordable)
    reduced = given.value - plan.budget_price[given.campaign] * given.cost - plan.supply_price[given.segment]
    bound = plan.budget_price @ given.budget + plan.supply_price @ given.supply + np.maximum(reduced, 0) @ reach
    assert plan.bound == pytest.approx(float(bound), rel=1e-9)
    assert plan.objective <= plan.bound
    assert plan.gap == (pytest.approx((plan.bound - plan.objective) / plan.bound) if plan.bound > 0 else 0.0)
    assert 0 <= plan.gap <= 1


@st.composite
def problems(draw: st.DrawFn, most: int = 12) -> PlanProblem:
    """Small random problems, with zeros, repeated pairs and ties."""
    campaigns, segments, pairs = (
        draw(st.integers(1, most // 2)),
        draw(st.integers(1, most // 2)),
        draw(st.integers(0, most)),
    )
    amount = st.one_of(st.integers(0, 4).map(float), st.floats(0.01, 100))

    def amounts(count: int) -> list[float]:
        return draw(st.lists(amount, min_size=count, max_size=count))

    def indices(size: int) -> list[int]:
        return draw(st.lists(st.integers(0, size - 1), min_size=pairs, max_size=pairs))

    return PlanProblem(
        np.array(amounts(campaigns)),
        np.array(amounts(segments)),
        np.array(indices(campaigns), dtype=np.int64),
        np.array(indices(segments), dtype=np.int64),
        np.array(amounts(pairs)),
        np.array(amounts(pairs)),
    )


@settings(derandomize=True, max_examples=60, deadline=None)
@given(problems(most=4))
def test_the_plan_is_the_best_vertex_of_a_tiny_problem(given: PlanProblem) -> None:
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.objective == pytest.approx(best_vertex(given), rel=1e-9, abs=1e-12)
    assert plan.gap < 1e-9


@settings(derandomize=True, max_examples=200, deadline=None)
@given(problems())
def test_the_plan_agrees_with_highs(given: PlanProblem) -> None:
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.gap < 1e-9
    if len(given.value):
        assert plan.objective == pytest.approx(by_highs(given), rel=1e-7, abs=1e-9)


DRAWS = {
    "plain": lambda rng, n: rng.lognormal(0, 1, n),
    "whole numbers, many ties and zeros": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "a few values": lambda rng, n: rng.choice([0.0, 0.5, 1.0, 1.0, 2.0], n),
    "six orders of magnitude": lambda rng, n: 10 ** rng.uniform(-3, 3, n) * (rng.random(n) > 0.15),
}


def small_problem(seed: int) -> PlanProblem:
    """Up to 7 campaigns, 9 segments and 39 pairs; every third one repeats pairs, half of those at the same cost."""
    rng = np.random.default_rng(seed)
    draw = list(DRAWS.values())[seed % len(DRAWS)]
    campaigns, segments, pairs = rng.integers(1, 8), rng.integers(1, 10), rng.integers(0, 40)
    campaign, segment = rng.integers(0, campaigns, pairs), rng.integers(0, segments, pairs)
    value, cost = draw(rng, pairs), draw(rng, pairs)
    if seed % 3 == 0 and (again := pairs // 3):
        for array in (campaign, segment, value, cost) if seed % 2 else (campaign, segment, value):
            array[-again:] = array[:again]
    return PlanProblem(draw(rng, campaigns), draw(rng, segments), campaign, segment, value, cost)


def check_against_highs(seed: int) -> None:
    given = small_problem(seed)
    plan = solve(given)
    check_certificate(given, plan)
    best = by_highs(given) if len(given.value) else 0.0
    assert plan.objective == pytest.approx(best, rel=1e-9, abs=1e-15), f"seed {seed}"
    assert plan.gap < 1e-9, f"seed {seed}"


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_small_problems_are_solved_to_the_ninth_digit(first: int) -> None:
    for seed in range(first, first + 40):
        check_against_highs(seed)


@pytest.mark.slow
def test_a_thousand_small_problems_are_solved_to_the_ninth_digit() -> None:
    for seed in range(1_000):
        check_against_highs(seed)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(problems())
def test_without_time_the_plan_is_feasible_and_its_gap_true(given: PlanProblem) -> None:
    plan, best = solve(given, time_limit_seconds=0), solve(given)
    check_certificate(given, plan)
    assert plan.solver in ("dual-ascent", "none")
    assert plan.objective <= best.bound * (1 + 1e-12)
    assert plan.bound >= best.objective * (1 - 1e-12)
    assert np.array_equal(plan.impressions, solve(given, time_limit_seconds=0).impressions)


def test_a_campaign_alone_buys_its_best_hires_per_unit_of_money_first() -> None:
    # 10 of money: 4 visits at 1 for .2 hires each, then 2 of the visits at 3 for .3 hires each.
    plan = solve(problem([10.0], [4.0, 9.0], [(0, 0, 0.2, 1.0), (0, 1, 0.3, 3.0)]))
    assert plan.impressions == pytest.approx([4.0, 2.0])
    assert plan.objective == pytest.approx(1.4)
    assert plan.budget_price == pytest.approx([0.1])
    assert plan.supply_price == pytest.approx([0.1, 0.0], abs=1e-12)
    assert plan.solver == "glop"


def test_a_contested_segment_goes_to_the_campaign_that_has_nowhere_else_to_go() -> None:
    plan = solve(problem([5.0, 5.0], [5.0, 5.0], [(0, 0, 1.0, 1.0), (0, 1, 0.9, 1.0), (1, 0, 0.5, 1.0)]))
    assert plan.impressions == pytest.approx([0.0, 5.0, 5.0])
    assert plan.objective == pytest.approx(7.0)


def test_no_pairs_give_an_empty_plan() -> None:
    plan = solve(problem([1.0, 2.0], [3.0], []))
    assert plan.impressions.shape == (0,)
    assert plan.budget_price.tolist() == [0.0, 0.0]
    assert plan.supply_price.tolist() == [0.0]
    assert (plan.objective, plan.bound, plan.gap) == (0.0, 0.0, 0.0)


def test_no_campaigns_and_no_segments_give_an_empty_plan() -> None:
    plan = solve(problem([], [], []))
    assert (plan.objective, plan.bound, plan.gap, plan.solver) == (0.0, 0.0, 0.0, "none")


def test_a_free_pair_is_limited_by_supply_even_without_budget() -> None:
    given = problem([0.0], [7.0, 7.0], [(0, 0, 0.5, 0.0), (0, 1, 0.5, 1.0)])
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.impressions == pytest.approx([7.0, 0.0])
    assert plan.objective == pytest.approx(3.5)


def test_a_zero_budget_and_a_zero_supply_are_priced_by_what_a_first_unit_would_bring() -> None:
    given = problem([0.0, 10.0], [5.0, 0.0], [(0, 0, 0.6, 2.0), (1, 1, 0.4, 1.0)])
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.objective == plan.bound == plan.gap == 0.0
    assert plan.budget_price == pytest.approx([0.3, 0.0])
    assert plan.supply_price == pytest.approx([0.0, 0.4])


def test_pairs_without_value_are_not_shown() -> None:
    plan = solve(problem([10.0], [5.0], [(0, 0, 0.0, 1.0)]))
    assert plan.impressions.tolist() == [0.0]
    assert plan.budget_price.tolist() == [0.0]
    assert (plan.objective, plan.bound, plan.gap) == (0.0, 0.0, 0.0)


def test_a_pair_that_is_given_twice_is_two_variables() -> None:
    given = problem([4.0], [10.0], [(0, 0, 0.1, 1.0), (0, 0, 0.3, 2.0), (0, 0, 0.3, 2.0)])
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.objective == pytest.approx(0.6)
    assert plan.impressions[1] + plan.impressions[2] == pytest.approx(2.0)


def test_a_budget_price_is_the_slope_of_the_objective() -> None:
    rng = np.random.default_rng(4)
    given = random_problem(rng, campaigns=6, segments=10, pairs=40)
    plan = solve(given)
    step = 1e-4
    for campaign, price in enumerate(plan.budget_price):
        up, down = given.budget.copy(), given.budget.copy()
        up[campaign] += step
        down[campaign] -= step
        slope = (solve(replace(given, budget=up)).objective - solve(replace(given, budget=down)).objective) / (2 * step)
        assert slope == pytest.approx(price, rel=1e-5, abs=1e-8)
    assert (plan.budget_price > 0).sum() >= 3


def test_a_supply_price_is_the_slope_of_the_objective() -> None:
    rng = np.random.default_rng(4)
    given = random_problem(rng, campaigns=6, segments=10, pairs=40)
    plan = solve(given)
    step = 1e-4
    for segment, price in enumerate(plan.supply_price):
        up, down = given.supply.copy(), given.supply.copy()
        up[segment] += step
        down[segment] -= step
        slope = (solve(replace(given, supply=up)).objective - solve(replace(given, supply=down)).objective) / (2 * step)
        assert slope == pytest.approx(price, rel=1e-5, abs=1e-8)


def random_problem(rng: np.random.Generator, campaigns: int, segments: int, pairs: int) -> PlanProblem:
    return PlanProblem(
        budget=rng.lognormal(3, 1, campaigns),
        supply=rng.lognormal(2, 1, segments),
        campaign=rng.integers(0, campaigns, pairs),
        segment=rng.integers(0, segments, pairs),
        value=rng.lognormal(-7, 1, pairs),
        cost=rng.lognormal(0, 1, pairs),
    )


@pytest.mark.parametrize("budget_unit", [1e-9, 1e-3, 1e5, 1e15])
@pytest.mark.parametrize("supply_unit", [1e-6, 1.0, 1e12])
@pytest.mark.parametrize("value_unit", [1e-12, 1e-4, 1e6])
def test_units_of_any_size_give_the_same_plan(budget_unit: float, supply_unit: float, value_unit: float) -> None:
    plain = random_problem(np.random.default_rng(5), campaigns=10, segments=20, pairs=100)
    given = replace(
        plain,
        budget=plain.budget * budget_unit,
        supply=plain.supply * supply_unit,
        value=plain.value * value_unit,
        cost=plain.cost * budget_unit / supply_unit,
    )
    plan, reference = solve(given), solve(plain)
    check_certificate(given, plan)
    assert plan.gap < 1e-12
    assert plan.objective == pytest.approx(reference.objective * value_unit * supply_unit, rel=1e-9)
    in_plain_units = plan.budget_price * budget_unit / (value_unit * supply_unit)
    assert in_plain_units == pytest.approx(reference.budget_price, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_budgets_from_1e_minus_9_to_1e15_can_stand_in_one_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given = PlanProblem(
        budget=10 ** rng.uniform(-9, 15, 20),
        supply=10 ** rng.uniform(-3, 12, 50),
        campaign=rng.integers(0, 20, 300),
        segment=rng.integers(0, 50, 300),
        value=10 ** rng.uniform(-12, 3, 300),
        cost=10 ** rng.uniform(-9, 6, 300) * (rng.random(300) > 0.05),
    )
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.gap < 1e-6


def test_amounts_over_eight_orders_of_magnitude_do_not_upset_the_simplex() -> None:
    rng = np.random.default_rng(8)
    for _ in range(200):
        campaigns, segments, pairs = rng.integers(1, 40), rng.integers(1, 60), rng.integers(1, 600)
        budget, supply, value, cost = (
            10 ** rng.uniform(-4, 4, size) * (rng.random(size) > 0.1) for size in (campaigns, segments, pairs, pairs)
        )
        given = PlanProblem(
            budget, supply, rng.integers(0, campaigns, pairs), rng.integers(0, segments, pairs), value, cost
        )
        plan = solve(given)
        check_certificate(given, plan)
        assert plan.solver in ("glop", "none")
        assert plan.gap < 1e-6


@pytest.mark.parametrize("tiny", [5e-324, 1e-300])
def test_numbers_at_the_edge_of_float64_do_no_harm(tiny: float) -> None:
    for edge in (tiny, 1e100):
        plan = solve(problem([edge, 1.0, 0.0], [edge, 1.0], [(0, 1, 1.0, 1.0), (1, 0, edge, tiny), (2, 1, 1.0, tiny)]))
        assert np.isfinite(plan.impressions).all()
        assert np.isfinite(plan.budget_price).all()
        assert np.isfinite(plan.supply_price).all()
        assert 0 <= plan.objective <= plan.bound < np.inf


def test_hires_that_overflow_are_refused() -> None:
    with pytest.raises(PlanError, match=r"value\[0\] is 1e\+300"):
        solve(problem([1.0], [1e300], [(0, 0, 1e300, 0.0)]))


GOOD = {
    "budget": [1.0, 2.0],
    "supply": [3.0, 4.0, 5.0],
    "campaign": [0, 1],
    "segment": [0, 2],
    "value": [0.1, 0.2],
    "cost": [1.0, 2.0],
}


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        *[
            (name, [1.0, bad, *GOOD[name][2:]], rf"{name}\[1\] is {bad}")
            for name in ("budget", "supply", "value", "cost")
            for bad in (-1.0, float("nan"), float("inf"), float("-inf"))
        ],
        ("campaign", [0, 2], r"campaign\[1\] is 2; expected an index of budget, 0 to 1"),
        ("campaign", [-1, 0], r"campaign\[0\] is -1"),
        ("segment", [3, 0], r"segment\[0\] is 3; expected an index of supply, 0 to 2"),
        ("segment", [0.0, 1.0], "segment.*expected int64"),
        ("segment", [True, False], "segment.*expected int64"),
        ("segment", [0], "segment has 1 entries, campaign has 2"),
        ("value", [0.1], "value has 1 entries, campaign has 2"),
        ("cost", [0.1, 0.2, 0.3], "cost has 3 entries, campaign has 2"),
        ("budget", [[1.0, 2.0]], "budget has 2 dimensions"),
        ("campaign", [[0, 1]], "campaign has 2 dimensions"),
        ("value", ["a", "b"], "value is not an array of numbers"),
    ],
)
def test_impossible_numbers_are_refused_by_array_and_index(name: str, bad: list[float], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        PlanProblem(**{**GOOD, name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_a_time_limit_that_is_no_time_is_refused(limit: float) -> None:
    with pytest.raises(UserError, match="time_limit_seconds"):
        solve(PlanProblem(**GOOD), time_limit_seconds=limit)  # type: ignore[arg-type]


def test_the_callers_arrays_stay_as_they_are() -> None:
    budget = np.array([1.0, 2.0])
    given = PlanProblem(**{**GOOD, "budget": budget})  # type: ignore[arg-type]
    budget[0] = -5.0
    assert given.budget.tolist() == [1.0, 2.0]
    assert solve(given).impressions.tolist() == solve(given).impressions.tolist()


def test_solvers_without_an_answer_are_replaced_by_dual_ascent(monkeypatch: pytest.MonkeyPatch) -> None:
    given = random_problem(np.random.default_rng(6), campaigns=50, segments=200, pairs=2_000)
    best = solve(given)
    monkeypatch.setattr(targeting.plan, "ask", lambda *_: None)
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.solver == "dual-ascent"
    assert plan.objective <= best.bound
    assert plan.gap < 0.01


def test_a_problem_too_large_for_a_simplex_goes_to_dual_ascent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targeting.plan, "SECONDS_PER_PAIR", 1.0)
    monkeypatch.setattr(targeting.plan, "GOOD_GAP", 0.01)
    given = random_problem(np.random.default_rng(9), campaigns=300, segments=2_000, pairs=9_000)
    plan, again = solve(given), solve(given)
    check_certificate(given, plan)
    assert plan.solver == "dual-ascent"
    assert plan.gap < 0.01
    assert np.array_equal(plan.impressions, again.impressions)


def test_an_ascent_that_proves_too_little_is_followed_by_pdlp(monkeypatch: pytest.MonkeyPatch) -> None:
    given = random_problem(np.random.default_rng(6), campaigns=50, segments=200, pairs=2_000)
    best = solve(given)
    monkeypatch.setattr(targeting.plan, "SECONDS_PER_PAIR", 1.0)
    monkeypatch.setattr(targeting.plan, "GOOD_GAP", 1e-5)
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.solver == "pdlp"
    assert plan.objective == pytest.approx(best.objective, rel=1e-4)


def test_larger_and_denser_problems_are_expected_to_take_a_simplex_longer() -> None:
    rng = np.random.default_rng(2)
    sizes = ((10, 20, 100), (100, 1_000, 3_000), (100, 1_000, 30_000))
    problems = [random_problem(rng, *size) for size in sizes]
    seconds = [simplex_seconds(one, reach_of(one)) for one in problems]
    assert seconds == sorted(seconds)
    assert simplex_seconds(problem([1.0], [1.0], []), reach_of(problem([1.0], [1.0], []))) == 0.0


def test_a_thousand_campaigns_in_ten_thousand_segments_are_solved() -> None:
    given = random_problem(np.random.default_rng(7), campaigns=1_000, segments=10_000, pairs=30_000)
    plan = solve(given)
    check_certificate(given, plan)
    assert plan.solver == "glop"
    assert plan.gap < 1e-9
    assert plan.objective == pytest.approx(by_highs(given), rel=1e-7)
