"""The market loop against what theory says of markets simple enough: auctions with known bids, clicks, even spending.

Every visit is of another seeker and every bidder of it draws a value of its own, so visits are independent and the
standard error of a mean follows from the sample. Tolerances are four standard errors: about one false alarm in 16,000.
"""

from __future__ import annotations

import numpy as np
import pytest

from sim.loop import OrganicLists, Outcome, Pacing, Pairs, Rules, Terms, Traffic, play_market
from targeting.serving import ServingConfig

VISITS, UNIT = 20_000, 1_000_000
ERRORS = 4.0
CERTAIN = 60.0  # click logit


def auctions(
    bids: np.ndarray,
    *,
    auction: str = "second",
    reserve: int = 0,
    exam: tuple[float, ...] = (1.0,),
    p_click: float = 0.5,
    logit: float = CERTAIN,
    budget: int = 10**15,
    pacing: Pacing | None = None,
    gap: float = 4.0,
    seed: int = 1,
) -> Outcome:
    """One slot per entry of exam, one visit per row of bids (in units of money) by a seeker of its own, `gap` seconds
    apart, one campaign per column; bids are values at a price that makes them micros."""
    visits, campaigns = bids.shape
    pairs = visits * campaigns
    places = len(exam)
    return play_market(
        Pairs(
            np.arange(0, pairs + 1, campaigns),
            np.tile(np.arange(campaigns, dtype=np.int32), visits),
            np.full(pairs, p_click, np.float32),
            bids.ravel().astype(np.float32),
            np.full(pairs, logit, np.float32),
            np.ones(pairs, np.float32),
            np.ones(pairs, np.float32),
        ),
        np.ones(pairs, bool),
        OrganicLists(np.full((visits, 1), -1, np.int32), *(np.zeros((visits, 1), np.float32) for _ in range(3))),
        Traffic(np.arange(visits, dtype=np.int32), gap * np.arange(1, visits + 1), np.arange(visits)),
        Terms(
            np.arange(campaigns, dtype=np.int32),
            np.full(campaigns, budget),
            np.full(campaigns, budget),
            np.full(campaigns, UNIT),
            np.full(campaigns, reserve),
            np.full(campaigns, 0),
        ),
        Rules(
            1, tuple(range(places)), places, np.array(exam), auction, ServingConfig(max_ad_load=1.0),
            click_delay_seconds=0.1, seed=seed,
        ),
        pacing or Pacing(np.full(campaigns, 1 / UNIT)),
    )  # fmt: skip


def revenue(outcome: Outcome) -> tuple[float, float]:
    """Mean per visit in units of money, and its standard error."""
    each = outcome.seeker_posted / UNIT
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def uniform(bidders: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random((VISITS, bidders))


@pytest.mark.parametrize("bidders", [2, 4, 9])
def test_second_and_first_price_earn_what_theory_says_and_the_same(bidders: int) -> None:
    """Values uniform on [0, 1], bid as they are at the second price, (n - 1) / n of them at the first."""
    values, expected = uniform(bidders), (bidders - 1) / (bidders + 1)
    second, error = revenue(auctions(values))
    assert second == pytest.approx(expected, abs=ERRORS * error)
    first, error = revenue(auctions(values * (bidders - 1) / bidders, auction="first"))
    assert first == pytest.approx(expected, abs=ERRORS * error)


@pytest.mark.parametrize("reserve", [0.25, 0.5, 0.8])
def test_a_reserve_earns_the_textbook_formula(reserve: float) -> None:
    """The integral of the virtual value 2 v - 1 over the highest of n values above r."""
    n = 3
    expected = 2 * n / (n + 1) * (1 - reserve ** (n + 1)) - (1 - reserve**n)
    earned, error = revenue(auctions(uniform(n), reserve=int(reserve * UNIT)))
    assert earned == pytest.approx(expected, abs=ERRORS * error)


def test_half_the_highest_value_is_the_best_reserve() -> None:
    earned = {reserve: revenue(auctions(uniform(3), reserve=int(reserve * UNIT)))[0] for reserve in (0.0, 0.5, 0.8)}
    assert max(earned, key=lambda reserve: earned[reserve]) == 0.5


def test_what_is_sold_is_how_often_somebody_bids_the_reserve() -> None:
    outcome, sold = auctions(uniform(3), reserve=UNIT // 2), 1 - 0.5**3
    assert outcome.impressions.sum() / VISITS == pytest.approx(sold, abs=ERRORS * np.sqrt(sold * (1 - sold) / VISITS))


def test_click_rates_fall_with_the_place_as_examination_does() -> None:
    """Bids that never change their order, P(click | seen) = 1 / 2."""
    exam = (1.0, 0.6, 0.3)
    outcome = auctions(np.tile([0.9, 0.6, 0.3], (VISITS, 1)), exam=exam, logit=0.0)
    assert outcome.impressions.tolist() == [VISITS] * 3
    for place, seen in enumerate(exam):
        rate = seen / 2
        error = np.sqrt(rate * (1 - rate) / VISITS)
        assert outcome.clicks[place] / VISITS == pytest.approx(rate, abs=ERRORS * error)


def test_two_slots_of_the_generalised_second_price_by_hand() -> None:
    """Bids .9, .5, .25 at one chance: each pays the next bid, and the third is not shown."""
    outcome = auctions(np.array([[0.25, 0.9, 0.5]]), exam=(1.0, 1.0))
    assert outcome.posted.tolist() == [0, 500_000, 250_000]
    with_reserve = auctions(np.array([[0.25, 0.9, 0.5]]), exam=(1.0, 1.0), reserve=500_000)
    assert with_reserve.posted.tolist() == [0, 500_000, 500_000]  # a bid equal to the reserve sells, at the reserve


def test_the_same_slots_cost_more_at_the_first_price() -> None:
    bids = uniform(5)
    slots = (1.0, 0.5)
    assert (auctions(bids, exam=slots, auction="first").posted > auctions(bids, exam=slots).posted).all()


VALUES = np.random.default_rng(8).random((21_600, 1))  # of a click every four seconds, all alike over the day


def spending(share: float, price: float) -> np.ndarray:
    """float64[24]: cumulative spending in budgets; the budget is `share` of what bidding the value would spend."""
    budget = int(share * auctions(VALUES, auction="first").posted[0])
    pacing = Pacing(np.full(1, price), eta=10.0, floor=1e-9)
    outcome = auctions(VALUES, auction="first", budget=budget, pacing=pacing, p_click=0.9)
    return np.cumsum(outcome.by_hour) / budget


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_flat_market_is_spent_evenly_from_the_price_that_spends_it(share: float) -> None:
    """Who pays the own bid of value / price spends 1 / price of it: the right price is known."""
    spent = spending(share, 1 / (share * UNIT))
    assert np.abs(spent - np.arange(1, 25) / 24).max() < 0.02
    assert 0.98 <= spent[-1] <= 1.0


def test_from_a_price_ten_times_too_low_the_rest_of_the_day_is_spent_evenly_all_the_same() -> None:
    spent = spending(0.1, 1 / UNIT)
    assert spent[0] > 2 / 24  # bought too much before the price had risen
    rest = np.diff(spent[11:])
    assert np.abs(rest / rest.mean() - 1).max() < 0.1
    assert 0.98 <= spent[-1] <= 1.0
