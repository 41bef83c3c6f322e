"""The most that any policy could have made of a day of the pacing market, and the prices that prove it.

For any prices the dual of the day is a bound (weak duality), whatever found them:

    D(price) = sum over visits of max(0, best value - price * cost) + sum over campaigns of price * budget

A policy that must also stay near its planned share of the day can make no more than the dual with those rows in it:

    late    spend of c up to the end of hour h <= min(1, share_ch + tolerance) * budget_c        dual up_ch
    early   spend of c up to the end of hour h >= max(0, share_ch - tolerance) * budget_c        dual low_ch
    price of c in hour h = price_c + sum over later hours and h of (up - low)

which is the certified price of evenness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.pacing_market import HOURS, MINUTES, PacingMarket, Visits
from targeting.pacing.lookahead import look

Spending = Callable[[np.ndarray, np.ndarray], float]  # (price [C, 24], spend [C, 24] to add to) -> value above prices


@dataclass(frozen=True)
class Bound:
    """No policy can bill more expected value: `value`, proved by `price` float64[C]; binding bool[C]: campaigns whose
    budget the bound spends (mean of many passes: at one price a whole hour of a segment goes to one campaign) at a
    price above a thousandth of the median."""

    value: float
    price: np.ndarray
    binding: np.ndarray


def hindsight(market: PacingMarket, visits: Visits) -> Bound:
    """The bound of a day whose visits are known, values as each visit had them."""
    start = median_value(market)
    if len(visits.noise):
        near = _descend(sampled(market, visits, 20), market, start, 400, 1.0)
        return _descend(sampled(market, visits, 1), market, near.price, 25, 0.3)
    everyone = counted(market, visits_by_hour(market, visits))
    near = _descend(everyone, market, start, 1_500, 0.5)
    return _descend(everyone, market, near.price, 1_500, 0.05)


def plan_prices(market: PacingMarket, noise: np.ndarray) -> np.ndarray:
    """float64[C]: prices that spend the budgets on the expected visits of a day; `noise` as logged visits show it."""
    expected = market.rate.reshape(len(market.rate), HOURS, -1).sum(2)
    return _descend(counted(market, expected, noise), market, median_value(market), 800, 0.5).price


def banded_bound(market: PacingMarket, visits: Visits, near: Bound, tolerance: float, steps: int = 1_500) -> float:
    """No policy that keeps each campaign's spend within `tolerance` of its planned share can bill more than this."""
    everyone = counted(market, visits_by_hour(market, visits), visits.noise)
    share, budget = market.share[:, MINUTES // HOURS :: MINUTES // HOURS], market.budget.astype(np.float64)[:, None]
    most, least = np.minimum(1.0, share + tolerance) * budget, np.maximum(0.0, share - tolerance) * budget
    price, up, low, best = near.price, np.zeros(share.shape), np.zeros(share.shape), near.value
    for size in (0.3, 0.05):
        kept = price, up, low
        for step in range(steps):
            later = np.cumsum((up - low)[:, ::-1], 1)[:, ::-1]
            spend = np.zeros(share.shape)
            value = everyone(price[:, None] + later, spend) + float(price @ budget[:, 0])
            value += float((up * most).sum() - (low * least).sum())
            if value < best:
                best, kept = value, (price, up, low)
            so_far, move = np.cumsum(spend, 1), size / np.sqrt(step + 1)
            slide = 0.3 * move * price[:, None] / budget
            up, low = np.maximum(0.0, up + slide * (so_far - most)), np.maximum(0.0, low - slide * (so_far - least))
            price = np.maximum(price, 1e-16) * np.exp(np.clip(move * (so_far[:, -1] / budget[:, 0] - 1), -1, 1))
        price, up, low = kept
    return best


def median_value(market: PacingMarket) -> np.ndarray:
    """float64[C]: where a descent without a plan begins, the median of value per micro."""
    return np.full(len(market.budget), float(np.median(market.value.mean(1) / market.cost)))


def visits_by_hour(market: PacingMarket, visits: Visits) -> np.ndarray:
    """float64[S, 24] visits by segment and hour."""
    count = np.zeros((len(market.rate), HOURS))
    np.add.at(count, (visits.segment, visits.minute // (MINUTES // HOURS)), 1.0)
    return count


def sampled(market: PacingMarket, visits: Visits, every: int) -> Spending:
    """What each `every`-th visit of a day would cost, each standing for `every`."""
    chosen = slice(None, None, every)
    segment, hour = visits.segment[chosen], visits.minute[chosen] // (MINUTES // HOURS)
    key, weight = np.arange(len(visits))[chosen], np.full(len(segment), float(every))
    pairs = market.start, market.campaign, market.value, market.cost
    return lambda price, spend: float(look(*pairs, segment, hour, key, visits.noise, weight, price, spend))


def counted(market: PacingMarket, count: np.ndarray, noise: np.ndarray | None = None, copies: int = 8) -> Spending:
    """The same of visits float64[S, 24]: those of a segment in an hour are one, or `copies` with their own noise."""
    segment, hour = np.nonzero(count)
    weight, noise = count[segment, hour], np.zeros(0) if noise is None else noise
    if len(noise):
        segment, hour, weight = (np.tile(each, copies) for each in (segment, hour, weight / copies))
    seen = segment.astype(np.int32), hour.astype(np.int32), np.arange(len(hour)), noise
    pairs = market.start, market.campaign, market.value, market.cost
    return lambda price, spend: float(look(*pairs, *seen, weight, price, spend))


def _descend(spending: Spending, market: PacingMarket, price: np.ndarray, steps: int, size: float) -> Bound:
    """The lowest dual value of `steps` multiplicative steps, the k-th of size / sqrt(k)."""
    best, best_price, mean = np.inf, price, np.zeros(len(price))
    for step in range(steps):
        spend = np.zeros((len(price), HOURS))
        value = spending(np.repeat(price[:, None], HOURS, 1), spend) + float(price @ market.budget)
        if value < best:
            best, best_price = value, price
        spent = spend.sum(1) / market.budget
        if step >= steps // 2:
            mean += spent / (steps - steps // 2)
        price = np.maximum(price, 1e-16) * np.exp(np.clip(size / np.sqrt(step + 1) * (spent - 1), -1, 1))
    return Bound(best, best_price, (mean > 0.97) & (best_price > 1e-3 * np.median(best_price)))
