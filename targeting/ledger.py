"""The arithmetic of the money path, in int64 micros: reserve the expected charge, then post, never above a cap.

Pure functions, compiled; the simulator and the service call the same ones. Serving reserves
min(price, ceil(kappa * P(click) * price)); a valid click posts min(price, what is left under both caps). So at every
moment posted <= cap, and the posted total is min(cap, sum of the prices of valid clicks) whatever the order of arrival.
"""

from __future__ import annotations

import math

from market.compiled import njit

KAPPA = 2.0


@njit()
def reservation(p_click: float, price_micros: int, kappa: float) -> int:
    """What one impression reserves: its expected charge times kappa, rounded up."""
    return math.ceil(kappa * p_click * price_micros)


@njit()
def held_micros(p_click: float, price_micros: int, kappa: float) -> int:
    """What serving one item holds until its click can not come any more: never more than that click can cost."""
    return min(price_micros, reservation(p_click, price_micros, kappa))


@njit()
def free_micros(total_cap: int, day_cap: int, posted: int, posted_day: int, reserved: int, reserved_day: int) -> int:
    """What may still be reserved now: the smaller room under the two caps; negative when reserves exceed it."""
    return min(total_cap - posted - reserved, day_cap - posted_day - reserved_day)


@njit()
def postable(price_micros: int, total_cap: int, day_cap: int, posted: int, posted_day: int) -> int:
    """What a valid click of this price is billed: partial when it is the last one, 0 when a cap is reached."""
    return max(0, min(price_micros, min(total_cap - posted, day_cap - posted_day)))
