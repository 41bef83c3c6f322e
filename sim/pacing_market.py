"""A market to try pacing in: campaigns that meet visits of segments, one slot, a fixed price per click. Synthetic.

Segments have popularity, a shape over the day (eight time zones) and some 20 to 60 eligible campaigns each; values and
click rates are lognormal. Budgets are .1 to 2 times a fair share of what there is to buy, times `slack`: 1 is a tight
market in which most budgets bind, 2 a moderate one. Money is int64 micros. Mechanics, not evidence: nothing here is
measured on a real site; figures compare policies in one and the same market.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError

MINUTES = 1440
HOURS = 24
CENT = 10_000  # micros
_NOISE = 1 << 20


@dataclass(frozen=True)
class PacingMarket:
    """Pairs in CSR form by segment: start int64[S+1], campaign int32[P], p_click float64[P], value float64[P, 24]
    (1,000 expected hires an impression, by hour), cost float64[P] (expected micros an impression).

    price int64[C] micros per click; budget int64[C]; rate float64[S, 1440] expected visits; share float64[C, 1441]
    planned cumulative share of the day at each minute, that of the eligible visits.
    """

    start: np.ndarray
    campaign: np.ndarray
    p_click: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    price: np.ndarray
    budget: np.ndarray
    rate: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Visits:
    """A day in order of time: segment int32[n], minute int32[n], draw float64[n] (a shown pair is clicked if below its
    click rate); noise float64[2^20] factors on values, empty without noise."""

    segment: np.ndarray
    minute: np.ndarray
    draw: np.ndarray
    noise: np.ndarray

    def __len__(self) -> int:
        return len(self.segment)


@dataclass(frozen=True)
class Scenario:
    """How a day differs from its forecast. Lognormal sigma per segment, level of all traffic, a shock (from minute, to
    minute, factor), minutes until a click is reported, lognormal sigma of values per visit."""

    name: str
    sigma: float = 0.0
    level: float = 1.0
    shock: tuple[int, int, float] | None = None
    delay_minutes: int = 10
    value_sigma: float = 0.0


SCENARIOS = (
    Scenario("stationary"),
    Scenario("forecast error", sigma=0.25, level=0.85),
    Scenario("traffic shock", sigma=0.15, shock=(600, 780, 2.0)),
    Scenario("clicks after 60 minutes", sigma=0.25, level=0.85, delay_minutes=60),
    Scenario("value noise", sigma=0.25, level=0.85, value_sigma=0.5),
)


def draw_market(
    seed: int, slack: float, campaigns: int = 300, segments: int = 300, visits: int = 1_000_000
) -> PacingMarket:
    """A market from a seed; ConfigError for sizes it can not be drawn at."""
    if campaigns < 60 or segments < 1 or visits < 1 or not slack > 0:
        raise ConfigError(f"{campaigns} campaigns, {segments} segments, {visits} visits, slack {slack}: too few")
    rng = np.random.default_rng(seed)
    popularity = np.arange(1, segments + 1) ** -0.6
    popularity /= popularity.sum()
    eligible = [np.sort(rng.choice(campaigns, rng.integers(20, 61), replace=False)) for _ in range(segments)]
    count = np.array([len(each) for each in eligible])
    start = np.concatenate([[0], np.cumsum(count)])
    campaign = np.concatenate(eligible).astype(np.int32)
    segment = np.repeat(np.arange(segments), count)

    hour = np.arange(MINUTES) / 60.0
    zones = np.arange(8)[:, None]
    noon, evening = (hour - 9 - zones) % 24, ((hour - 20 - zones) % 24 + 12) % 24 - 12
    shapes = 0.25 + np.exp(-(noon**2) / 18) + 1.2 * np.exp(-(evening**2) / 10)
    shapes /= shapes.sum(1, keepdims=True)
    zone = rng.integers(0, 8, segments)
    rate = visits * popularity[:, None] * shapes[zone]

    price = np.maximum(5, np.round(100 * np.exp(rng.normal(np.log(0.8), 0.5, campaigns)))).astype(np.int64) * CENT
    p_click = np.clip(np.exp(rng.normal(np.log(0.04), 0.5, len(campaign))), 0.002, 0.4)
    apply = np.clip(np.exp(rng.normal(np.log(0.12), 0.6, len(campaign))), 0.005, 0.8)
    hire = np.clip(np.exp(rng.normal(np.log(0.06), 0.9, len(campaign))), 0.001, 0.6)
    by_hour = 0.85 + 0.3 * rng.random((8, HOURS))
    value = (1_000 * p_click * apply * hire)[:, None] * by_hour[zone[segment]]
    cost = p_click * price[campaign]

    fair = (rate.sum(1) / count)[segment]
    to_buy = np.bincount(campaign, cost * fair, minlength=campaigns)
    budget = np.maximum(20 * price, np.round(to_buy * rng.uniform(0.1, 2.0, campaigns) * slack)).astype(np.int64)
    met = np.zeros((campaigns, MINUTES))
    np.add.at(met, campaign, rate[segment])
    share = np.concatenate(
        [np.zeros((campaigns, 1)), np.cumsum(met, 1) / np.maximum(met.sum(1, keepdims=True), 1e-12)], 1
    )
    share[:, -1] = 1.0
    return PacingMarket(start, campaign, p_click, value, cost, price, budget, rate, share)


def draw_visits(market: PacingMarket, seed: int, scenario: Scenario = SCENARIOS[0]) -> Visits:
    """One day of the market's traffic as the scenario has it, Poisson by segment and minute."""
    rng = np.random.default_rng(seed)
    sigma, segments = scenario.sigma, len(market.rate)
    rate = market.rate * scenario.level * np.exp(rng.normal(0, sigma, segments) - sigma**2 / 2)[:, None]
    if scenario.shock is not None:
        begin, end, factor = scenario.shock
        rate[:, begin:end] *= factor
    count = rng.poisson(rate)
    segment, minute = np.nonzero(count)
    each = count[segment, minute]
    segment, minute = np.repeat(segment, each), np.repeat(minute, each)
    order = np.lexsort((rng.random(len(minute)), minute))
    noise = np.zeros(0)
    if scenario.value_sigma:
        noise = np.exp(scenario.value_sigma * rng.normal(0, 1, _NOISE) - scenario.value_sigma**2 / 2)
    return Visits(segment[order].astype(np.int32), minute[order].astype(np.int32), rng.random(len(order)), noise)
