"""Policies for the promoted slots of a request: who is ranked how, how much is left to chance.

A policy is written as its ranker and its settings, `bid` or `value,exploration=0.1,swap=0.05,theta=0.1`:

    ranker       bid     bid * P(click), the auction that serving holds
                 value   expected qualified applications of an impression, P(click) * value of a click
                 clicks  P(click) alone
    exploration, swap    as in `targeting.exploration.Lottery`; 0 where not given
    theta                only the best share theta of the campaigns in reach take part; all logged ones where not given

The ranking is serving's auction and the chances are serving's lottery, so a probability computed here is the one that
serving would have logged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from market.errors import ConfigError
from targeting.audience import Liquidity
from targeting.exploration import Lottery
from targeting.selling import RESERVE_MICROS, Auction

Ranker = Literal["bid", "value", "clicks"]
VALUE_SCALE = 1e12  # expected qualified applications of a click as an integer bid; below 1e-7 all count alike


@dataclass(frozen=True)
class Choices:
    """What one request could have shown: bid int64[n] micros, p_click float64[n] at the top, value float64[n] expected
    qualified applications of a click, score float64[n] of the retrieval, lot bool[n]: may be drawn by lot.

    in_reach: live campaigns the retrieval chose from, of which these n were the best.
    """

    bid: np.ndarray
    p_click: np.ndarray
    value: np.ndarray
    score: np.ndarray
    lot: np.ndarray
    in_reach: int

    def __len__(self) -> int:
        return len(self.bid)


@dataclass(frozen=True)
class SlatePolicy:
    ranker: Ranker = "bid"
    exploration: float = 0.0
    swap: float = 0.0
    theta: float | None = None

    def __post_init__(self) -> None:
        if self.ranker not in get_args(Ranker):
            raise ConfigError(f"policy {self.ranker!r} is unknown; begin with one of {', '.join(get_args(Ranker))}")
        for name in ("exploration", "swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} of a policy is {getattr(self, name)}, expected a chance from 0 to 1")
        if self.theta is not None and not 0 < self.theta <= 1:
            raise ConfigError(f"theta of a policy is {self.theta}, expected above 0 up to 1")

    @classmethod
    def parse(cls, text: str) -> SlatePolicy:
        """From `RANKER[,exploration=E][,swap=S][,theta=T]`; ConfigError says what is wrong with it."""
        ranker, *settings = (part.strip() for part in text.split(","))
        given: dict[str, float] = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if name not in ("exploration", "swap", "theta") or name in given or math.isnan(number):
                raise ConfigError(
                    f"policy {text!r} has the setting {setting!r}; expected exploration=, swap= or theta= once each, "
                    "with a number"
                )
            given[name] = number
        return cls(ranker, **given)  # type: ignore[arg-type]

    def __str__(self) -> str:
        shares = [f"{name}={getattr(self, name):g}" for name in ("exploration", "swap") if getattr(self, name)]
        return ",".join([self.ranker, *shares, *([] if self.theta is None else [f"theta={self.theta:g}"])])

    def auction(self, choices: Choices, slots: int) -> Auction:
        """Serving's auction, held with this ranker's bids; a bid below the reserve takes no part under any."""
        able = choices.bid >= RESERVE_MICROS
        if self.theta is not None:
            able = able & self._retrieved(choices)
        if self.ranker == "bid":
            bid = choices.bid
        elif self.ranker == "value":
            bid = np.maximum(np.round(choices.value * VALUE_SCALE), RESERVE_MICROS).astype(np.int64)
        else:
            bid = np.full(len(choices), RESERVE_MICROS, np.int64)
        return Auction.of(np.where(able, bid, 0), choices.p_click, slots)

    def lottery(self, choices: Choices, slots: int) -> Lottery:
        """What may be shown in up to `slots` slots, candidates called by their row."""
        auction = self.auction(choices, slots)
        winners = auction.winner[: auction.sold].tolist()
        open_to_lot = np.flatnonzero((auction.bid > 0) & choices.lot).tolist() if self.exploration else []
        won = set(winners)
        return Lottery(winners, [row for row in open_to_lot if row not in won], self.exploration, self.swap)

    def _retrieved(self, choices: Choices) -> np.ndarray:
        """bool[n]: the best share theta of what was in reach; ties go to the earlier row."""
        assert self.theta is not None
        seats = Liquidity(self.theta).seats(choices.in_reach)
        if seats > len(choices):
            raise ConfigError(
                f"theta {self.theta:g} wants {seats} of {choices.in_reach} campaigns in reach, the log holds "
                f"{len(choices)}; judge a theta no larger than the one that was served"
            )
        found = np.zeros(len(choices), bool)
        found[np.argsort(-choices.score, kind="stable")[:seats]] = True
        return found


def slot_chances(lottery: Lottery, candidates: int) -> np.ndarray:
    """float64[slots, candidates]: P(candidate is shown in slot); every row sums to 1."""
    found = np.zeros((len(lottery.winners), candidates))
    chances = _chances_by_rank(len(lottery.winners), len(lottery.others), lottery.explore, lottery.swap)
    found[:, list(lottery.winners)] = chances[:, :-1]
    found[:, list(lottery.others)] = chances[:, -1:]
    return found


@lru_cache(maxsize=4096)
def _chances_by_rank(slots: int, others: int, explore: float, swap: float) -> np.ndarray:
    """float64[slots, slots + 1]: of the winner of each slot, and last of any one that comes in by lot: the lottery
    knows its candidates by these ranks only, so the same numbers serve every request of this shape."""
    lottery = Lottery(range(slots), range(slots, slots + others), explore, swap)
    rows = [[lottery.propensity(slot, row) for row in range(slots + 1)] for slot in range(slots)]
    return np.array(rows, float).reshape(slots, slots + 1)
