"""One arm of the first market once more, for what is asked pair by pair and too large to keep of every run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arms import arm_scores, mark_live
from sim.experiment import Results
from sim.market import Market
from sim.play import Audience, Run, play_market
from sim.stage import Stage


@dataclass(frozen=True)
class SecondLook:
    """eligible bool[n]: pairs that may be shown; times int64[n]: how often they were. The run is the same, bit for bit,
    as the full market's that was played."""

    market: Market
    eligible: np.ndarray
    times: np.ndarray
    run: Run


def second_look(stage: Stage, results: Results, arm: str) -> SecondLook:
    """The arm at the table's settings in the full first market. Marks that market's campaigns in the stage's index."""
    config, market = results.config, results.markets[0]
    mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
    score = arm_scores(arm, stage.world, market, stage.learned, stage.index, results.scheme)
    eligible = Audience.of(market, score, config.phi, arm == "all").eligible(market, config.theta)
    times = np.zeros(len(eligible), np.int64)
    run = play_market(
        stage.world.behaviour, results.share, market, eligible, config.pacing, config.auction, arm, config.theta, times
    )
    return SecondLook(market, eligible, times, run)


def by_section(stage: Stage, look: SecondLook) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """(names of the s job sections, int64[p] original persons of the market, int64[s, p] campaigns in each person's
    reach, int64[s, p] impressions); copies of a person count as that person."""
    market, taxonomy = look.market, stage.world.careers.taxonomy
    person, of_seeker = np.unique(market.person, return_inverse=True)
    of_pair = np.repeat(of_seeker, np.diff(market.pairs.start))
    occupation = stage.world.inventory.occupation[market.terms.job[market.pairs.campaign]]
    sections = len(taxonomy.section_names)
    cell = taxonomy.section[occupation].astype(np.int64) * len(person) + of_pair
    reach, shown = (
        np.bincount(cell, weight, minlength=sections * len(person)).astype(np.int64).reshape(sections, -1)
        for weight in (None, look.times)
    )
    return tuple(taxonomy.section_names), person, reach, shown
