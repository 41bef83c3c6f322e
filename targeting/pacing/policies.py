"""Ways to spend a budget over a day behind one small protocol, so that they can be compared in one market.

    score(kind, value, cost, price, chance, draw)   how a candidate ranks in one visit; at most 0: it stays out
    advance(kind, ...)                              once a minute, what a campaign's state becomes

price is the one number of state that scores use: a price of money (descents), a multiplier (PID), a share of visits
(throttling). Formulas: throttling after Agarwal et al. (KDD 2014) without its fast finish; PID on the bid multiplier;
adaptive pacing as the additive relative of the descent (after Balseiro and Gur, 2019); descents in `descent`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from market.compiled import njit
from market.errors import ConfigError
from targeting.pacing.descent import next_price

Name = Literal["greedy-ecpm", "greedy-value", "throttle", "pid", "adaptive", "descent", "plan+descent", "lookahead"]
NAMES: tuple[Name, ...] = get_args(Name)
ECPM, VALUE, THROTTLE, PID, ADAPTIVE, DESCENT = range(6)
_KINDS = {"greedy-ecpm": ECPM, "greedy-value": VALUE, "throttle": THROTTLE, "pid": PID, "adaptive": ADAPTIVE}
SLOW_START = 0.1  # the share of visits a throttled campaign begins with


@dataclass(frozen=True)
class PacingPolicy:
    """gain: eta of a descent, factor of a PID, step of adaptive pacing, change per minute of a throttle.

    "plan+descent" starts from the plan's prices, "lookahead" also steers by the visits still to come; kappa times the
    expected charges of pending impressions is held back.
    """

    name: Name
    gain: float = 0.0
    kappa: float = 1.0
    deviations: float = 1.0
    least_click: float = 0.5

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ConfigError(f"pacing policy {self.name!r} is unknown; use one of {', '.join(NAMES)}")
        if not 0 <= self.least_click <= 1:
            raise ConfigError(f"least_click {self.least_click}; expected a share from 0 to 1")
        for name in ("gain", "kappa", "deviations"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} {getattr(self, name)}; expected a finite number from zero")

    @property
    def kind(self) -> int:
        return _KINDS.get(self.name, DESCENT)

    @property
    def planned(self) -> bool:
        """Does it begin with the plan's prices?"""
        return self.name in ("plan+descent", "lookahead")


@njit()
def score(kind: int, value: float, cost: float, price: float, draw: float) -> float:
    """value in expected qualified applications, cost in expected money; draw uniform in [0, 1), for throttling."""
    if kind == ECPM:
        return cost
    if kind == VALUE:
        return value
    if kind == THROTTLE:
        return value if draw < price else 0.0
    if kind == PID:
        return value * price
    return value - price * cost


@njit()
def first_price(kind: int, price: float) -> float:
    """The state a day begins with; `price` is what a descent would begin with."""
    if kind == THROTTLE:
        return SLOW_START
    if kind == PID:
        return 1.0
    return price


@njit()
def advance(
    kind: int,
    gain: float,
    price: float,
    floor: float,
    spent: float,
    spent_before: float,
    billed: float,
    budget: float,
    share: float,
    share_before: float,
    integral: float,
    error_before: float,
) -> tuple[float, float, float]:
    """(price, integral, error) after one minute; money in one unit, shares of the plan up to now in [0, 1].

    spent: billed plus pending expected charges now; spent_before: a minute ago.
    """
    if kind == DESCENT:
        return next_price(price, spent, spent_before, budget, share, share_before, gain, floor), 0.0, 0.0
    if kind == ADAPTIVE:
        step = (spent - spent_before) / budget - (share - share_before)
        return max(floor, price + gain * floor * step), 0.0, 0.0
    if kind == THROTTLE:
        return price * (1.0 - gain) if billed > budget * share else min(1.0, price * (1.0 + gain)), 0.0, 0.0
    if kind == PID:
        error = share - billed / budget
        integral = min(0.5, max(-0.5, integral + error))
        pushed = 8.0 * error + 1.5 * integral + 2.0 * (error - error_before)
        return math.exp(min(3.0, max(-6.0, gain * pushed))), integral, error
    return price, 0.0, 0.0
