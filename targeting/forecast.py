"""What a campaign would spend and bring: supply x retrieval x auction x response, drawn many times, then budgets.

    impressions  ~ Poisson(sum over occupations of requests x retrieved x won x not yet seen too often)
    clicks       ~ Binomial(impressions, p_click),  applications ~ Binomial(clicks, p_apply)
    won          share of recent slates whose bar was below the score  bid x p_click
    price        max(bar / p_click, reserve), at most the bid: with one promoted slot the second price. Where several
                 slots are asked for, a better place than the last may cost more, up to the bid, which is not modelled.

Every draw is one possible future of requests, rates and days, and budgets are applied to the same draws: each day
stops at min(daily cap, what is left). So everything grows with the budget, spend never passes it, and impressions >=
clicks >= applications, draw by draw and therefore in every mean and quantile. The same seed gives the same answer.

Not modelled: pacing (spent as fast as may be), other campaigns that start or end, what is reserved for unclicked items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from market.errors import ConfigError
from targeting.supply import Supply, hours_between, local_days
from targeting.traffic import EMPTY, LEVELS, bar_of, level_of

if TYPE_CHECKING:
    from targeting.prospects import Prospects

FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5)
PRICE_TRUST = 50.0  # slates that the price levels of all occupations together count for in one


@dataclass(frozen=True)
class ForecastConfig:
    """draws: possible futures; most_days: horizon of a campaign without end; steps: moments at which a draw can stop,
    spread over the horizon; trust: clicks (applications) that the learned rates count for beside real ones;
    little_requests: below so many counted requests a forecast says that it rests on little."""

    draws: int = 1_000
    most_days: int = 30
    steps: int = 240
    trust: float = 20.0
    little_requests: int = 100

    def __post_init__(self) -> None:
        for name in ("draws", "most_days", "steps", "little_requests"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more")
        if not self.trust > 0:
            raise ConfigError(f"trust is {self.trust}; give a number of clicks above zero")


@dataclass(frozen=True)
class TrackRecord:
    """How recent promoted items did: clicks beside the sum of their P(click); open_share: impressions that the
    frequency cap leaves, of those that visits would allow."""

    clicks: int = 0
    expected_clicks: float = 0.0
    open_share: float = 1.0


@dataclass(frozen=True)
class Terms:
    """What a draft asks for: micros in total and a local day (None: no daily cap), between two times in its zone."""

    total: int
    daily: int | None
    start: datetime
    end: datetime
    zone: str


@dataclass(frozen=True)
class Estimate:
    mean: float
    ci80: tuple[float, float]
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Scenario:
    """What `factor` times the total and the daily budget would bring; spend in micros."""

    factor: float
    total: int
    spend: Estimate
    impressions: Estimate
    clicks: Estimate
    applications: Estimate


@dataclass(frozen=True)
class Chances:
    """Of one request by a seeker of each of n occupations, float64[n]: the item is shown; it is clicked when shown;
    the click leads to an application; what a click costs in micros, and the mean square of that."""

    shown: np.ndarray
    p_click: np.ndarray
    p_apply: np.ndarray
    price: np.ndarray
    square: np.ndarray


@dataclass(frozen=True)
class Wins:
    """By occupation, float64[n]: share of slates won, mean price of a click there and mean square of it."""

    won: np.ndarray
    price: np.ndarray
    square: np.ndarray


@dataclass(frozen=True)
class Futures:
    """What would happen without any budget: for each day impressions, clicks, applications and micros, float64[M, P]
    by draw and step."""

    days: tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], ...]
    draws: int


def forecast(
    supply: Supply,
    found: Chances,
    track: TrackRecord,
    terms: Terms,
    seed: int,
    config: ForecastConfig = ForecastConfig(),
) -> tuple[Scenario, ...]:
    """One scenario for each of FACTORS, on the same futures."""
    futures = draw_futures(supply, found, track, terms, config, np.random.default_rng(seed))
    return tuple(scenario(futures, terms, factor) for factor in FACTORS)


def chances(
    supply: Supply, prospects: Prospects, prices: Mapping[str, Mapping[int, int]], open_share: float
) -> Chances:
    """Chances of the cells of `supply`; an occupation that the model does not know is treated as untold."""
    place = {code: at for at, code in enumerate(prospects.occupations)}
    at = np.array([place.get(code, len(place) - 1) for code in supply.occupations], np.int64)
    p_click = np.clip(prospects.p_click[at], 0.0, 1.0)
    wins = win_chances(supply.occupations, p_click, prospects.bid_micros, prospects.reserve_micros, prices)
    shown = prospects.retrieved[at] * wins.won * open_share
    return Chances(shown, p_click, np.clip(prospects.p_apply[at], 0.0, 1.0), wins.price, wins.square)


def win_chances(
    occupations: tuple[str, ...],
    p_click: np.ndarray,
    bid_micros: int,
    reserve_micros: int,
    prices: Mapping[str, Mapping[int, int]],
) -> Wins:
    """Against the bars of recent slates, where the thin count of an occupation leans on that of all.

    Within the level that holds the own score, bars count as evenly spread. Without any bars every slate is won at the
    reserve; a bid below the reserve wins nothing.
    """
    levels = bar_shares(occupations, prices)  # [n, 1 + LEVELS], EMPTY first
    score = bid_micros * p_click  # [n]
    bars = np.array([bar_of(level + 0.5) if level > EMPTY else 0.0 for level in range(EMPTY, LEVELS)])
    own = np.array([level_of(each) for each in score], np.int64)
    beaten = np.arange(EMPTY, LEVELS) < own[:, None]  # [n, 1 + LEVELS]
    within = np.zeros_like(levels)
    low, high = (np.array([bar_of(level + step) for level in own], np.float64) for step in (0, 1))
    share = np.clip((score - low) / np.maximum(high - low, 1e-300), 0.0, 1.0)
    rows = np.flatnonzero(own > EMPTY)
    within[rows, own[rows] - EMPTY] = share[rows]
    weight = levels * (beaten + within)
    price = np.clip(bars / np.maximum(p_click, 1e-12)[:, None], reserve_micros, max(bid_micros, reserve_micros))
    won = weight.sum(1) * (bid_micros >= reserve_micros) * (score > 0)
    sure = np.maximum(weight.sum(1), 1e-300)
    return Wins(won, (weight * price).sum(1) / sure, (weight * price**2).sum(1) / sure)


def bar_shares(occupations: tuple[str, ...], prices: Mapping[str, Mapping[int, int]]) -> np.ndarray:
    """float64[n, 1 + LEVELS]: share of slates by level of their bar, EMPTY first; rows sum to 1."""
    counts = np.zeros((len(occupations), 1 + LEVELS))
    everywhere = np.zeros(1 + LEVELS)
    place = {code: at for at, code in enumerate(occupations)}
    for occupation, levels in prices.items():
        for level, slates in levels.items():
            everywhere[level - EMPTY] += slates
            if occupation in place:
                counts[place[occupation], level - EMPTY] += slates
    if not everywhere.sum():
        everywhere[0] = 1.0
    counts += PRICE_TRUST * everywhere / everywhere.sum()
    return np.asarray(counts / counts.sum(1, keepdims=True))


def draw_futures(
    supply: Supply,
    found: Chances,
    track: TrackRecord,
    terms: Terms,
    config: ForecastConfig,
    rng: np.random.Generator,
) -> Futures:
    """Possible futures without budgets."""
    draws, days = config.draws, local_days(terms.zone, terms.start, terms.end)
    levels = supply.levels(draws, rng)  # [M, n]
    shown = levels @ found.shown  # [M]
    clicked = levels @ (found.shown * found.p_click)
    applied = levels @ (found.shown * found.p_click * found.p_apply)
    paid = levels @ (found.shown * found.p_click * found.price)
    squares = levels @ (found.shown * found.p_click * found.square)
    rate = rng.gamma(track.clicks + config.trust, 1 / (track.expected_clicks + config.trust), draws)
    p_click = np.minimum(_ratio(clicked, shown) * rate, 1.0)
    p_apply = np.minimum(_ratio(applied, clicked) * rng.gamma(config.trust, 1 / config.trust, draws), 1.0)
    price = _ratio(paid, clicked)
    spread = np.maximum(_ratio(squares, clicked) - price**2, 0.0)  # variance of the price of one click
    made = []
    for first, last in days:
        hours = [weight for _, weight in hours_between(supply.shape, supply.zone, first, last)]
        parts = np.array_split(np.array(hours), max(1, min(len(hours), config.steps // len(days))))
        weight = np.array([part.sum() for part in parts])  # [P]
        mean = shown[:, None] * weight * supply.day_factors(draws, rng)[:, None]  # [M, P]
        impressions = rng.poisson(mean)
        clicks = rng.binomial(impressions, p_click[:, None])
        applications = rng.binomial(clicks, p_apply[:, None])
        spend = _prices_paid(clicks, price, spread, rng)
        made.append((impressions.astype(float), clicks.astype(float), applications.astype(float), spend))
    return Futures(tuple(made), draws)


def scenario(futures: Futures, terms: Terms, factor: float) -> Scenario:
    """The draws under `factor` times the budgets, rounded down to a micro."""
    total = int(terms.total * factor)
    daily = total if terms.daily is None else int(terms.daily * factor)
    left = np.full(futures.draws, float(total))
    counted = np.zeros((3, futures.draws))
    for impressions, clicks, applications, spend in futures.days:
        allowed = np.minimum(left, daily)
        done = share_done(spend, allowed)  # [M, P]
        counted += [(each * done).sum(1) for each in (impressions, clicks, applications)]
        # Not the sum of what was done: a budget that is spent has to leave exactly nothing for the next day.
        left -= np.minimum(spend.sum(1), allowed)
    spent = np.clip(total - np.maximum(left, 0.0), 0.0, total)
    return Scenario(factor, total, estimate(spent), *(estimate(each) for each in counted))


def share_done(spend: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """float64[M, P]: share of each step of a day that is served when `allowed` [M] may be spent on spend [M, P]."""
    before = np.cumsum(spend, axis=1) - spend
    room = allowed[:, None] - before
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(spend > 0, room / spend, np.where(room > 0, 1.0, 0.0))
    return np.asarray(np.clip(part, 0.0, 1.0))


def estimate(drawn: np.ndarray) -> Estimate:
    """Mean and central intervals; bounds are draws themselves, the outer ones where one lies between two."""
    low = np.quantile(drawn, (0.1, 0.025), method="lower")
    high = np.quantile(drawn, (0.9, 0.975), method="higher")
    return Estimate(float(drawn.mean()), (float(low[0]), float(high[0])), (float(low[1]), float(high[1])))


def horizon_end(start: datetime, ends: tuple[datetime | None, ...], most_days: int) -> tuple[datetime, bool]:
    """Where the forecast ends, and whether that is only because it has to end somewhere."""
    last = start + timedelta(days=most_days)
    known = [at for at in ends if at is not None]
    return (min(known), False) if known and min(known) <= last else (last, True)


def _prices_paid(clicks: np.ndarray, price: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float64[M, P]: sums of the prices of `clicks` [M, P] clicks, gamma distributed with their mean and variance."""
    mean = clicks * price[:, None]
    varied = (spread > 1e-9 * np.maximum(price, 1.0) ** 2)[:, None] & (clicks > 0)
    scale = np.where(varied, spread[:, None] / np.maximum(price, 1e-300)[:, None], 1.0)
    return np.asarray(np.where(varied, rng.gamma(np.where(varied, mean / scale, 1.0), scale), mean))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(part / np.where(whole > 0, whole, 1.0))
