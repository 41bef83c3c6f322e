"""Pairs without hire: where they come from and how many stand against a hire.

A link is kept when it has at least as many hires as pairs without, so this choice decides what survives; it is made
before anything is counted, and named in every link set. Sources, in the order of the setting until the ratio is met:

    applications   applied, and the whole attribution window passed without hire
    impressions    shown and not applied
    sampled        the seeker of a hire and a job at random, as often for every hire
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graph.linking.pairs import HIRE, LinkPairs
from market.errors import ConfigError, DataError

APPLICATIONS, IMPRESSIONS = "applications", "impressions"
OBSERVED = (APPLICATIONS, IMPRESSIONS)
SAMPLED = "sampled"
SOURCES = (*OBSERVED, SAMPLED)


@dataclass(frozen=True)
class NoHireConfig:
    """per_hire: pairs without hire for one with; observed_per_hire: of them at most so many that really happened."""

    per_hire: float = 5.0
    sources: tuple[str, ...] = SOURCES
    observed_per_hire: float = np.inf

    def __post_init__(self) -> None:
        if not 0 < self.per_hire < np.inf:
            raise ConfigError(f"per_hire is {self.per_hire}, expected a finite number above 0")
        if not self.observed_per_hire >= 0:
            raise ConfigError(f"observed_per_hire is {self.observed_per_hire}, expected 0 or more")
        unknown = set(self.sources) - set(SOURCES)
        if unknown or not self.sources or len(set(self.sources)) < len(self.sources):
            raise ConfigError(f"sources are {self.sources}, expected some of {', '.join(SOURCES)}, each once")


@dataclass(frozen=True)
class Chosen:
    """rows: per observed source the positions chosen among those on offer, ascending; sampled int64[m]: for each pair
    to draw the hire whose seeker it is about; weight: of each such pair, so that all weigh as much as all hires."""

    rows: Mapping[str, np.ndarray]
    sampled: np.ndarray
    weight: float
    words: str


def choose_no_hires(hires: int, offered: Mapping[str, int], config: NoHireConfig, rng: np.random.Generator) -> Chosen:
    """Choose from what is on offer (observed pairs a source), in the order of the setting, until the ratio is met."""
    wanted = max(1, round(config.per_hire * hires))
    observed = min(wanted, config.observed_per_hire * hires)
    rows: dict[str, np.ndarray] = {}
    drawn, sampled = 0, np.zeros(0, np.int64)
    for source in config.sources:
        if source == SAMPLED:
            count = wanted - drawn
            sampled = np.repeat(np.arange(hires), count // hires)
            sampled = np.sort(np.concatenate([sampled, rng.choice(hires, count % hires, replace=False)]))
            drawn += count
            continue
        there = offered.get(source, 0)
        take = int(min(there, wanted - drawn, observed - sum(map(len, rows.values()))))
        rows[source] = np.sort(rng.choice(there, take, replace=False)) if take < there else np.arange(there)
        drawn += take
    if drawn == 0:
        raise DataError(
            "pairs without hire", f"none in {', '.join(config.sources)}", f"add the source {SAMPLED!r} or more logs"
        )
    parts = [f"{name} {len(found) / hires:.3g}" for name, found in rows.items() if len(found)]
    parts += [f"{SAMPLED} {len(sampled) / hires:.3g}"] if len(sampled) else []
    weight = hires / drawn
    words = f"{', '.join(parts)} a hire; each counts {weight:.3g}"
    return Chosen(rows, sampled, weight, words)


def with_no_hires(
    pairs: LinkPairs, config: NoHireConfig, rng: np.random.Generator, share: np.ndarray | None = None
) -> tuple[LinkPairs, str]:
    """The hires of `pairs` with chosen and drawn pairs without hire, and in words where these came from.

    Pairs without hire in `pairs` are on offer under their source. share float[jobs]: how likely each row of jobs is
    drawn; all alike by default. A drawn job may be the one hired into: nobody knows which others would not have hired.
    """
    hired = np.flatnonzero(pairs.hired)
    if not len(hired):
        raise DataError("hires", "no hire to learn links from", "confirm hires first")
    offered = {
        name: np.flatnonzero(pairs.source == pairs.sources.index(name)) for name in OBSERVED if name in pairs.sources
    }
    chosen = choose_no_hires(len(hired), {name: len(rows) for name, rows in offered.items()}, config, rng)
    observed = np.concatenate([hired[:0], *(offered[name][rows] for name, rows in chosen.rows.items() if len(rows))])
    drawn = draw_jobs(len(chosen.sampled), len(pairs.jobs), share, rng)
    sources = (*chosen.rows, SAMPLED)
    number = np.array([sources.index(name) if name in sources else HIRE for name in pairs.sources], np.int8)
    source = [np.full(len(hired), HIRE), number[pairs.source[observed]], np.full(len(drawn), len(sources) - 1)]
    rows = np.concatenate([hired, observed])
    against = len(observed) + len(drawn)
    return (
        LinkPairs(
            *(pairs.seeker_words, pairs.job_words, pairs.seekers, pairs.jobs),
            np.concatenate([pairs.seeker[rows], pairs.seeker[hired[chosen.sampled]]]),
            np.concatenate([pairs.job[rows], drawn]),
            np.concatenate([np.ones(len(hired), bool), np.zeros(against, bool)]),
            np.concatenate([np.ones(len(hired)), np.full(against, chosen.weight)]),
            np.concatenate(source).astype(np.int8),
            sources,
        ),
        chosen.words,
    )


def draw_jobs(count: int, jobs: int, share: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """int32[count]: rows of jobs at random, by share (any scale, 0 or more)."""
    if share is None:
        return rng.integers(jobs, size=count).astype(np.int32)
    share = np.asarray(share, float)
    if len(share) != jobs or not (np.isfinite(share).all() and (share >= 0).all() and share.sum() > 0):
        raise DataError("open jobs", "shares are missing, negative or all 0", "give one share of 0 or more a job")
    return rng.choice(jobs, count, p=share / share.sum()).astype(np.int32)
