"""Reasons on markets of two or three segments, checked by hand; their worth, by solving again."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from market.errors import PlanError
from targeting.pacing.problem import PlanProblem
from targeting.pacing.reasons import Openings, Reason, by_solving, delivery_reasons, no_openings, with_openings
from targeting.plan import solve


def problem(
    budget: Sequence[float], supply: Sequence[float], pairs: Sequence[tuple[int, int, float, float]]
) -> PlanProblem:
    """pairs: (campaign, segment, value, cost)."""
    return PlanProblem(*map(np.array, (budget, supply, *zip(*pairs, strict=True))))


def openings(rows: Sequence[tuple[int, int, float, float, float]]) -> Openings:
    """rows: (campaign, segment, value, cost, bid needed)."""
    return Openings(*map(np.array, zip(*rows, strict=True)))


def reason(given: PlanProblem, wanted: Sequence[float], **options: object) -> Reason:
    found = delivery_reasons(given, solve(given), np.array(wanted), **options)  # type: ignore[arg-type]
    assert len(found) == 1
    return found[0]


def test_a_campaign_that_gets_what_it_should_needs_no_reason() -> None:
    given = problem([10.0], [10.0], [(0, 0, 1.0, 1.0)])
    assert delivery_reasons(given, solve(given), np.array([10.0])) == []


def test_a_campaign_whose_money_is_spent_lacks_budget_and_more_of_it_is_worth_its_price() -> None:
    given = problem([10.0], [100.0], [(0, 0, 0.5, 1.0)])
    found = reason(given, [8.0])
    assert found.code == "budget"
    assert found.worth.budget == pytest.approx(0.5)  # 1 more of money, half a hire each
    assert "its budget is 100% spent" in found.detail
    assert "up to 0.5 more hires" in found.detail


def test_a_campaign_outbid_in_its_only_segment_has_competition() -> None:
    given = problem([100.0, 100.0], [10.0], [(0, 0, 0.4, 1.0), (1, 0, 0.9, 1.0)])
    found = reason(given, [3.0, 0.0])
    assert (found.campaign, found.code) == (0, "competition")
    assert found.worth.budget == 0.0
    assert "other campaigns take 100% of the visits" in found.detail


def test_a_campaign_with_every_visit_of_its_segments_lacks_supply_and_a_segment_would_help() -> None:
    given = problem([100.0], [10.0, 10.0], [(0, 0, 0.4, 1.0)])
    offers = openings([(0, 1, 0.3, 1.0, 0.5)])
    found = reason(given, [20.0], openings=offers, bid=np.array([1.0]))
    assert found.code == "supply"
    assert found.segment == 1
    assert found.worth.segment == pytest.approx(3.0)


def test_a_frequency_cap_is_the_reason_where_the_campaign_would_get_there_without_it() -> None:
    given = problem([100.0], [10.0], [(0, 0, 0.4, 1.0)])
    capped = solve(replace(given, supply=given.supply * 0.5))
    found = delivery_reasons(given, capped, np.array([4.0]), frequency_cap=0.5)
    assert [one.code for one in found] == ["frequency"]
    assert "no more than 50%" in found[0].detail


def test_a_bid_too_low_for_the_segments_that_would_do_is_the_reason() -> None:
    given = problem([100.0], [10.0, 10.0], [(0, 0, 0.4, 1.0)])
    offers = openings([(0, 1, 0.3, 1.0, 1.05)])
    found = reason(given, [6.0], openings=offers, bid=np.array([1.0]))
    assert found.code == "bid"
    assert found.worth.bid == pytest.approx(3.0)
    assert found.worth.segment == 0.0  # its present bid does not reach there
    assert "too low for 1 of the segments" in found.detail


def test_a_budget_too_small_for_the_target_is_named_even_while_competition_leaves_it_unspent() -> None:
    given = problem([10.0, 100.0], [20.0], [(0, 0, 0.4, 1.0), (1, 0, 0.9, 1.0)])
    assert reason(given, [5.0, 0.0]).code == "budget"


def test_wanting_more_than_all_visits_bring_is_a_lack_of_supply() -> None:
    given = problem([100.0, 100.0], [10.0], [(0, 0, 0.4, 1.0), (1, 0, 0.9, 1.0)])
    assert reason(given, [5.0, 0.0]).code == "supply"


def market(seed: int) -> tuple[PlanProblem, Openings, np.ndarray]:
    """A random market, what could be opened in it, and the bids."""
    rng = np.random.default_rng(seed)
    campaigns, segments, pairs, more = 4, 6, 14, 8
    given = PlanProblem(
        rng.lognormal(2, 0.7, campaigns),
        rng.lognormal(2, 0.7, segments),
        rng.integers(0, campaigns, pairs),
        rng.integers(0, segments, pairs),
        rng.lognormal(-2, 0.7, pairs),
        rng.lognormal(0, 0.5, pairs),
    )
    offers = Openings(
        rng.integers(0, campaigns, more),
        rng.integers(0, segments, more),
        rng.lognormal(-2, 0.7, more),
        rng.lognormal(0, 0.5, more),
        rng.uniform(0.9, 1.2, more),
    )
    return given, offers, np.ones(campaigns)


@pytest.mark.parametrize("seed", range(12))
def test_solving_again_never_brings_the_market_more_than_the_prices_say(seed: int) -> None:
    given, offers, bid = market(seed)
    plan = solve(given)
    reasons = delivery_reasons(given, plan, np.full(4, 1e3), bid, offers)
    assert len(reasons) == 4
    for found in reasons:
        exact, _ = by_solving(given, found, bid, offers)
        for change in ("budget", "bid", "segment"):
            gain, most = getattr(exact, change), getattr(found.worth, change)
            assert -1e-9 <= gain <= most + 1e-9
        assert (found.worth.budget > 0) == (plan.budget_price[found.campaign] > 0)


@pytest.mark.parametrize("seed", range(12))
def test_the_worth_of_a_budget_is_the_slope_of_the_plan(seed: int) -> None:
    given, offers, bid = market(seed)
    plan = solve(given)
    for found in delivery_reasons(given, plan, np.full(4, 1e3), bid, offers):
        step = 1e-6
        budget = given.budget.copy()
        budget[found.campaign] *= 1 + step
        slope = (solve(replace(given, budget=budget)).objective - plan.objective) / step
        assert slope * 0.1 == pytest.approx(found.worth.budget, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_a_few_more_visits_are_worth_their_value_less_what_the_money_is_worth_elsewhere(seed: int) -> None:
    # The opening leads to a new segment of few visits that nobody else has: its supply price is 0.
    given, offers, _ = market(seed)
    plan = solve(given)
    for row in range(len(offers.bid)):
        c, few = int(offers.campaign[row]), 1e-5
        one = np.arange(len(offers.bid)) == row
        shifted = replace(offers, segment=np.full(len(offers.bid), len(given.supply)))
        wider = with_openings(replace(given, supply=np.append(given.supply, few)), shifted, one)
        slope = (solve(wider).objective - plan.objective) / few
        expected = max(0.0, offers.value[row] - plan.budget_price[c] * offers.cost[row])
        assert slope == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_more_budget_brings_the_campaign_more_than_the_market_that_it_takes_visits_from() -> None:
    # Half a unit of money more buys half a visit: .45 hires, of which the rival had .2.
    given = problem([5.0, 100.0], [10.0], [(0, 0, 0.9, 1.0), (1, 0, 0.4, 1.0)])
    found = reason(given, [9.0, 0.0])
    exact, own = by_solving(given, found, None, no_openings())
    assert found.worth.budget == pytest.approx(0.25)
    assert exact.budget == pytest.approx(0.25)
    assert own.budget == pytest.approx(0.45)


def test_bids_and_targets_that_are_none_are_refused() -> None:
    given = problem([10.0], [10.0], [(0, 0, 1.0, 1.0)])
    plan = solve(given)
    with pytest.raises(PlanError, match="wanted has 2"):
        delivery_reasons(given, plan, np.array([1.0, 2.0]))
    with pytest.raises(PlanError, match=r"wanted\[0\] is -1"):
        delivery_reasons(given, plan, np.array([-1.0]))
    with pytest.raises(PlanError, match="a bid is negative"):
        delivery_reasons(given, plan, np.array([1.0]), bid=np.array([np.nan]))
    wrong = openings([(1, 0, 0.3, 1.0, 1.0)])
    with pytest.raises(PlanError, match=r"openings.campaign\[0\] is 1"):
        delivery_reasons(given, plan, np.array([1.0]), openings=wrong)
    assert len(no_openings().bid) == 0
