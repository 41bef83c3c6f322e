"""Plans over buckets of time: by hand, against HiGHS on the program written out, dual ascent against the simplex."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from market.errors import PlanError
from targeting.pacing import bucket_plan
from targeting.pacing.acceptance import acceptable
from targeting.pacing.bucket_plan import BucketPlan, solve_buckets
from targeting.pacing.bucket_problem import BucketProblem
from targeting.pacing.problem import PlanProblem
from targeting.plan import solve


def market(seed: int, campaigns: int = 4, segments: int = 3, pairs: int = 8, buckets: int = 3) -> BucketProblem:
    """A random market of everything: shares, guarantees, a cap; some budgets, costs, values and supplies are 0."""
    rng = np.random.default_rng(seed)
    supply = rng.lognormal(3, 0.5, (segments, buckets)) * (rng.random((segments, buckets)) > 0.1)
    share = rng.dirichlet(np.ones(buckets), campaigns)
    share[0] = np.eye(buckets)[0]
    return BucketProblem(
        budget=rng.lognormal(2.5, 0.7, campaigns) * (rng.random(campaigns) > 0.1),
        supply=supply,
        campaign=rng.integers(0, campaigns, pairs),
        segment=rng.integers(0, segments, pairs),
        value=rng.lognormal(-2, 0.5, (pairs, buckets)) * (rng.random((pairs, buckets)) > 0.1),
        cost=rng.lognormal(-0.5, 0.5, pairs) * (rng.random(pairs) > 0.1),
        share=share,
        guarantee=rng.lognormal(2, 1, campaigns) * (rng.random(campaigns) > 0.5),
        penalty=0.2,
        frequency_cap=0.6,
    )


def by_highs(given: BucketProblem) -> float:
    """The program as the module's docstring writes it, row by row."""
    pairs, buckets = given.value.shape
    campaigns, segments = len(given.budget), len(given.supply)
    share, guarantee = given.share, given.guarantee
    assert share is not None
    assert guarantee is not None
    size = pairs * buckets
    lines, limits = [], []

    def row(
        pair: np.ndarray, coefficient: np.ndarray, bucket: int | None, limit: float, short: int | None = None
    ) -> None:
        line = np.zeros((pairs, buckets))
        line[pair] = (
            coefficient[pair, None] if bucket is None else coefficient[pair, None] * (np.arange(buckets) == bucket)
        )
        extra = np.zeros(campaigns)
        if short is not None:
            extra[short] = -1.0
        lines.append(np.concatenate([line.ravel(), extra]))
        limits.append(limit)

    for c in range(campaigns):
        own = given.campaign == c
        row(own, given.cost, None, given.budget[c])
        for t in range(buckets):
            row(own, given.cost, t, (1 + given.slack) * share[c, t] * given.budget[c])
        row(own, -np.ones(pairs), None, -guarantee[c], short=c)
    for s in range(segments):
        for t in range(buckets):
            row(given.segment == s, np.ones(pairs), t, given.supply[s, t])
    most = given.frequency_cap * given.supply[given.segment] * (share[given.campaign] > 0)
    bounds = [(0, top) for top in most.ravel()] + [(0, promised) for promised in guarantee]
    worth = np.concatenate([given.value.ravel(), np.full(campaigns, -given.penalty)])
    answer = linprog(-worth, A_ub=np.array(lines), b_ub=np.array(limits), bounds=bounds, method="highs")
    assert answer.status == 0
    assert len(answer.x) == size + campaigns
    return float(-answer.fun)


def check(given: BucketProblem, plan: BucketPlan) -> None:
    """What holds for every plan, whoever made it."""
    assert plan.impressions.shape == given.value.shape
    assert (plan.impressions >= 0).all()
    assert plan.violation <= 1e-9
    for prices in (plan.budget_price, plan.bucket_price, plan.guarantee_price):
        assert np.isfinite(prices).all()
        assert (prices >= 0).all()
    hires = float((given.value * plan.impressions).sum())
    assert plan.objective == pytest.approx(hires - given.penalty * plan.shortfall.sum(), rel=1e-9, abs=1e-9)
    assert plan.objective <= plan.bound + 1e-9 * abs(plan.bound)


