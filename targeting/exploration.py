"""Leaving a small, known share of promoted slots to chance, so that other policies can be judged from the logs.

The auction has filled slots 0..S-1 with `winners`. Then, with every draw independent of all others:

    lot    each slot is given away by lot with chance `explore`: it goes to one of the m `others`, all equally likely,
           none to two slots. Where m < S only the first m slots can be given away.
    swap   with chance `swap` two neighbouring slots, all S - 1 pairs equally likely, change what they hold.

So the propensity, the chance that candidate c ends up in slot j, is exact and small arithmetic:

    base_j(c) = 1 - e_j for the winner of j, e_j / m for each of the others, else 0;  e_j = explore for j < min(S, m)
    P_j(c)    = sum_k W[j, k] base_k(c);  W[j, j +- 1] = swap / (S - 1), W[j, j] = 1 - the rest of the row

For every slot these sum to 1 over the candidates. The swaps are what tells a good place from a good job.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from targeting.campaigns import Campaign
from targeting.ledger import KAPPA

Chance = Callable[[], float]  # uniform in [0, 1), independent calls


@dataclass(frozen=True)
class Placed:
    """What one slot holds: candidate; the slot it was won for or drawn into, before a swap; its propensity."""

    candidate: int
    won: int
    propensity: float
    explored: bool
    swapped: bool


@dataclass(frozen=True)
class Lottery:
    """One request's slots; winners are distinct and not among others."""

    winners: Sequence[int]
    others: Sequence[int]
    explore: float
    swap: float

    def draw(self, chance: Chance) -> list[Placed]:
        """What is shown, slot by slot."""
        held, explored, left = list(self.winners), [False] * len(self.winners), list(self.others)
        won = list(range(len(held)))
        for slot in range(self._open):
            if chance() < self.explore:
                at = int(chance() * len(left))
                held[slot], explored[slot] = left[at], True
                left[at] = left[-1]
                left.pop()
        if len(held) > 1 and chance() < self.swap:
            pair = int(chance() * (len(held) - 1))
            for row in (held, won):
                row[pair : pair + 2] = row[pair : pair + 2][::-1]
            explored[pair : pair + 2] = explored[pair : pair + 2][::-1]
        return [
            Placed(held[slot], won[slot], self.propensity(slot, held[slot]), explored[slot], won[slot] != slot)
            for slot in range(len(held))
        ]

    def propensity(self, slot: int, candidate: int) -> float:
        """P(candidate is shown in slot)."""
        size = len(self.winners)
        if size < 2:
            return self._base(slot, candidate)
        step = self.swap / (size - 1)
        beside = [other for other in (slot - 1, slot + 1) if 0 <= other < size]
        found = (1 - step * len(beside)) * self._base(slot, candidate)
        return found + step * sum(self._base(other, candidate) for other in beside)

    @property
    def _open(self) -> int:
        """How many slots can be given away by lot."""
        return min(len(self.winners), len(self.others))

    def _base(self, slot: int, candidate: int) -> float:
        given_away = self.explore if slot < self._open else 0.0
        if self.winners[slot] == candidate:
            return 1 - given_away
        return given_away / len(self.others) if given_away and candidate in self.others else 0.0


class ExplorationBudget:
    """How much impressions by lot have reserved of each campaign's day, in this process since it was started.

    Every draw counts the moment it is made, with the reserve the ledger will hold, whether or not the slate is served:
    the share may be used up early, never exceeded. A campaign without a daily budget has its total instead.
    """

    def __init__(self, share: float, kappa: float = KAPPA) -> None:
        self._share, self._kappa = share, kappa
        self._used: dict[str, tuple[str, int]] = {}  # campaign id -> (day, micros)
        self.lock = threading.Lock()  # held from the first `fits` to the last `take` of a request

    def fits(self, campaign: Campaign, day: str, p_click: float, price_micros: int) -> bool:
        allowed = int(self._share * (campaign.budget.daily or campaign.budget.total).amount_micros)
        return self._spent(campaign.campaign_id, day) + self._held(p_click, price_micros) <= allowed

    def take(self, campaign: Campaign, day: str, p_click: float, price_micros: int) -> None:
        spent = self._spent(campaign.campaign_id, day)
        self._used[campaign.campaign_id] = day, spent + self._held(p_click, price_micros)

    def _spent(self, campaign_id: str, day: str) -> int:
        on, micros = self._used.get(campaign_id, (day, 0))
        return micros if on == day else 0

    def _held(self, p_click: float, price_micros: int) -> int:
        return max(1, min(price_micros, math.ceil(self._kappa * p_click * price_micros)))
