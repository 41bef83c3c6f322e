"""The auction of promoted slots: who wins which slot, what a click will cost. Compiled; serving and simulator use it.

Candidates are ranked by bid * P(click); a bid equal to the reserve sells; ties go to the earlier candidate. Two ways to
price, by name:

    second  generalised second price with positions: the winner of slot j pays per click the least bid that would have
            kept the slot, max(score of the next one / own P(click), reserve), rounded up to a micro and never above the
            own bid. With one slot this is the second-price auction. (Edelman, Ostrovsky, Schwarz 2007.)
    first   every winner pays the own bid

A slot without a candidate at or above its reserve stays empty.
"""

from __future__ import annotations

import numpy as np

from market.compiled import njit

SECOND_PRICE, FIRST_PRICE = 0, 1
PRICING = {"second": SECOND_PRICE, "first": FIRST_PRICE}


@njit()
def run_auction(
    bid_micros: np.ndarray,
    p_click: np.ndarray,
    reserve_micros: np.ndarray,
    slots: int,
    pricing: int,
    winner: np.ndarray,
    price_micros: np.ndarray,
) -> int:
    """Fill `winner` (index into the candidates) and `price_micros` for up to `slots` slots; return how many were sold.

    bid_micros, reserve_micros int64[n], p_click float64[n] in (0, 1]; winner int64[slots + 1], price int64[slots + 1]
    (one spare place for the runner-up). A candidate whose p_click is NaN takes no part. Cost O(n * slots), nothing
    allocated.
    """
    held = 0
    for i in range(len(bid_micros)):
        if bid_micros[i] < reserve_micros[i] or bid_micros[i] <= 0 or not p_click[i] > 0.0:
            continue
        held = enter(i, bid_micros, p_click, held, slots, winner)
    return price_slots(bid_micros, p_click, reserve_micros, held, slots, pricing, winner, price_micros)


@njit()
def enter(
    candidate: int, bid_micros: np.ndarray, p_click: np.ndarray, held: int, slots: int, winner: np.ndarray
) -> int:
    """Rank one more candidate behind those that scored as much; return how many of the slots + 1 places are held."""
    score = bid_micros[candidate] * p_click[candidate]
    place = held
    while place > 0 and score > bid_micros[winner[place - 1]] * p_click[winner[place - 1]]:
        place -= 1
    if place > slots:
        return held
    for shift in range(min(held, slots), place, -1):
        winner[shift] = winner[shift - 1]
    winner[place] = candidate
    return min(held + 1, slots + 1)


@njit()
def price_slots(
    bid_micros: np.ndarray,
    p_click: np.ndarray,
    reserve_micros: np.ndarray,
    held: int,
    slots: int,
    pricing: int,
    winner: np.ndarray,
    price_micros: np.ndarray,
) -> int:
    """Price the first `slots` of the `held` ranked candidates; return how many were sold."""
    sold = min(held, slots)
    for slot in range(sold):
        own = winner[slot]
        if pricing == FIRST_PRICE:
            price_micros[slot] = bid_micros[own]
            continue
        price = reserve_micros[own]
        if slot + 1 < held:
            rival = winner[slot + 1]
            score = bid_micros[rival] * p_click[rival]
            least = int(score / p_click[own])
            if least * p_click[own] < score:  # no ceiling: 3 * 0.1 / 0.1 is a hair above 3
                least += 1
            price = max(price, least)
        price_micros[slot] = min(bid_micros[own], price)
    return sold
