"""Ways to compare arms inside one market, as a site without parallel worlds has to: what they estimate is checked
against the truth, a full market per arm.

budget-split (Liu et al. 2020): disjoint parts of the original persons, an equal part of every budget each, an auction
and prices of its own. switch-back: one market and one budget, arms take turns by the hour or the day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from sim.loop import OrganicLists, Pairs, Traffic
from sim.market import Market
from sim.play import Run

DESIGNS = ("copy", "budget-split", "switch-back")
DAY_HOURS = 24


@dataclass(frozen=True)
class SwitchBack:
    """One market whose arms took turns. turn int64[hours]; the run's seekers: arm a has rows a * S to (a + 1) * S."""

    arms: tuple[str, ...]
    turn: np.ndarray
    run: Run


def parts_of(person: np.ndarray, parts: int, salt: str) -> np.ndarray:
    """int64[n]: the part each original person falls into, by hash; all copies of a person fall alike."""
    known, of_row = np.unique(person, return_inverse=True)
    digests = [hashlib.sha256(f"{salt}:{one}".encode()).digest() for one in known.tolist()]
    return np.array([int.from_bytes(digest[:8], "big") % parts for digest in digests], np.int64)[of_row]


def split_market(market: Market, part: int, parts: int, salt: str = "split") -> Market:
    """One arm's part of a budget-split test: a part of the original persons, an equal part of each budget.

    The salt is mixed with the market's seed: else the same persons would stand for the same arm in every market, and
    what is special about them would never average out.
    """
    mine = parts_of(market.person, parts, f"{salt}:{market.config.seed}") == part
    keep = mine[market.traffic.seeker]
    traffic = Traffic(*(getattr(market.traffic, name)[keep] for name in ("seeker", "second", "number")))
    smaller = market.with_budget_level(market.config.budget_level / parts)
    return replace(smaller, config=market.config, traffic=traffic, supply=market.supply * mine.mean())


def turns(hours: int, arms: int, block_hours: int, first: int = 0) -> np.ndarray:
    """int64[hours]: which arm's turn it is in every hour of the window; arm `first` begins."""
    return (np.arange(hours) // block_hours + first) % arms


def switch_back_market(market: Market, arms: int, turn: np.ndarray) -> Market:
    """The market with every seeker once per arm: row a * S + s is seeker s while arm a has its turn.

    Budgets, prices and campaigns are shared, as on a site. What a seeker saw under one arm is not remembered under
    another: of the carry-over between turns it holds that of money, not that of repeated exposures.
    """
    hour = np.minimum((market.traffic.second // 3_600).astype(np.int64), len(turn) - 1)
    traffic = replace(market.traffic, seeker=(market.traffic.seeker + turn[hour] * len(market.seeker)).astype(np.int32))
    pairs = market.pairs
    last = pairs.start[-1]
    start = np.concatenate([pairs.start[:-1] + arm * last for arm in range(arms)] + [[arms * last]])
    columns = {name: np.tile(getattr(pairs, name), arms) for name in Pairs.__dataclass_fields__ if name != "start"}
    lists = {name: np.tile(getattr(market.organic, name), (arms, 1)) for name in OrganicLists.__dataclass_fields__}
    return replace(
        market,
        seeker=np.tile(market.seeker, arms),
        person=np.tile(market.person, arms),
        metro=np.tile(market.metro, arms),
        segment=np.tile(market.segment, arms),
        next_occupation=np.tile(market.next_occupation, arms),
        pairs=Pairs(start, **columns),
        organic=OrganicLists(**lists),
        traffic=traffic,
    )


def turn_shares(turn: np.ndarray, share: np.ndarray, arms: int) -> np.ndarray:
    """float64[days, arms]: the share of each day's expected traffic that falls into every arm's turns.

    share float64[1441]: cumulative share of a day's traffic by minute.
    """
    of_hour = np.diff(share[::60])  # [24]
    days = len(turn) // DAY_HOURS
    found = np.zeros((days, arms))
    for hour, arm in enumerate(turn[: days * DAY_HOURS]):
        found[hour // DAY_HOURS, arm] += of_hour[hour % DAY_HOURS]
    return found
