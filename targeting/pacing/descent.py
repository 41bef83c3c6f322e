"""The controller that spends a budget over a day: one price per campaign, moved each minute by dual mirror descent.

The price lambda is in expected qualified applications per micro of money: what a micro must bring to be worth spending.
A campaign bids what a click is worth at that price, never above its ceiling:

    bid = min(max bid, value per click / lambda)
    target = max(0, (B - S') / B) * (W - W') / max(1e-6, 1 - W')
    lambda <- lambda * exp(clip(eta * ((S - S') / B - target), -1, 1)),  at least the floor

B budget of the day, S posted plus pending expected charges, W planned share of the day up to now, primes one step
before. The step aims at the remaining budget over the remaining share, not at the original plan.
(Balseiro, Lu, Mirrokni, ICML 2020.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from market.compiled import part
from market.errors import ConfigError

Policy = Literal["plan+descent", "descent", "greedy"]
POLICIES: tuple[Policy, ...] = ("plan+descent", "descent", "greedy")
MAX_BID_MICROS = 1_000_000_000  # a click never costs more than 1,000 units, whatever an estimate says


@dataclass(frozen=True)
class ControlConfig:
    """policy: "plan+descent" starts from the plan's prices, "descent" from the median, "greedy" bids the ceiling."""

    policy: Policy = "plan+descent"
    eta: float = 10.0
    eta_cold: float = 20.0
    floor_share: float = 1e-3  # floor of lambda, as a share of the median value per micro

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"pacing {self.policy!r} is unknown; use one of {', '.join(POLICIES)}")


@part()
def next_price(
    price: float,
    spent: float,
    spent_before: float,
    budget: float,
    share: float,
    share_before: float,
    eta: float,
    floor: float,
) -> float:
    """One step of the descent; all money in the same unit, shares in [0, 1]."""
    if budget <= 0.0 or share <= share_before:
        return price
    target = max(0.0, (budget - spent_before) / budget) * (share - share_before) / max(1e-6, 1.0 - share_before)
    step = eta * ((spent - spent_before) / budget - target)
    return max(floor, price * math.exp(min(1.0, max(-1.0, step))))


@part()
def paced_bid(value_per_click: float, price: float, max_bid_micros: int) -> int:
    """int64 micros per click; a price of 0 means money is no constraint."""
    if price <= 0.0:
        return max_bid_micros
    return int(min(value_per_click / price, float(max_bid_micros)))  # no branch: every candidate of a visit asks
