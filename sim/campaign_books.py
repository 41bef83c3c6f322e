"""Where the money of every campaign is while the market runs: posted, reserved, pending, free; and its price.

All arithmetic is the product's (`targeting.ledger`, `targeting.pacing.descent`). What is free and what may be bid are
kept up to date with every movement, so that an auction reads one number per campaign instead of six. Compiled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.compiled import njit
from targeting.ledger import free_micros, postable
from targeting.pacing.descent import next_price

MINUTES_A_DAY = 1440


class CampaignTerms(NamedTuple):
    """What does not change: money int64[C] micros, job and openings int64[C], opens and closes float64[C] seconds;
    by_opening, by_close int64[C]: the campaigns in that order."""

    job: np.ndarray
    budget: np.ndarray
    day_budget: np.ndarray
    max_bid: np.ndarray
    reserve: np.ndarray
    openings: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    by_opening: np.ndarray
    by_close: np.ndarray


class Books(NamedTuple):
    """posted, reserved, free int64[C]; by_day (posted), reserved_day int64[days, C], the day is that of serving;
    pending float64[C]: expected charges of what was served and not yet settled; price, spent_before float64[C].

    ceiling int64[C] is the most a campaign may bid now: 0 while it is closed or has nothing free.
    """

    posted: np.ndarray
    reserved: np.ndarray
    free: np.ndarray
    by_day: np.ndarray
    reserved_day: np.ndarray
    pending: np.ndarray
    price: np.ndarray
    spent_before: np.ndarray
    alive: np.ndarray
    ceiling: np.ndarray


def open_books(days: int, start_price: np.ndarray) -> Books:
    """Nothing posted, nobody alive yet."""
    campaigns = len(start_price)
    whole, by_day = (lambda: np.zeros(campaigns, np.int64)), (lambda: np.zeros((days, campaigns), np.int64))
    return Books(
        whole(), whole(), whole(), by_day(), by_day(), np.zeros(campaigns), start_price.astype(np.float64),
        np.zeros(campaigns), np.zeros(campaigns, np.bool_), whole(),
    )  # fmt: skip


@njit()
def refresh(books: Books, terms: CampaignTerms, c: int, today: int) -> None:
    """Bring what is free and what may be bid up to date after a movement of campaign c."""
    free = free_micros(
        terms.budget[c],
        terms.day_budget[c],
        books.posted[c],
        books.by_day[today, c],
        books.reserved[c],
        books.reserved_day[today, c],
    )
    books.free[c] = free
    books.ceiling[c] = terms.max_bid[c] if free >= 1 and books.alive[c] else 0


@njit()
def hold(books: Books, c: int, day: int, micros: int, expected: float) -> None:
    """Reserve `micros`, or let go of them where they are negative; the caller refreshes."""
    books.reserved[c] += micros
    books.reserved_day[day, c] += micros
    books.pending[c] += expected


@njit()
def post(books: Books, terms: CampaignTerms, c: int, day: int, price: int) -> int:
    """Bill a valid click of an item served on `day`; return the charge. The caller refreshes."""
    charge = postable(price, terms.budget[c], terms.day_budget[c], books.posted[c], books.by_day[day, c])
    books.posted[c] += charge
    books.by_day[day, c] += charge
    return charge


@njit()
def move_prices(books: Books, terms: CampaignTerms, minute: int, share: np.ndarray, eta: float, floor: float) -> None:
    """One step of the controller for every campaign that was alive when minute `minute` (from 0) began.

    share float64[1441]: see `sim.loop.Pacing`. A campaign that closes today has until then to spend the day's money;
    the price of one that is not alive waits.
    """
    day, of_day = minute // MINUTES_A_DAY, minute % MINUTES_A_DAY + 1
    began = minute * 60.0
    for c in range(len(books.price)):
        if of_day == 1:
            books.spent_before[c] = 0.0
        if not terms.opens[c] <= began < terms.closes[c]:
            continue
        last = math.ceil(min(1.0 * MINUTES_A_DAY, (terms.closes[c] - day * 86_400.0) / 60.0))
        if share[last] <= 0.0:
            continue
        spent = books.by_day[day, c] + books.pending[c]
        allowed = min(terms.day_budget[c], terms.budget[c] - books.posted[c] + books.by_day[day, c])
        books.price[c] = next_price(
            books.price[c],
            spent,
            books.spent_before[c],
            float(allowed),
            share[of_day] / share[last],
            share[of_day - 1] / share[last],
            eta,
            floor,
        )
        books.spent_before[c] = spent
