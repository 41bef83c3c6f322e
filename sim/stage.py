"""The stage every market is played on: world, what was learned, the index, text vectors of vacancies and seekers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from gpu_index import Index
from market.records import Job, SeekerProfile
from market.text import TextVectors
from organic.towers import Request, TextTowers
from sim.market import Market, MarketConfig, active_seekers, build_market, inventory_index, organic_lists
from sim.world import World
from targeting.learned import Learned
from targeting.placebo import Placebo

SHOWN_TITLES = 3  # newest titles of a profile that a request carries


@dataclass(frozen=True)
class Stage:
    """`request_vectors` maps rows of world.lives to float32[n, d]; None: a stage without organic results.

    `permuted` are placebos, each from another shuffle of the hires.
    """

    world: World
    learned: Learned
    index: Index
    job_vectors: np.ndarray | None
    request_vectors: Callable[[np.ndarray], np.ndarray] | None
    permuted: tuple[Placebo, ...] = ()

    def market(self, config: MarketConfig) -> Market:
        seekers = active_seekers(self.world, config.fold)
        ids = None
        if self.request_vectors is not None:
            requests = self.request_vectors(seekers)
            ids = organic_lists(self.index, self.world, seekers, requests, config)
        return build_market(self.world, self.learned, config, ids, seekers)


def build_stage(
    world: World, learned: Learned, encoder: TextVectors | None, permuted: tuple[Placebo, ...] = ()
) -> Stage:
    """Encode the window's vacancies and index them; without an encoder there are no organic results."""
    if encoder is None:
        return Stage(world, learned, inventory_index(world, learned, None), None, None, permuted)
    towers = TextTowers(encoder)
    vectors = towers.job_vectors(inventory_jobs(world))
    requests = partial(_request_vectors, world, towers)
    return Stage(world, learned, inventory_index(world, learned, vectors), vectors, requests, permuted)


def inventory_jobs(world: World) -> list[Job]:
    """The window's vacancies as records, in the order of their rows."""
    jobs, taxonomy = world.inventory, world.careers.taxonomy
    return [
        Job(
            job_id=f"w{j}",
            account_id=f"acc-{jobs.employer[j]}",
            title=world.title(jobs, j),
            company=f"Employer {jobs.employer[j]}",
            description=world.facts.descriptions[jobs.occupation[j]],
            geo=world.metros.ids[jobs.metro[j]],
            occupation=taxonomy.codes[jobs.occupation[j]],
            remote=bool(jobs.remote[j]),
            wage=round(float(jobs.wage[j]), 2),
        )
        for j in range(len(jobs))
    ]


def profile(world: World, seeker: int, start: np.ndarray, end: np.ndarray) -> SeekerProfile:
    """What the site knows of a seeker when the window opens, newest title first."""
    held = world.lives.occupation[start[seeker] : end[seeker]][::-1][:SHOWN_TITLES]
    return SeekerProfile(
        seeker_id=world.seeker_id(seeker),
        titles=tuple(world.facts.titles[o][0] for o in held),
        geo=world.metros.ids[world.lives.metro[seeker]],
    )


def _request_vectors(world: World, towers: TextTowers, seekers: np.ndarray) -> np.ndarray:
    """float32[n, d]; copies of a person ask alike, so each set of titles is computed once."""
    start, end, _ = world.lives.known_at(world.window_day)
    profiles = [profile(world, int(seeker), start, end) for seeker in seekers]
    distinct = {found.titles: number for number, found in enumerate(profiles)}
    rows = {titles: row for row, titles in enumerate(distinct)}
    vectors = towers.request_vectors([Request(profiles[number]) for number in distinct.values()])
    return vectors[[rows[found.titles] for found in profiles]]
