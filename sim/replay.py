"""Recorded auctions, bid on again by another bidder: what it would have won, and paid.

Episodes of N auctions, the budget renewed at each; the last may be shorter and has a full budget. A bid wins when it
is at least the market price, and pays the market price; no bid is above what is left of the budget, so a dearer auction
can not be won. A bidder sees the pctr of every auction, price and click only of those it wins. All money is int64 in
the unit of the file.

    constant-cpc   min(int(pctr X), cap, remaining budget)
    paced          the product's controller: by the value of an episode (`targeting.pacing.episode`) where a training
                   log was given, otherwise by descent from the first auction on (`targeting.pacing.descent`)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from market.compiled import njit
from market.errors import ConfigError
from sim.auction_log import Auctions
from targeting.pacing.descent import next_price, paced_bid
from targeting.pacing.episode import EpisodeValue, highest_worth, moved_worth, value_at

MOST = 10**15  # of a budget or a cap, in the unit of the file: sums of an episode stay exact
POSITION, REMAINING = 0, 1  # of an account: auctions of the open episode so far, what is left of its budget
IMPRESSIONS, CLICKS, COST = 0, 1, 2  # of a tally
# Gains chosen on generated logs of seeds 0 to 7 (bench/replay_world.py); the table `replay` judges on others.
GAIN = 1.0
COLD_GAIN = 5.0
COLD_STEPS = 100  # of the descent in an episode
COLD_FLOOR = 1e-6


@dataclass(frozen=True)
class Episodes:
    """How long an episode is, what it may cost; cap: no bid above it (None: no cap but the budget)."""

    auctions: int
    budget: int
    cap: int | None = None

    def __post_init__(self) -> None:
        if self.auctions < 1:
            raise ConfigError(f"episode is {self.auctions}; expected at least 1 auction")
        if not 0 <= self.budget <= MOST:
            raise ConfigError(f"budget is {self.budget}; expected a whole number from 0 to {MOST}")
        if self.cap is not None and not 0 <= self.cap <= MOST:
            raise ConfigError(f"bid-cap is {self.cap}; expected a whole number from 0 to {MOST}")

    @property
    def highest(self) -> int:
        return self.budget if self.cap is None else min(self.cap, self.budget)


@dataclass(frozen=True)
class ConstantCpc:
    """Bids what a click is worth, the same for every click."""

    cpc: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cpc) and self.cpc >= 0):
            raise ConfigError(f"cpc is {self.cpc}; expected a finite number from 0")

    def bid(self, episodes: Episodes, block: Auctions, account: NDArray, memory: NDArray, tally: NDArray) -> int:
        """Replays one block; account, memory and tally are changed in place. Returns the rows of the tally used."""
        return _constant(
            block.click, block.price, block.pctr, episodes.auctions, episodes.budget, episodes.highest, account, tally,
            self.cpc,
        )  # fmt: skip


@dataclass(frozen=True)
class PacedByValue:
    """Bids up to what the money would bring later, as a training log tells; memory: factor on that worth."""

    value: EpisodeValue
    gain: float = GAIN

    def bid(self, episodes: Episodes, block: Auctions, account: NDArray, memory: NDArray, tally: NDArray) -> int:
        known = self.value.budget, self.value.auctions
        if known != (episodes.budget, episodes.auctions):
            raise ConfigError(f"the value was learned for (budget, auctions) {known}, not for {episodes}")
        gain = self.gain * min(1.0, math.sqrt(episodes.auctions / 1000))  # short episodes: few auctions, much noise
        return _by_value(
            block.click, block.price, block.pctr, episodes.auctions, episodes.budget, episodes.highest, account, tally,
            self.value.left, self.value.value, self.value.spend, gain, memory,
        )  # fmt: skip


@dataclass(frozen=True)
class PacedCold:
    """Descent without a training log; memory: price, mean pctr, auctions seen, spent at the last step, its share."""

    gain: float = COLD_GAIN

    def bid(self, episodes: Episodes, block: Auctions, account: NDArray, memory: NDArray, tally: NDArray) -> int:
        gain = min(10.0, self.gain * math.sqrt(episodes.auctions / 1000))
        return _cold(
            block.click, block.price, block.pctr, episodes.auctions, episodes.budget, episodes.highest, account, tally,
            gain, memory,
        )  # fmt: skip


Bidder = ConstantCpc | PacedByValue | PacedCold


@dataclass
class ReplayResult:
    """by_episode int64[E, 3]: impressions, clicks, cost of every episode, in order."""

    budget: int
    auctions: int
    by_episode: NDArray[np.int64] = field(repr=False)

    @property
    def impressions(self) -> int:
        return int(self.by_episode[:, IMPRESSIONS].sum())

    @property
    def clicks(self) -> int:
        return int(self.by_episode[:, CLICKS].sum())

    @property
    def cost(self) -> int:
        return sum(self.by_episode[:, COST].tolist())  # Python's integers: budgets times episodes may leave int64

    @property
    def episodes(self) -> int:
        return len(self.by_episode)

    def document(self) -> dict[str, int]:
        return {
            "impressions": self.impressions, "clicks": self.clicks, "cost": self.cost, "episodes": self.episodes,
        }  # fmt: skip


def replay(blocks: Iterable[Auctions], episodes: Episodes, bidder: Bidder) -> ReplayResult:
    """The blocks are one log, in order; where they are cut makes no difference."""
    account = np.array([episodes.auctions, 0], np.int64)  # as if an episode had just ended
    memory = np.zeros(5)
    parts: list[NDArray[np.int64]] = []
    running = np.zeros(3, np.int64)
    seen = 0
    for block in blocks:
        if not len(block):
            continue
        tally = np.zeros((len(block) // episodes.auctions + 2, 3), np.int64)
        last = bidder.bid(episodes, block, account, memory, tally)
        tally[0] += running
        if seen == 0:
            tally, last = tally[1:], last - 1  # row 0 belongs to an episode that never was
        parts.append(tally[:last].copy())
        running = tally[last].copy()
        seen += len(block)
    if seen:
        parts.append(running[None])
    by_episode = np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)
    assert by_episode[:, COST].max(initial=0) <= episodes.budget, "an episode cost more than its budget"
    return ReplayResult(episodes.budget, seen, by_episode)


@njit()
def _begins(account, auctions, budget):  # type: ignore[no-untyped-def]
    """Whether this auction is the first of an episode; then the budget is renewed."""
    if account[POSITION] < auctions:
        return False
    account[POSITION], account[REMAINING] = 0, budget
    return True


@njit()
def _settled(account, tally, bid, price, click):  # type: ignore[no-untyped-def]
    """What the auction costs: its price where the bid wins, else -1."""
    account[POSITION] += 1
    if bid < price:
        return -1
    account[REMAINING] -= price
    tally[IMPRESSIONS] += 1
    tally[CLICKS] += click
    tally[COST] += price
    return price


@njit(nogil=True)
def _constant(click, price, pctr, auctions, budget, highest, account, tally, cpc):  # type: ignore[no-untyped-def]
    row = 0
    for i in range(len(price)):
        row += _begins(account, auctions, budget)
        most = min(highest, account[REMAINING])
        worth = pctr[i] * cpc
        bid = most if worth >= most else int(worth)  # as min(int(worth), most), without leaving int64
        _settled(account, tally[row], bid, price[i], click[i])
    return row


@njit(nogil=True)
def _by_value(click, price, pctr, auctions, budget, highest, account, tally, left, value, spend, gain, memory):  # type: ignore[no-untyped-def]
    full = float(max(1, budget))
    step, row = len(left) - 1, 0
    factor = memory[0] if memory[0] > 0.0 else 1.0
    for i in range(len(price)):
        if _begins(account, auctions, budget):
            row, step = row + 1, len(left) - 1
        after = auctions - account[POSITION] - 1
        while left[step] > after:
            step -= 1
        remaining = account[REMAINING]
        bid = min(highest, highest_worth(value[step], remaining, full, pctr[i] / factor))
        expected = value_at(spend[step + 1], float(remaining), full)
        paid = _settled(account, tally[row], bid, price[i], click[i])
        factor = moved_worth(factor, max(0, paid), expected, full, gain)
    memory[0] = factor
    return row


@njit(nogil=True)
def _cold(click, price, pctr, auctions, budget, highest, account, tally, gain, memory):  # type: ignore[no-untyped-def]
    row = 0
    every = max(1, auctions // COLD_STEPS)
    if memory[0] <= 0.0:
        memory[0] = 1.0
    for i in range(len(price)):
        if _begins(account, auctions, budget):
            row += 1
            memory[3], memory[4] = 0.0, 0.0
        memory[2] += 1.0
        memory[1] += (pctr[i] - memory[1]) / memory[2]
        # the price is relative: at 1, an auction of mean pctr is bid the mean budget of an auction
        money = memory[0] * memory[1] * auctions / max(1.0, float(budget))
        bid = 0 if pctr[i] <= 0.0 else paced_bid(pctr[i], money, min(highest, account[REMAINING]))
        _settled(account, tally[row], bid, price[i], click[i])
        if account[POSITION] % every == 0:
            spent, share = float(budget - account[REMAINING]), account[POSITION] / auctions
            memory[0] = next_price(memory[0], spent, memory[3], float(budget), share, memory[4], gain, COLD_FLOOR)
            memory[3], memory[4] = spent, share
    return row
