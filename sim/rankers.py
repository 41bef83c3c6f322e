"""The other axis of the 2 x 2: what ranks the campaigns that were retrieved, and whether a plan starts the prices.

`learned` is the product's response model. `attribute` knows of a pair only whether the job is in the seeker's present
occupation, in its section or neither, and answers the mean of the learned estimates in that class: calibrated, but
blind to everything else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from sim.market import Market
from sim.world import World

Ranker = Literal["learned", "attribute"]
CROSSED = ("attribute", "graph")  # the retrievals of the 2 x 2
OTHER, SAME_SECTION, SAME_OCCUPATION = 0, 1, 2


def ranked_by_attribute(market: Market, world: World) -> Market:
    """The market with estimates of P(click) and value per click pooled by what a pair shares; the truth stays."""
    section, pairs = world.careers.taxonomy.section, market.pairs
    current = np.repeat(market.examples.current, np.diff(pairs.start))
    occupation = world.inventory.occupation[market.terms.job[pairs.campaign]]
    kind = np.where(current == occupation, SAME_OCCUPATION, (section[current] == section[occupation]).astype(int))
    count = np.maximum(np.bincount(kind, minlength=3), 1)
    p_click = pairs.p_click.astype(np.float64)
    chance = np.bincount(kind, p_click, minlength=3)
    value = np.bincount(kind, p_click * pairs.value_per_click, minlength=3) / np.maximum(chance, 1e-30)
    pooled = replace(
        pairs,
        p_click=(chance / count)[kind].astype(pairs.p_click.dtype),
        value_per_click=value[kind].astype(pairs.value_per_click.dtype),
    )
    return replace(market, pairs=pooled)
