"""Where the money of every campaign is while the market runs: posted, reserved, pending, free; and its price.

All arithmetic is the product's (`targeting.ledger`, `targeting.pacing.descent`). What is free and what may be bid are
kept up to date with every movement, so that an auction reads one number per campaign instead of six. Compiled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.compiled import part
from targeting.ledger import free_micros, postable
from targeting.pacing.descent import next_price

MINUTES_A_DAY = 1440


# What the movements of money touch, and what an auction reads, of one campaign: each side by side in memory. Money in
# micros. free: what may still be reserved today; pending: expected charges of what was served and not yet settled;
# ceiling: the most it may bid now, 0 while it is closed or has nothing free; spent_before: at the last minute.
ACCOUNT = np.dtype(
    [(name, "i8") for name in ("budget", "day_budget", "max_bid", "posted", "reserved", "free", "alive")]
    + [("pending", "f8")]
)
OFFER = np.dtype([("price", "f8"), ("ceiling", "i8"), ("reserve", "i8"), ("spent_before", "f8")])


class Books(NamedTuple):
    """account ACCOUNT[C], offer OFFER[C]; by_day (posted), reserved_day int64[days, C], the day is that of serving."""

    account: np.ndarray
    offer: np.ndarray
    by_day: np.ndarray
    reserved_day: np.ndarray


class Lives(NamedTuple):
    """opens, closes float64[C] seconds; by_opening, by_close int64[C]: the campaigns in that order."""

    opens: np.ndarray
    closes: np.ndarray
    by_opening: np.ndarray
    by_close: np.ndarray


def open_books(
    budget: np.ndarray, day_budget: np.ndarray, max_bid: np.ndarray, reserve: np.ndarray, price: np.ndarray, days: int
) -> Books:
    """Nothing posted, nobody alive yet. All [C], int64 micros; price float64."""
    campaigns = len(budget)
    account, offer = np.zeros(campaigns, ACCOUNT), np.zeros(campaigns, OFFER)
    account["budget"], account["day_budget"], account["max_bid"] = budget, day_budget, max_bid
    offer["reserve"], offer["price"] = reserve, price
    return Books(account, offer, np.zeros((days, campaigns), np.int64), np.zeros((days, campaigns), np.int64))


@part()
def refresh(books: Books, c: int, today: int) -> None:
    """Bring what is free and what may be bid up to date after a movement of campaign c."""
    a = books.account[c]
    free = free_micros(
        a["budget"], a["day_budget"], a["posted"], books.by_day[today, c], a["reserved"], books.reserved_day[today, c]
    )
    a["free"] = free
    books.offer[c]["ceiling"] = a["max_bid"] if free >= 1 and a["alive"] else 0


@part()
def live(books: Books, c: int, alive: int, today: int) -> None:
    """The campaign opens (1) or closes (0)."""
    books.account[c]["alive"] = alive
    refresh(books, c, today)


@part()
def hold(books: Books, c: int, day: int, today: int, micros: int, expected: float) -> None:
    """Reserve `micros`, or let go of them where they are negative."""
    a = books.account[c]
    a["reserved"] += micros
    a["pending"] += expected
    books.reserved_day[day, c] += micros
    refresh(books, c, today)


@part()
def post(books: Books, c: int, day: int, today: int, price: int) -> int:
    """Bill a valid click of an item served on `day`; return the charge."""
    a = books.account[c]
    charge = postable(price, a["budget"], a["day_budget"], a["posted"], books.by_day[day, c])
    a["posted"] += charge
    books.by_day[day, c] += charge
    refresh(books, c, today)
    return charge


@part()
def move_prices(books: Books, lives: Lives, minute: int, share: np.ndarray, eta: float, floor: float) -> None:
    """One step of the controller for every campaign that was alive when minute `minute` (from 0) began.

    share float64[1441]: see `sim.loop.Pacing`. A campaign that closes today has until then to spend the day's money;
    the price of one that is not alive waits.
    """
    day, of_day = minute // MINUTES_A_DAY, minute % MINUTES_A_DAY + 1
    began = minute * 60.0
    for c in range(np.uint64(len(books.offer))):
        a, offer = books.account[c], books.offer[c]
        if of_day == 1:
            offer["spent_before"] = 0.0
        if not lives.opens[c] <= began < lives.closes[c]:
            continue
        last = math.ceil(min(1.0 * MINUTES_A_DAY, (lives.closes[c] - day * 86_400.0) / 60.0))
        if share[last] <= 0.0:
            continue
        spent = books.by_day[day, c] + a["pending"]
        allowed = min(a["day_budget"], a["budget"] - a["posted"] + books.by_day[day, c])
        offer["price"] = next_price(
            offer["price"],
            spent,
            offer["spent_before"],
            float(allowed),
            share[of_day] / share[last],
            share[of_day - 1] / share[last],
            eta,
            floor,
        )
        offer["spent_before"] = spent
