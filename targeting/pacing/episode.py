"""What a bidder expects of the rest of an episode: its value by auctions and budget left, learned from a log.

An episode is a number of auctions under one budget. A bidder with t auctions and budget b still to come, who meets an
auction with click probability p and wins it at price d, exchanges V(t-1, b) for p + V(t-1, b-d). So the best bid is the
highest d that is worth it, and the value of the state follows backwards from V(0, b) = 0:

    bid(t, b, p) = max {d <= b : V(t-1, b) - V(t-1, b-d) <= p}
    V(t, b)      = V(t-1, b) + E over (p, d) of max(0, p - [V(t-1, b) - V(t-1, b-d)]),  d <= b

(Cai et al., Real-Time Bidding by Reinforcement Learning in Display Advertising, WSDM 2017, with the joint distribution
of p and d of the log instead of the mean of p and the distribution of d.) Where budgets are large beside prices, the
difference is a price of money times d, and this is the linear bid p / lambda of `targeting.pacing.descent`.

V is kept for t on a grid that is exact up to FINE auctions and then grows by 1/FINE a step, and for b on BUDGETS points
that lie quadratically closer towards 0, where V bends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.compiled import njit
from market.errors import ConfigError

FINE = 500
BUDGETS = 256
PRICES = 64
CLICKS = 96
FARTHEST = math.exp(3.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """The joint distribution of price and click probability, in bins.

    price float64[P] mean price of a bin, ascending; pctr float64[Q] mean of a bin, ascending; share float64[P, Q + 1]
    and value float64[P, Q + 1]: probability, and expected pctr, of price bin i with a pctr bin of at least j.
    """

    price: Floats
    pctr: Floats
    share: Floats
    value: Floats


def learn_landscape(price: NDArray[np.int64], pctr: Floats) -> Landscape:
    """From recorded auctions; half of the pctr bins lie in the top eighth, which is what tight budgets buy."""
    if len(price) == 0 or len(price) != len(pctr):
        raise ConfigError(f"a landscape is learned from auctions; {len(price)} prices and {len(pctr)} pctr came")
    half = CLICKS // 2
    tail = 1.0 - 0.125 * np.geomspace(1.0, 1.0 / 512, half)
    edges = np.unique(np.quantile(pctr, np.concatenate([np.linspace(0, 0.875, half, endpoint=False)[1:], tail])))
    cell_pctr = np.searchsorted(edges, pctr, side="right")
    price_edges = np.unique(np.quantile(price, np.linspace(0, 1, PRICES + 1)[1:-1]))
    cell_price = np.searchsorted(price_edges, price, side="right")
    _, row = np.unique(cell_price, return_inverse=True)
    _, column = np.unique(cell_pctr, return_inverse=True)
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    count = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns) / len(price)
    mean_price = np.bincount(row, price, rows) / np.bincount(row, minlength=rows)
    mean_pctr = np.bincount(column, pctr, columns) / np.bincount(column, minlength=columns)
    share, value = np.zeros((rows, columns + 1)), np.zeros((rows, columns + 1))
    share[:, :-1] = np.cumsum(count[:, ::-1], 1)[:, ::-1]
    value[:, :-1] = np.cumsum((count * mean_pctr)[:, ::-1], 1)[:, ::-1]
    return Landscape(mean_price, mean_pctr, share, value)


@dataclass(frozen=True)
class EpisodeValue:
    """The table over the states of an episode of so many auctions under that budget.

    left int64[T]: auctions left, ascending from 0; value, spend float64[T, BUDGETS + 1]: expected clicks of the rest,
    and expected spend of the next auction, where budget * (k / BUDGETS)^2 is left.
    """

    budget: int
    auctions: int
    left: NDArray[np.int64]
    value: Floats
    spend: Floats


def episode_value(landscape: Landscape, budget: int, auctions: int) -> EpisodeValue:
    """Backwards from the end of the episode; a fifth of a second for 1,000 auctions, three fifths for 100,000."""
    if budget < 0 or auctions < 1:
        raise ConfigError(f"an episode has at least 1 auction and a budget of at least 0, not {auctions} and {budget}")
    steps = [0]
    while steps[-1] < auctions:
        steps.append(min(auctions, steps[-1] + max(1, steps[-1] // FINE)))
    left = np.array(steps)
    value, spend = _backwards(
        landscape.price, landscape.pctr, landscape.share, landscape.value, float(max(1, budget)), left, BUDGETS
    )
    return EpisodeValue(budget, auctions, left, value, spend)


@njit()
def value_at(row: Floats, budget: float, full: float) -> float:
    """V of one row of the table at any budget in [0, full], linear between grid points."""
    last = len(row) - 1
    at = min(last - 1, int(np.sqrt(budget / full) * last))
    low, high = full * (at / last) ** 2, full * ((at + 1) / last) ** 2
    return float(row[at] + (row[at + 1] - row[at]) * (budget - low) / (high - low))


@njit()
def _backwards(prices, pctr, share, value, full, left, budgets):  # type: ignore[no-untyped-def]
    table = np.zeros((len(left), budgets + 1))
    spend = np.zeros((len(left), budgets + 1))
    for step in range(1, len(left)):
        row, before, repeat = table[step], table[step - 1], left[step] - left[step - 1]
        for k in range(budgets + 1):
            budget = full * (k / budgets) ** 2
            gain, cost, cell = 0.0, 0.0, 0
            for i in range(len(prices)):
                if prices[i] > budget:
                    break
                worth = before[k] - value_at(before, budget - prices[i], full)
                while cell < len(pctr) and pctr[cell] < worth:
                    cell += 1
                gain += value[i, cell] - worth * share[i, cell]
                cost += prices[i] * share[i, cell]
            row[k] = before[k] + repeat * gain
            spend[step, k] = cost
    return table, spend


@njit()
def highest_worth(row: Floats, budget: int, full: float, pctr: float) -> int:
    """The highest price d <= budget with V(budget) - V(budget - d) <= pctr, by bisection, as V rises; 0 for pctr 0."""
    if pctr <= 0.0:
        return 0
    now = value_at(row, float(budget), full)
    if now - value_at(row, 0.0, full) <= pctr:
        return budget
    low, high = 0, budget
    while high - low > 1:
        middle = (low + high) // 2
        if now - value_at(row, float(budget - middle), full) <= pctr:
            low = middle
        else:
            high = middle
    return low


@njit()
def moved_worth(factor: float, paid: int, expected: float, budget: float, gain: float) -> float:
    """The factor on what money is worth, after an auction: up where more was paid than the log lets expect.

        factor <- factor * exp(gain * (paid - expected) / budget), within [e^-3, e^3]

    It carries over from episode to episode: prices or click probabilities that differ from the log's are learned from
    what was paid, which is all a bidder sees of prices.
    """
    moved = factor * math.exp(min(1.0, max(-1.0, gain * (paid - expected) / budget)))
    return min(FARTHEST, max(1.0 / FARTHEST, moved))
