"""Organic lists side by side by member split: mechanics of the click model, for what the promoted places stand beside.

Members are split by hash; each part sees its own organic list, all of them the same promoted campaigns in one market.
`text` is the site's list, `popular` orders the jobs in reach by how many people were hired into their occupation,
`random` by chance: a floor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.behaviour import hash_normals
from sim.designs import parts_of
from sim.loop import OrganicLists
from sim.market import Market, build_market
from sim.play import play_market
from sim.stage import Stage
from targeting.pacing.descent import Policy

KINDS = ("text", "popular", "random")


@dataclass(frozen=True)
class OrganicArms:
    """By seeker [S]: original person, part (index of KINDS), visits, organic clicks and qualified applications,
    promoted qualified applications."""

    person: np.ndarray
    part: np.ndarray
    visits: np.ndarray
    clicks: np.ndarray
    qualified: np.ndarray
    promoted_qualified: np.ndarray


def play_organic_arms(
    stage: Stage, market: Market, share: np.ndarray, eligible: np.ndarray, pacing: Policy, auction: str
) -> OrganicArms:
    """One market with the pairs `eligible` bool[n] promoted, its members split between the kinds of organic list."""
    part = parts_of(market.person, len(KINDS), f"organic:{market.config.seed}")
    lists = [market.organic, *(_organic_of(stage, market, kind) for kind in KINDS[1:])]
    mixed = OrganicLists(
        **{
            name: np.stack([getattr(one, name) for one in lists])[part, np.arange(len(part))]
            for name in OrganicLists.__dataclass_fields__
        }
    )
    run = play_market(stage.world.behaviour, share, replace(market, organic=mixed), eligible, pacing, auction)
    visits = np.bincount(market.traffic.seeker, minlength=len(market.seeker))
    clicks, qualified = run.outcome.seeker_organic.T
    return OrganicArms(market.person, part, visits, clicks, qualified, run.outcome.seeker_qualified)


def _organic_of(stage: Stage, market: Market, kind: str) -> OrganicLists:
    """The organic results of every seeker under another order of the jobs in reach."""
    world, jobs, width = stage.world, stage.world.inventory, market.organic.job.shape[1]
    ids = np.full((len(market.seeker), width), -1, np.int64)
    window = jobs.open_between(world.window_day, world.window_day + market.config.days)
    for metro in np.unique(market.metro):
        reach = window[(jobs.metro[window] == metro) | jobs.remote[window]]
        members = np.flatnonzero(market.metro == metro)
        of_pair = np.repeat(market.seeker[members].astype(np.int64), len(reach))
        chance = hash_normals(of_pair, np.tile(reach.astype(np.int64), len(members)), 3_000)
        chance = chance.reshape(len(members), len(reach))
        if kind == "popular":  # ties within an occupation by chance
            chance = stage.learned.hires_by_occupation[jobs.occupation[reach]] + 0.01 * np.tanh(chance)
        best = np.argsort(-chance, axis=1, kind="stable")[:, :width]
        ids[members, : best.shape[1]] = reach[best]
    # two campaigns: nothing but the organic lists of this market is looked at
    small = replace(market.config, campaigns=2)
    return build_market(world, stage.learned, small, ids, market.seeker).organic
