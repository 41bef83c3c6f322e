"""Fair delivery on small markets: by hand, and against the linear program written out for HiGHS."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linprog

from graph.fairness.impact import Partition, segment_rows
from graph.fairness.privacy import PrivacyFloor
from market.errors import DataError, PlanError
from targeting.pacing.fair import (
    ROUNDING,
    GroupShares,
    delivered_shares,
    eligible_shares,
    read_group_shares,
    solve_fair,
)
from targeting.pacing.problem import Floats, PlanProblem
from targeting.plan import solve


def problem(
    budget: Sequence[float], supply: Sequence[float], pairs: Sequence[tuple[int, int, float, float]]
) -> PlanProblem:
    """pairs: (campaign, segment, value, cost)."""
    return PlanProblem(*map(np.array, (budget, supply, *zip(*pairs, strict=True))))


def women_and_men(*women: float) -> GroupShares:
    return GroupShares(("women", "men"), np.array([[share, 1 - share] for share in women]))


# Two segments of 10 visits: in the first 80 % are men and a visit brings .3 hires, in the second .1.
STEEP = problem([10.0], [10.0, 10.0], [(0, 0, 0.3, 1.0), (0, 1, 0.1, 1.0)])
APART = women_and_men(0.2, 0.8)


def test_without_the_rule_the_money_goes_where_the_hires_are() -> None:
    plan = solve(STEEP)
    assert delivered_shares(STEEP, APART, plan.impressions)[0].tolist() == pytest.approx([0.2, 0.8])
    assert eligible_shares(STEEP, APART)[0].tolist() == pytest.approx([0.5, 0.5])


def test_within_six_points_the_plan_moves_impressions_and_says_what_it_costs() -> None:
    # Women's share .2 a + .8 (1 - a) >= .44 gives a <= .6: 6 visits at .3 and 4 at .1 are 2.2 hires instead of 3.
    plan = solve_fair(STEEP, APART, 0.06)
    assert plan.impressions == pytest.approx([6.0, 4.0], rel=1e-6)
    assert plan.objective == pytest.approx(2.2, rel=1e-6)
    assert plan.price == pytest.approx(1 - 2.2 / 3, rel=1e-5)
    assert plan.off == pytest.approx(0.06, abs=ROUNDING)
    assert plan.in_words() == "within 6 points costs 26.7% of the expected hires"
    assert plan.gap < 1e-6


def test_a_tolerance_of_everything_costs_nothing() -> None:
    plan = solve_fair(STEEP, APART, 1.0)
    assert plan.price == pytest.approx(0.0, abs=1e-9)
    assert plan.objective == pytest.approx(solve(STEEP).objective)


def test_no_tolerance_shows_everybody_alike() -> None:
    plan = solve_fair(STEEP, APART, 0.0)
    assert plan.off <= ROUNDING
    assert plan.objective == pytest.approx(2.0, rel=1e-5)


def test_a_segment_of_unknown_groups_counts_for_neither_side() -> None:
    shares = GroupShares(("women", "men"), np.array([[0.2, 0.8], [np.nan, np.nan]]))
    plan = solve_fair(STEEP, shares, 0.0)
    assert plan.price == 0.0
    assert eligible_shares(STEEP, shares)[0].tolist() == pytest.approx([0.2, 0.8])


def test_a_pair_without_value_is_shown_where_it_balances_the_groups() -> None:
    given = problem([20.0], [10.0, 10.0], [(0, 0, 0.3, 1.0), (0, 1, 0.0, 1.0)])
    plan = solve_fair(given, APART, 0.0)
    assert plan.impressions == pytest.approx([10.0, 10.0], rel=1e-5)


def test_a_campaign_with_a_single_segment_is_fair_whatever_the_rounding() -> None:
    # .1 * 3 / 3 is not .1: a rule without tolerance must not take that for a difference.
    given = problem([9.0], [3.0, 3.0], [(0, 0, 0.3, 1.0), (0, 0, 0.2, 1.0)])
    plan = solve_fair(given, women_and_men(0.1, 0.9), 0.0)
    assert plan.price == 0.0
    assert plan.solver == "glop"


@pytest.mark.parametrize("seed", [156, 334, 375])
def test_markets_that_rounding_once_kept_from_being_shown(seed: int) -> None:
    given, shares = random_market(seed)
    assert solve_fair(given, shares, 0.0).objective == pytest.approx(by_highs(given, shares, 0.0), rel=1e-4)


def by_highs(given: PlanProblem, shares: GroupShares, tolerance: float) -> float:
    campaigns, pairs = len(given.budget), np.arange(len(given.value))
    eligible = eligible_shares(given, shares)
    lines, limits = [], []
    for c in range(campaigns):
        lines.append(np.where(given.campaign == c, given.cost, 0.0))
        limits.append(given.budget[c])
        for g in range(len(shares.groups)):
            apart = shares.share[given.segment, g] - eligible[c, g]
            for sign in (1, -1):
                lines.append(np.where(given.campaign == c, sign * apart - tolerance, 0.0))
                limits.append(0.0)
    for s in range(len(given.supply)):
        lines.append(np.where(given.segment == s, 1.0, 0.0))
        limits.append(given.supply[s])
    answer = linprog(-given.value, A_ub=np.array(lines), b_ub=np.array(limits), bounds=(0, None), method="highs")
    assert answer.status == 0
    assert len(answer.x) == len(pairs)
    return float(-answer.fun)


def random_market(seed: int) -> tuple[PlanProblem, GroupShares]:
    rng = np.random.default_rng(seed)
    campaigns, segments, pairs = 4, 6, 16
    given = PlanProblem(
        rng.lognormal(2, 0.7, campaigns),
        rng.lognormal(2, 0.7, segments),
        rng.integers(0, campaigns, pairs),
        rng.integers(0, segments, pairs),
        rng.lognormal(-2, 0.7, pairs) * (rng.random(pairs) > 0.1),
        rng.lognormal(0, 0.5, pairs) * (rng.random(pairs) > 0.1),
    )
    return given, GroupShares(("a", "b", "c"), rng.dirichlet([2.0, 2.0, 2.0], segments))


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("seed", range(15))
def test_the_plan_is_fair_and_as_good_as_highs_finds_possible(seed: int, tolerance: float) -> None:
    given, shares = random_market(seed)
    plan = solve_fair(given, shares, tolerance)
    assert plan.off <= tolerance + ROUNDING
    assert plan.violation <= 1e-9
    best = by_highs(given, shares, tolerance)
    assert plan.objective == pytest.approx(best, rel=1e-4, abs=1e-7)
    assert plan.bound >= best * (1 - 1e-6)
    assert plan.gap < 1e-4
    assert 0 <= plan.price <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_tolerance_never_costs_more(seed: int) -> None:
    given, shares = random_market(seed)
    prices = [solve_fair(given, shares, tolerance).price for tolerance in (0.0, 0.02, 0.05, 0.1, 0.5)]
    assert all(wide <= narrow + 1e-6 for narrow, wide in pairwise(prices))


@pytest.mark.parametrize("seed", range(10))
def test_without_time_the_plan_is_fair_all_the_same_and_its_gap_true(seed: int) -> None:
    given, shares = random_market(seed)
    hasty, best = solve_fair(given, shares, 0.05, time_limit_seconds=0), by_highs(given, shares, 0.05)
    assert hasty.off <= 0.05 + ROUNDING
    assert 0 < hasty.objective <= best * (1 + 1e-6)
    assert hasty.bound >= best * (1 - 1e-6)


def audit_rows(*rows: tuple[str, str, float | None]) -> pa.Table:
    """rows: (segment, group, share) of what the audit writes."""
    names = ("attribute", "measure", "segment", "group", "share")
    return pa.Table.from_pylist([dict(zip(names, ("sex", "reached", *row), strict=True)) for row in rows])


def test_the_table_of_the_audit_is_read_segment_by_segment_and_the_rest_for_those_it_pools() -> None:
    table = audit_rows(("nurse", "f", 0.9), ("nurse", "m", 0.1), ("the rest", "f", 0.4), ("the rest", "m", 0.6))
    shares = read_group_shares(table, "sex", ["miner", "nurse"])
    assert shares.groups == ("f", "m")
    assert shares.share.tolist() == [[0.4, 0.6], [0.9, 0.1]]


def test_a_segment_the_audit_may_not_tell_of_is_unknown() -> None:
    table = audit_rows(("nurse", "f", 0.9), ("nurse", "m", 0.1), ("clerk", "f", None), ("clerk", "m", None))
    shares = read_group_shares(table, "sex", ["miner", "nurse", "clerk"])
    assert np.isnan(shares.share[[0, 2]]).all()


def test_what_the_audit_writes_is_what_is_read() -> None:
    # 40 women and 40 men; nurses: 30 women, 10 men; miners: 8 women, 32 men; one woman alone is a diver.
    group = np.repeat([0, 1], 40)
    member = np.zeros((3, 80), bool)
    member[0, :30] = member[0, 40:50] = member[1, 20:28] = member[1, 40:72] = member[2, 0] = True
    sexes = Partition("sex", ("f", "m"), group)
    count = np.stack([sexes.count(np.flatnonzero(row)) for row in member])
    rows = segment_rows(sexes, "reached", member, count, ("nurse", "miner", "diver"), PrivacyFloor(5))
    shares = read_group_shares(pa.Table.from_pylist(rows), "sex", ["diver", "nurse"])
    assert shares.groups == ("f", "m")
    assert shares.share[1].tolist() == [0.75, 0.25]
    assert shares.share[0].tolist() == [9 / 41, 32 / 41]  # pooled with the miners


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="column 'share' is missing"):
        read_group_shares(audit_rows(("nurse", "f", 0.9)).drop_columns(["share"]), "sex", [])
    with pytest.raises(DataError, match="no row of attribute 'race'"):
        read_group_shares(audit_rows(("nurse", "f", 0.9)), "race", [])


def test_impossible_shares_and_tolerances_are_refused() -> None:
    wrong: Floats = np.array([[0.2, 0.9]])
    with pytest.raises(PlanError, match="sum to 1"):
        GroupShares(("women", "men"), wrong)
    with pytest.raises(PlanError, match="one column for each of 1 groups"):
        GroupShares(("women",), wrong)
    with pytest.raises(PlanError, match="tolerance is -1"):
        solve_fair(STEEP, APART, -1)
    with pytest.raises(PlanError, match="share has 1 segments, supply has 2"):
        solve_fair(STEEP, women_and_men(0.5), 0.1)
