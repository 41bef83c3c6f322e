"""Prices that look ahead: what the rest of the day would cost at the present prices, from a sample of its visits.

    winner of a visit     the pair with the highest value - price * cost, if that is above zero
    spend_c(price)        sum over the visits still to come of weight * cost of the pairs of c that win
    price_c <- price_c * exp(clip(step * (spend_c / left_c - 1), -1/2, 1/2))

left is the budget that is neither billed nor pending. Each step follows the gradient of the dual of the rest of the
day, so it answers to everything that is known: what was really billed, how much traffic really came. A descent on
realised spend (`targeting.pacing.descent`) has to wait for clicks to tell it the same. The dual's value at any prices
is a bound on what is left to win:

    bound(price) = sum over visits of weight * max(0, best value - price * cost) + sum over campaigns of price * left
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.compiled import njit
from market.errors import ConfigError

LARGEST_STEP = 0.5


@dataclass(frozen=True)
class LookaheadConfig:
    """Every `minutes` one step on at most `visits` sampled visits; `shrinkage` in visits of one segment."""

    minutes: int = 5
    step: float = 0.06
    visits: int = 40_000
    shrinkage: float = 50.0

    def __post_init__(self) -> None:
        if self.minutes < 1 or self.visits < 1:
            raise ConfigError(f"minutes {self.minutes}, visits {self.visits}; both are at least one")
        if not (self.step > 0 and self.shrinkage >= 0):
            raise ConfigError(f"step {self.step}, shrinkage {self.shrinkage}; a step above zero, a shrinkage from zero")


def supply_ratio(seen: np.ndarray, expected: np.ndarray, shrinkage: float) -> np.ndarray:
    """float64[S]: how much more traffic than forecast each segment shows so far, shrunk to that of all segments.

        ratio_s = (seen_s + shrinkage * g) / (expected_s + shrinkage),   g = sum of seen / sum of expected

    seen, expected float64[S]: visits so far. (Gamma-Poisson; one thousand visits of prior hold g near 1 at first.)
    """
    overall = (seen.sum() + 1_000.0) / (expected.sum() + 1_000.0)
    ratio: np.ndarray = (seen + shrinkage * overall) / np.maximum(expected + shrinkage, 1e-12)
    return ratio


@njit()
def steered(price: float, spend: float, left: float, step: float, floor: float) -> float:
    """One step of one price; `left` in the unit of spend, at least something tiny."""
    move = step * (spend / max(left, 1e-9) - 1.0)
    return float(max(floor, price * np.exp(min(LARGEST_STEP, max(-LARGEST_STEP, move)))))


@njit()
def look(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    segment: np.ndarray,
    hour: np.ndarray,
    key: np.ndarray,
    noise: np.ndarray,
    weight: np.ndarray,
    price: np.ndarray,
    spend: np.ndarray,
) -> float:
    """The value that visits add to the dual bound at these prices; adds what they would cost to `spend` float64[C].

    Pairs in CSR form by segment: start int64[S+1], campaign int32[P], value float64[P, H] by hour, cost float64[P].
    Visits: segment, hour int32[n]; key int64[n] numbers a visit for its noise: a factor noise[(31 key + 7919 pair)
    mod size] on each value, none when noise is empty. weight float64[S]: how many visits one of the segment stands for.
    """
    total, mask = 0.0, len(noise) - 1
    for v in range(len(segment)):
        s, h = segment[v], hour[v]
        best, won = 0.0, -1
        for pair in range(start[s], start[s + 1]):
            worth = value[pair, h]
            if mask >= 0:
                worth *= noise[(key[v] * 31 + pair * 7919) & mask]
            left = worth - price[campaign[pair]] * cost[pair]
            if left > best:
                best, won = left, pair
        if won >= 0:
            total += weight[s] * best
            spend[campaign[won]] += weight[s] * cost[won]
    return total
