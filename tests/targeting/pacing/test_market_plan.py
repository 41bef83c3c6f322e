"""The plan of the live market on two campaigns and two occupations, small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from market.money import Money
from market.records import Job
from targeting.campaigns import Bid, Budget, Campaign
from targeting.forecast import TrackRecord
from targeting.pacing.audited import shares_of_plan
from targeting.pacing.controller import Paced
from targeting.pacing.market_plan import Entry, Traffic, market_plan, traffic_of
from targeting.pacing.planned_day import PlannedDay
from targeting.pacing.said import said
from targeting.pacing.told import shadow_price
from targeting.plan import solve
from targeting.prospects import Prospects
from targeting.supply import Cells, cells_of
from targeting.traffic import HOUR, History

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CODES = ("cook", "nurse", "")
CELLS = Cells(("cook", "nurse"), ("north", "south"), np.array([[10.0, 5.0], [20.0, 0.0]]))
FREE = Traffic(CELLS, {}, 2.0)  # no prices recorded: every slot is free at the reserve price


def campaign(name: str, **changes: object) -> Campaign:
    made = Campaign(
        name, "acme", name, "n", Budget(Money(10**8, "EUR")), Bid("auto"), "qualified_applications",
        NOW, None, "UTC", "even", "active", 1, NOW,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def entry(name: str, budget: float, value: tuple[float, ...], *, remote: bool = False, **changes: object) -> Entry:
    job = Job(name, "acme", "t", "c", "", "north", remote=remote)
    rates = np.array([1.0, 1.0, 0.0]), np.full(3, 0.1), np.full(3, 0.5)
    return Entry(
        campaign(name, **changes), job, Prospects(CODES, *rates, 800_000, 100_000, {}, np.array(value)), budget, 5.0
    )


def test_pairs_are_the_segments_of_the_area_and_supply_their_slots() -> None:
    market = market_plan([entry("a", 5e6, (0.2, 0.4, 0.0)), entry("b", 5e6, (0.2, 0.0, 0.0), remote=True)], FREE, 50)
    pairs = {
        (int(c), market.segments[s]): (value, cost)
        for c, s, value, cost in zip(
            market.problem.campaign, market.problem.segment, market.problem.value, market.problem.cost, strict=True
        )
    }
    assert pairs == {
        (0, ("cook", "north")): pytest.approx((0.02, 0.01)),
        (0, ("nurse", "north")): pytest.approx((0.04, 0.01)),
        (1, ("cook", "north")): pytest.approx((0.02, 0.01)),
        (1, ("cook", "south")): pytest.approx((0.02, 0.01)),
    }
    assert market.problem.budget.tolist() == [1.0, 1.0]
    assert dict(zip(market.segments, market.problem.supply.tolist(), strict=True)) == {
        ("cook", "north"): 20.0,
        ("cook", "south"): 10.0,
        ("nurse", "north"): 40.0,
    }


def test_a_tight_budget_has_the_price_of_its_least_useful_click_and_an_ample_one_none() -> None:
    # An hour has 40 nurses at .04 for .01 and 20 cooks at .02: .5 EUR buys 40 nurses and 10 cooks.
    entries = [entry("a", 0.5 * 5e6, (0.2, 0.4, 0.0))]
    market = market_plan(entries, FREE, 50)
    prices, told = said(entries, market, solve(market.problem), NOW, 10)
    assert prices["a"] == pytest.approx(0.2 / 100_000)  # of a click with a cook, at the reserve price
    assert told["a"]["expected"] == pytest.approx(5 * (40 * 0.04 + 10 * 0.02))
    assert told["a"]["more_budget"] == pytest.approx(0.1 * 0.5 * 2.0 * 5)
    assert "code" not in told["a"]  # all of the money is planned to be spent
    ample = [entry("a", 5e8, (0.2, 0.4, 0.0))]
    market = market_plan(ample, FREE, 50)
    prices, told = said(ample, market, solve(market.problem), NOW, 10)
    assert prices["a"] == 0
    assert told["a"]["code"] == "supply"
    assert told["a"]["spend_micros"] == pytest.approx(5 * 60 * 0.01 * 1e6)


def test_campaigns_for_clicks_are_priced_in_clicks() -> None:
    entries = [entry("a", 1e5, (0.2, 0.4, 0.0)), entry("b", 1e5, (0.2, 0.4, 0.0), objective="clicks")]
    market = market_plan(entries, FREE, 50)
    prices, told = said(entries, market, solve(market.problem), NOW, 10)
    assert prices["b"] == pytest.approx(1 / 100_000)
    assert told["b"]["unit"] == "clicks"
    assert told["b"]["expected"] == pytest.approx(1e5 / 100_000, rel=1e-6)


def test_segments_that_need_a_higher_bid_are_openings_not_pairs() -> None:
    # Half of the slates of nurses went for 100,000 expected micros, ten times a ceiling of 80,000 x .1.
    level = round(4 * np.log2(100_000))
    dear = replace(FREE, prices={"nurse": {level: 10_000}, "cook": {-1: 10_000}})
    market = market_plan([entry("a", 5e6, (0.2, 0.4, 0.0))], dear, 50)
    assert [market.segments[s] for s in market.problem.segment] == [("cook", "north")]
    [at] = np.flatnonzero(market.openings.bid > market.bid[0])
    assert market.segments[market.openings.segment[at]] == ("nurse", "north")
    assert market.openings.bid[at] == pytest.approx(1.0, rel=0.2)


def test_more_traffic_than_forecast_is_more_supply_and_thin_segments_lean_on_all() -> None:
    month, day = np.full(24 * 28, 100), np.full(24, 200)
    cells = {("cook", "north"): 60_000, ("nurse", "north"): 7_200}
    history = History(NOW - 24 * 28 * HOUR, month, cells, {}, slots=67_200 * 2, sold=0)
    recent = History(NOW - timedelta(days=1), day, {("cook", "north"): 4_286, ("nurse", "north"): 514}, {})
    found = traffic_of(history, recent, {}, TrackRecord(), 20.0, 50.0)
    assert found.slots == 2
    assert found.click_rate == 1
    assert found.cells.level / cells_of(history).level == pytest.approx(np.full((2, 1), 2.0), rel=0.1)


def test_money_that_is_no_constraint_has_no_price_in_words_either() -> None:
    state = Paced("2026-03-02", 1e-8, 1e-8, 1e-5, True, 1e6, 0.0, 0.0, NOW)
    found = shadow_price(campaign("a"), state, PlannedDay(1_000_000, 0.5))
    assert (found.per_micro, found.ten_percent) == (0, 0)
    assert "more budget would bring nothing" in found.in_words
    dear = shadow_price(campaign("a"), replace(state, price=1e-6), PlannedDay(1_000_000, 0.5))
    assert dear.ten_percent == pytest.approx(0.1)


def test_the_audit_tells_of_people_by_the_occupation_they_moved_into() -> None:
    rows = [
        {"attribute": "sex", "measure": "hired", "segment": segment, "group": group, "share": share}
        for segment, women in (("occupation=nurse", 0.8), ("the rest", 0.4))
        for group, share in (("women", women), ("men", 1 - women))
    ]
    jobs = {"nurse": "occupation=nurse", "cook": "section=food"}
    plan = [("nurse", "north"), ("cook", "south"), ("", "north")]
    found = shares_of_plan(pa.Table.from_pylist(rows), "sex", plan, jobs)
    assert found.groups == ("women", "men")
    assert found.share[:2].tolist() == [pytest.approx([0.8, 0.2]), pytest.approx([0.4, 0.6])]
    assert np.isnan(found.share[2]).all()
