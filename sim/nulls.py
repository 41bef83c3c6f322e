"""Worlds and audiences in which knowing the seeker must not pay: what placebos are played on.

A random audience is no fair null of an arm. An arm retrieves sets that belong together (one section, the same few
popular jobs) and reaches some campaigns more often than others, and both change what is sold whether or not the sets
fit. The null of an arm is its own audience, handed to other seekers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.market import Market
from sim.stage import Stage
from targeting.placebo import Placebo

PERMUTED = "graph on permuted hires"  # the placebo arm; never in the table


def shuffled_audience(market: Market, score: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32[n]: every seeker's scores are those of another seeker of the same metro, each used once.

    Kept exactly: the reach of every campaign, the threshold of its liquidity floor, and all sets of campaigns that are
    eligible together with how many seekers have them. Lost: whose they are. Seekers of a metro have the same campaigns
    in reach, so scores change hands as whole rows. A metro of one seeker keeps them.
    """
    start = market.pairs.start
    source = np.arange(len(market.seeker))
    for metro in np.unique(market.metro):
        ring = rng.permutation(np.flatnonzero(market.metro == metro))
        source[ring] = np.roll(ring, 1)  # along one ring nobody gets the own row back
    lengths = np.diff(start)
    assert (lengths[source] == lengths).all(), "seekers of one metro must have the same campaigns in reach"
    offset = np.arange(len(score)) - np.repeat(start[:-1], lengths)
    return np.asarray(score[np.repeat(start[source], lengths) + offset])


def flat_market(market: Market) -> Market:
    """The world without a match: clicks depend on nothing that makes a job fit (grade, wage, level); all else stays."""
    return replace(
        market,
        pairs=replace(market.pairs, click_logit=market.flat_pairs),
        organic=replace(market.organic, click_logit=market.flat_organic),
    )


def permuted_scores(stage: Stage, market: Market, placebo: Placebo) -> np.ndarray:
    """float32[n]: scores of the graph arm if it had learned from shuffled hires.

    Its vectors are not in the index: rows of the graph space belong to the real model, so pairs are scored directly.
    """
    row = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))
    occupation = stage.world.inventory.occupation[market.terms.job[market.pairs.campaign]]
    return np.asarray(placebo.scores(market.examples)[row, occupation])
