"""The planning problem over buckets of time: dayparting, smoothness, guarantees and a frequency cap.

    maximise   sum of value * impressions - penalty * sum of shortfalls
    budget     sum over segments and buckets of cost * impressions <= budget[c]
    supply     sum over campaigns of impressions                   <= supply[s, t]
    smooth     sum over segments of cost * impressions             <= (1 + slack) * share[c, t] * budget[c]
    guarantee  sum over segments and buckets of impressions + shortfall >= guarantee[c]       soft, shortfall >= 0
    frequency  impressions of a pair                               <= frequency_cap * supply[s, t]

A campaign is not shown at all in a bucket in which its share is 0. One bucket makes it a day plan with guarantees and a
frequency cap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from market.errors import PlanError
from targeting.pacing.problem import Floats, Ints, amounts, indices


@dataclass(frozen=True)
class BucketProblem:
    """C campaigns, S segments, P pairs, T buckets. Raises PlanError naming array and index.

    budget float64[C], cost float64[P] in one currency unit; supply float64[S, T]; campaign, segment int64[P]; value
    float64[P, T] expected hires per impression; share float64[C, T] the planned share of each bucket, summing to 1 per
    campaign, or None for no smoothness rows; guarantee float64[C] impressions promised, or None; penalty: hires that an
    impression below the guarantee costs; frequency_cap: the largest share of a supply that a pair may take, in (0, 1].
    """

    budget: Floats
    supply: Floats
    campaign: Ints
    segment: Ints
    value: Floats
    cost: Floats
    share: Floats | None = None
    guarantee: Floats | None = None
    slack: float = 0.25
    penalty: float = 0.0
    frequency_cap: float = 1.0

    def __post_init__(self) -> None:
        budget, cost = amounts("budget", self.budget), amounts("cost", self.cost)
        supply, value = _table("supply", self.supply), _table("value", self.value)
        campaign = indices("campaign", self.campaign, len(budget), "budget")
        segment = indices("segment", self.segment, len(supply), "supply")
        for name, found in (("segment", segment), ("value", value), ("cost", cost)):
            if len(found) != len(campaign):
                raise PlanError(f"{name} has {len(found)} entries, campaign has {len(campaign)}; give one per pair")
        if value.shape[1] != supply.shape[1]:
            raise PlanError(f"value has {value.shape[1]} buckets, supply has {supply.shape[1]}; expected the same")
        for name, found in (("budget", budget), ("supply", supply), ("value", value), ("cost", cost)):
            object.__setattr__(self, name, found)
        object.__setattr__(self, "campaign", campaign)
        object.__setattr__(self, "segment", segment)
        if self.share is not None:
            share = _table("share", self.share)
            if share.shape != (len(budget), supply.shape[1]):
                raise PlanError(f"share has shape {share.shape}; expected ({len(budget)}, {supply.shape[1]})")
            off = np.flatnonzero(~np.isclose(share.sum(axis=1), 1.0, rtol=0, atol=1e-6))
            if len(off):
                raise PlanError(f"share[{off[0]}] sums to {share[off[0]].sum()}; the shares of a campaign sum to 1")
            object.__setattr__(self, "share", share)
        if self.guarantee is not None:
            guarantee = amounts("guarantee", self.guarantee)
            if len(guarantee) != len(budget):
                raise PlanError(f"guarantee has {len(guarantee)} entries, budget has {len(budget)}; give one each")
            object.__setattr__(self, "guarantee", guarantee)
        for name, least in (("slack", 0.0), ("penalty", 0.0)):
            if not least <= getattr(self, name) < math.inf:
                raise PlanError(f"{name} is {getattr(self, name)}; expected a finite number from {least:g}")
        if not 0 < self.frequency_cap <= 1:
            raise PlanError(f"frequency_cap is {self.frequency_cap}; expected a share above 0, up to 1")


def _table(name: str, given: ArrayLike) -> Floats:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{name} is not an array of numbers ({error}); give float64") from None
    if array.ndim != 2:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected two, the second of buckets")
    amounts(name, array.ravel())
    return array