@pytest.mark.parametrize("seed", range(40))
def test_a_small_plan_is_as_good_as_highs_finds_possible(seed: int) -> None:
    given = market(seed)
    plan = solve_buckets(given)
    check(given, plan)
    best = by_highs(given)
    assert plan.solver == "glop"
    assert plan.objective == pytest.approx(best, rel=1e-7, abs=1e-7)
    assert plan.bound == pytest.approx(best, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("seed", range(40))
def test_dual_ascent_brackets_the_best_plan(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_plan, "EXACT_VARIABLES", 0)
    given = market(seed)
    plan = solve_buckets(given)
    check(given, plan)
    best = by_highs(given)
    assert plan.solver == "dual-ascent"
    assert plan.objective <= best + 1e-7 * abs(best)
    assert plan.bound >= best - 1e-7 * abs(best)


@pytest.mark.parametrize("seed", range(3))
def test_dual_ascent_comes_within_one_per_cent_on_a_market_of_some_size(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_plan, "EXACT_VARIABLES", 0)
    given = market(seed, campaigns=60, segments=200, pairs=900, buckets=6)
    first, again = solve_buckets(given), solve_buckets(given)
    check(given, first)
    assert acceptable(first)
    assert np.array_equal(first.impressions, again.impressions)


def test_a_campaign_that_runs_in_the_evening_is_shown_in_the_evening_alone() -> None:
    given = BucketProblem(
        budget=np.array([8.0]),
        supply=np.array([[10.0, 10.0]]),
        campaign=np.array([0]),
        segment=np.array([0]),
        value=np.array([[0.9, 0.5]]),
        cost=np.array([1.0]),
        share=np.array([[0.0, 1.0]]),
    )
    assert solve_buckets(given).impressions == pytest.approx(np.array([[0.0, 8.0]]))


def test_smoothness_keeps_the_money_from_the_best_hour() -> None:
    given = BucketProblem(
        budget=np.array([8.0]),
        supply=np.array([[10.0, 10.0]]),
        campaign=np.array([0]),
        segment=np.array([0]),
        value=np.array([[0.9, 0.5]]),
        cost=np.array([1.0]),
        share=np.array([[0.5, 0.5]]),
    )
    plan = solve_buckets(given)
    assert plan.impressions == pytest.approx(np.array([[5.0, 3.0]]))  # (1 + .25) * .5 * 8 at most
    assert plan.bucket_price[0] == pytest.approx([0.4, 0.0])


def promised(penalty: float) -> BucketPlan:
    """Two campaigns want the same 10 visits; the one that brings less was promised 6 of them."""
    return solve_buckets(
        BucketProblem(
            budget=np.array([100.0, 100.0]),
            supply=np.array([[10.0]]),
            campaign=np.array([0, 1]),
            segment=np.array([0, 0]),
            value=np.array([[0.3], [0.5]]),
            cost=np.array([1.0, 1.0]),
            guarantee=np.array([6.0, 0.0]),
            penalty=penalty,
        )
    )


def test_a_promise_is_kept_where_breaking_it_costs_more_than_it_brings() -> None:
    plan = promised(penalty=0.25)
    assert plan.impressions.ravel() == pytest.approx([6.0, 4.0])
    assert plan.shortfall.tolist() == pytest.approx([0.0, 0.0])
    assert plan.guarantee_price == pytest.approx([0.2, 0.0])


def test_a_promise_is_broken_at_its_price_where_that_is_cheaper() -> None:
    plan = promised(penalty=0.15)
    assert plan.impressions.ravel() == pytest.approx([0.0, 10.0], abs=1e-9)
    assert plan.shortfall == pytest.approx([6.0, 0.0])
    assert plan.objective == pytest.approx(5.0 - 0.15 * 6)


def test_one_bucket_without_extras_is_the_day_plan() -> None:
    rng = np.random.default_rng(3)
    day = PlanProblem(
        rng.lognormal(2, 1, 8),
        rng.lognormal(2, 1, 12),
        rng.integers(0, 8, 50),
        rng.integers(0, 12, 50),
        rng.random(50),
        rng.random(50),
    )
    given = BucketProblem(day.budget, day.supply[:, None], day.campaign, day.segment, day.value[:, None], day.cost)
    assert solve_buckets(given).objective == pytest.approx(solve(day).objective, rel=1e-9)


def test_no_pairs_give_an_empty_plan() -> None:
    empty = np.zeros(0, np.int64)
    plan = solve_buckets(BucketProblem(np.ones(2), np.ones((3, 4)), empty, empty, np.zeros((0, 4)), np.zeros(0)))
    assert plan.impressions.shape == (0, 4)
    assert (plan.objective, plan.bound, plan.gap) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": [np.nan, 1, 1, 1]}, r"budget\[0\] is nan"),
        ({"supply": np.ones(3)}, "supply has 1 dimensions"),
        ({"value": np.ones((8, 2))}, "value has 2 buckets, supply has 3"),
        ({"value": np.ones((7, 3))}, "value has 7 entries, campaign has 8"),
        ({"share": np.ones((4, 3))}, r"share\[0\] sums to 3"),
        ({"share": np.ones((3, 3)) / 3}, "share has shape"),
        ({"guarantee": np.ones(3)}, "guarantee has 3 entries, budget has 4"),
        ({"slack": -0.1}, "slack is -0.1"),
        ({"penalty": np.inf}, "penalty is inf"),
        ({"frequency_cap": 0.0}, "frequency_cap is 0"),
        ({"frequency_cap": 1.5}, "frequency_cap is 1.5"),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        replace(market(0), **change)  # type: ignore[arg-type]


def test_a_time_limit_that_is_no_time_is_refused_and_none_at_all_gives_a_feasible_plan() -> None:
    with pytest.raises(PlanError, match="time_limit_seconds"):
        solve_buckets(market(0), time_limit_seconds=-1)
    plan = solve_buckets(market(0), time_limit_seconds=0)
    check(market(0), plan)
    assert plan.solver == "dual-ascent"
