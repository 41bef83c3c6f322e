"""The planning problem of a day: campaigns, segments, and the pairs of them that may meet.

A pair can get no more impressions than its segment has visits, and no more than its campaign could pay for:

    reach = min(supply of the segment, budget / cost)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.errors import PlanError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class PlanProblem:
    """Campaigns, segments and the pairs of them that may meet; C, S and P of each.

    budget float64[C] and cost float64[P] are in one currency unit, supply float64[S] in impressions, value float64[P]
    in expected hires per impression; campaign, segment int64[P] say which budget and which supply a pair draws on.
    Zero is legal everywhere; a pair that is given twice is two variables. Raises PlanError naming array and index.
    """

    budget: Floats
    supply: Floats
    campaign: Ints
    segment: Ints
    value: Floats
    cost: Floats

    def __post_init__(self) -> None:
        for name in ("budget", "supply", "value", "cost"):
            object.__setattr__(self, name, amounts(name, getattr(self, name)))
        object.__setattr__(self, "campaign", indices("campaign", self.campaign, len(self.budget), "budget"))
        object.__setattr__(self, "segment", indices("segment", self.segment, len(self.supply), "supply"))
        for name in ("segment", "value", "cost"):
            if len(getattr(self, name)) != len(self.campaign):
                raise PlanError(
                    f"{name} has {len(getattr(self, name))} entries, campaign has {len(self.campaign)}; "
                    "campaign, segment, value and cost need one entry per pair"
                )


@dataclass(frozen=True)
class Reach:
    """The most that each pair could get.

    by_budget float64[P]: impressions its campaign alone could pay for, infinite for a free pair; most float64[P]: the
    reach; gain float64[P]: its expected hires; useful int64[U]: the pairs that can bring a hire at all.
    """

    by_budget: Floats
    most: Floats
    gain: Floats
    useful: Ints


def reach_of(problem: PlanProblem) -> Reach:
    """PlanError if the hires of a pair, or of all pairs together, overflow."""
    with np.errstate(over="ignore", under="ignore"):
        by_budget = np.full(len(problem.cost), np.inf)  # a free pair is limited by supply alone
        np.divide(problem.budget[problem.campaign], problem.cost, out=by_budget, where=problem.cost > 0)
        most = np.minimum(problem.supply[problem.segment], by_budget)
        gain = problem.value * most
        if not math.isfinite(float(gain.sum())):
            worst = int(np.argmax(gain))
            raise PlanError(f"value[{worst}] is {problem.value[worst]}; times {most[worst]} impressions it overflows")
    return Reach(by_budget, most, gain, np.flatnonzero(gain > 0))


def amounts(name: str, given: ArrayLike) -> Floats:
    """The array as float64, checked: one dimension, finite, none negative."""
    try:
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{name} is not an array of numbers ({error}); give float64") from None
    if array.ndim != 1:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected one")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise PlanError(f"{name}[{bad[0]}] is {array[bad[0]]}; expected a finite number from 0")
    return array


def indices(name: str, given: ArrayLike, size: int, target: str) -> Ints:
    """The array as int64, checked: one dimension, each from 0 to size - 1."""
    array = np.asarray(given)
    if array.ndim != 1:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected one")
    if array.size and array.dtype.kind not in "iu":
        raise PlanError(f"{name}[0] is {array[0]!r} in an array of {array.dtype}; expected int64 indices of {target}")
    bad = np.flatnonzero((array < 0) | (array >= size))
    if len(bad):
        raise PlanError(f"{name}[{bad[0]}] is {array[bad[0]]}; expected an index of {target}, 0 to {size - 1}")
    return array.astype(np.int64)
