"""Queries of the index benchmarks: a vector near a row's, and a clause of its own that passes a wanted share of rows.

A clause asks for what the row has and for some other values beside it. It is kept when between .6 and 1.6 times the
wanted share of a sample of the rows satisfies it; a query that fails is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.index_world import COMPANY, GEO, PIECE, REMOTE, SENIORITY, SKILL, TITLE, Rows, TermClause, World, zipf
from gpu_index import Clause
from market.errors import ConfigError

PASS_RATES = (0.5, 0.1, 0.01, 0.001)
LOWEST, HIGHEST = 0.6, 1.6  # times the wanted share
TRIES = 5_000
NOISE = 0.5  # length of what is added to the row's vector


@dataclass(frozen=True)
class Workload:
    """A batch of queries: vectors float32[B,d] of norm 1, a clause each, and the share of rows wanted to pass."""

    pass_rate: float
    vectors: np.ndarray
    clauses: tuple[TermClause, ...]

    def __len__(self) -> int:
        return len(self.clauses)

    @cached_property
    def where(self) -> list[Clause]:
        """The clauses as the index takes them."""
        return [clause.named() for clause in self.clauses]

    @cached_property
    def alone(self) -> list[Workload]:
        """Each query as a batch of its own."""
        rows = range(len(self))
        return [Workload(self.pass_rate, self.vectors[i : i + 1], self.clauses[i : i + 1]) for i in rows]


def workloads(world: World, rows: int, batch: int, rates: Sequence[float] = PASS_RATES) -> list[Workload]:
    """One batch per pass rate, the same for every number of rows of a piece or more."""
    sample = world.piece(0, min(rows, PIECE))
    return [
        workload(sample, rate, batch, np.random.default_rng((world.seed, number))) for number, rate in enumerate(rates)
    ]


def workload(sample: Rows, rate: float, batch: int, rng: np.random.Generator) -> Workload:
    """`batch` queries whose clauses pass about `rate` of the sample."""
    vectors, clauses = [], []
    for _ in range(TRIES):
        row = int(rng.integers(len(sample)))
        clause = _clause(sample.columns[:, row], int(sample.clusters[row]), rate, rng)
        if LOWEST * rate <= clause.passes(sample.columns).mean() <= HIGHEST * rate:
            vectors.append(near(sample.vectors[row], rng))
            clauses.append(clause)
            if len(clauses) == batch:
                return Workload(rate, np.stack(vectors), tuple(clauses))
    raise ConfigError(f"{TRIES} tries gave {len(clauses)} of {batch} clauses that pass {rate:.2%}; use more rows")


def near(vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The vector with noise, normalised."""
    moved = vector + NOISE / np.sqrt(len(vector)) * rng.standard_normal(len(vector))
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def _clause(bag: np.ndarray, cluster: int, rate: float, rng: np.random.Generator) -> TermClause:
    """Loose clauses ask for seniority and remote work, tighter ones for places, titles and skills."""
    if rate >= 0.3:
        groups = [_levels(rng, 3), _remote(rng)] if rng.random() < 0.5 else [_levels(rng, int(rng.integers(2, 4)))]
    elif rate >= 0.03:
        groups = [_places(bag, rng, rng.integers(3, 12)), _levels(rng, 2)]
    elif rate >= 0.003:
        groups = [
            _places(bag, rng, rng.integers(4, 14)),
            np.concatenate([_titles(bag, cluster, rng, 4), _skills(bag, rng, 4)]),
        ]
    else:
        groups = [_places(bag, rng, rng.integers(2, 8)), _titles(bag, cluster, rng, 4), _levels(rng, 3)]
    return TermClause(tuple(groups), np.unique(COMPANY.first + zipf(rng, COMPANY.size, 0.9, 2)))


def _levels(rng: np.random.Generator, count: int) -> np.ndarray:
    return SENIORITY.first + np.sort(rng.choice(SENIORITY.size, count, replace=False))


def _remote(rng: np.random.Generator) -> np.ndarray:
    return REMOTE.first + np.sort(rng.choice(REMOTE.size, 2, replace=False))


def _places(bag: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    return np.unique(np.append(GEO.first + zipf(rng, GEO.size, 1.0, count), bag[0]))


def _titles(bag: np.ndarray, cluster: int, rng: np.random.Generator, count: int) -> np.ndarray:
    return np.unique(np.append(TITLE.first + 8 * cluster + rng.integers(0, 8, count), bag[1]))


def _skills(bag: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    return np.unique(np.append(SKILL.first + zipf(rng, SKILL.size, 1.0, count), bag[list(SKILL.columns)]))
