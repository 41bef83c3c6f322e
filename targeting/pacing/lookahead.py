"""Prices that look ahead: what the rest of the day would cost at the present prices, from a sample of its visits.

    winner of a visit       the pair with the highest value - price * cost, if that is above zero
    spend_c(price, t)       sum over the visits from now to t of weight * cost of the pairs of c that win
    due_c(t)                left_c - (1 - planned share up to t) * budget_c, at least a twentieth of left_c
    price_c <- price_c * exp(clip(step * (spend_c(day) / left_c - 1) + near_step * (spend_c(near) / due_c(near) - 1)))

left is the budget that is neither billed nor pending; near ends some hours from now, and its term pulls spend that has
run ahead of its share of the day, or fallen behind it, back to that share. The first term is the gradient of the dual
of the rest of the day, so it answers to everything that is known: what was really billed, how much traffic really came.
A descent on realised spend (`targeting.pacing.descent`) has to wait for clicks to tell it the same. The dual's value at
any prices is a bound on what is left to win:

    bound(price) = sum over visits of weight * max(0, best value - price * cost) + sum over campaigns of price * left
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.compiled import njit
from market.errors import ConfigError

LARGEST_STEP = 0.5
LEAST_DUE = 0.05  # of what is left: a campaign ahead of its plan slows down, it does not stop


@dataclass(frozen=True)
class LookaheadConfig:
    """Every `minutes` one step on at most `visits` sampled visits; `shrinkage` in visits of one segment. A larger
    near_step keeps spend nearer to its planned share, and costs value."""

    minutes: int = 5
    step: float = 0.06
    visits: int = 40_000
    shrinkage: float = 50.0
    near_minutes: int = 240
    near_step: float = 0.0

    def __post_init__(self) -> None:
        for name in ("minutes", "visits", "near_minutes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not (self.step > 0 and self.near_step >= 0 and self.shrinkage >= 0):
            raise ConfigError(
                f"step {self.step}, near_step {self.near_step}, shrinkage {self.shrinkage}; "
                "expected a step above zero, the others from zero"
            )


def supply_ratio(seen: np.ndarray, expected: np.ndarray, shrinkage: float) -> np.ndarray:
    """float64[S]: how much more traffic than forecast each segment shows so far, shrunk to that of all segments.

        ratio_s = (seen_s + shrinkage * g) / (expected_s + shrinkage),   g = sum of seen / sum of expected

    seen, expected float64[S]: visits so far. (Gamma-Poisson; one thousand visits of prior hold g near 1 at first.)
    """
    overall = (seen.sum() + 1_000.0) / (expected.sum() + 1_000.0)
    ratio: np.ndarray = (seen + shrinkage * overall) / np.maximum(expected + shrinkage, 1e-12)
    return ratio


def due_until(left: np.ndarray, budget: np.ndarray, share: np.ndarray) -> np.ndarray:
    """float64[C]: what is to be spent until the planned share of the day is `share` float64[C], to be on it then."""
    due: np.ndarray = np.clip(left - budget * (1.0 - share), LEAST_DUE * left, left)
    return due


def steered(price: np.ndarray, move: np.ndarray, floor: float) -> np.ndarray:
    """float64[C]: prices after one step; move float64[C] in logarithms, cut at LARGEST_STEP either way."""
    moved: np.ndarray = np.maximum(floor, price * np.exp(np.clip(move, -LARGEST_STEP, LARGEST_STEP)))
    return moved


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
    """The value that visits add to the dual bound at these prices; adds what they would cost to `spend` float64[C, H].

    Pairs in CSR form by segment: start int64[S+1], campaign int32[P], value float64[P, H] by hour, cost float64[P].
    Visits: segment, hour int32[n]; key int64[n] numbers a visit for its noise: a factor noise[(31 key + 7919 pair)
    mod size] on each value, none when noise is empty. weight float64[n]: how many visits each stands for. price
    float64[C, H].
    """
    total, mask = 0.0, len(noise) - 1
    for v in range(len(segment)):
        s, h = segment[v], hour[v]
        best, won = 0.0, -1
        for pair in range(start[s], start[s + 1]):
            worth = value[pair, h]
            if mask >= 0:
                worth *= noise[(key[v] * 31 + pair * 7919) & mask]
            left = worth - price[campaign[pair], h] * cost[pair]
            if left > best:
                best, won = left, pair
        if won >= 0:
            total += weight[v] * best
            spend[campaign[won], h] += weight[v] * cost[won]
    return total
