"""The rows and queries of the index benchmarks: clustered vectors, Zipf terms that partly follow the clusters.

256 Gaussian clusters, normalised; about 10.6 distinct terms a row in six fields; clauses that pass about 50, 10, 1 and
.1 % of the rows. Rows come in pieces, each drawn from (seed, number of the piece) alone, so any size is a prefix of any
larger one and no size has to fit in memory; terms do not depend on the dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pyarrow as pa

from gpu_index import Clause

CLUSTERS = 256
SPREAD = 0.7  # length of a cluster's centre against noise of length 1
PIECE = 100_000
SKILLS = 6  # a row's, half of them of its cluster
STREAMS = 9 + SKILLS  # of random numbers, a piece


@dataclass(frozen=True)
class Field:
    """A kind of term: its numbers are first to first + size - 1, and it fills these columns of a row."""

    name: str
    first: int
    size: int
    columns: tuple[int, ...]


GEO = Field("geo", 0, 1_000, (0,))
TITLE = Field("title", 1_000, 8 * CLUSTERS, (1,))
SENIORITY = Field("seniority", 3_048, 6, (2,))
REMOTE = Field("remote", 3_054, 3, (3,))
COMPANY = Field("company", 3_057, 20_000, (4,))
SKILL = Field("skill", 23_057, 16 * CLUSTERS, tuple(range(5, 5 + SKILLS)))
FIELDS = (GEO, TITLE, SENIORITY, REMOTE, COMPANY, SKILL)
TERMS = SKILL.first + SKILL.size
SENIORITY_EDGES = np.cumsum([0.3, 0.25, 0.2, 0.12, 0.08, 0.05])
REMOTE_EDGES = np.cumsum([0.6, 0.25, 0.15])
WORDS = tuple(f"{field.name}={number:05d}" for field in FIELDS for number in range(field.size))


@dataclass(frozen=True)
class Rows:
    """Ids int64[n] ascending, vectors float32[n,d], columns int32[11,n] of term numbers, clusters int64[n]."""

    ids: np.ndarray
    vectors: np.ndarray
    columns: np.ndarray
    clusters: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, which: np.ndarray) -> Rows:
        """The rows of a mask or of positions."""
        return Rows(self.ids[which], self.vectors[which], self.columns[:, which], self.clusters[which])

    def mixed(self, other: Rows, which: np.ndarray) -> Rows:
        """These rows, but where the mask says so with vector and terms of the other's row."""
        vectors = np.where(which[:, None], other.vectors, self.vectors)
        return Rows(self.ids, vectors, np.where(which, other.columns, self.columns), self.clusters)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """(row, term) pairs without repetition, by row, then term: int64[m] positions in this piece, int64[m]."""
        keys = np.sort(self.columns.astype(np.int64) + TERMS * np.arange(len(self)), axis=None)
        keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
        return keys // TERMS, keys % TERMS

    def terms(self) -> pa.ListArray:
        """The bags as list<string>, what an upsert takes."""
        row, term = self.pairs()
        start = np.searchsorted(row, np.arange(len(self) + 1)).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(start), pa.array(WORDS).take(pa.array(term)))


@dataclass(frozen=True)
class World:
    """The endless stream of rows of one seed."""

    dimension: int
    seed: int = 1

    @cached_property
    def centres(self) -> np.ndarray:
        rng = np.random.default_rng((self.seed, self.dimension))
        return rng.standard_normal((CLUSTERS, self.dimension), np.float32)

    def pieces(self, rows: int) -> Iterator[Rows]:
        """Rows 0 to rows - 1 in order, at most PIECE at a time."""
        for first in range(0, rows, PIECE):
            yield self.piece(first // PIECE, min(PIECE, rows - first))

    def piece(self, number: int, size: int = PIECE) -> Rows:
        """The first `size` rows of one piece; every draw has a stream of its own, so that fewer rows are a prefix."""
        streams = iter(np.random.default_rng((self.seed, number)).spawn(STREAMS))

        def ranks(values: int, power: float = 0.0) -> np.ndarray:
            return zipf(next(streams), values, power, size)

        cluster = ranks(CLUSTERS, 0.5)
        columns = np.empty((5 + SKILLS, size), np.int32)
        columns[0] = GEO.first + ranks(GEO.size, 1.0)
        own_title = 8 * cluster + ranks(8, 0.8)
        columns[1] = TITLE.first + np.where(next(streams).random(size) < 0.8, own_title, ranks(TITLE.size))
        columns[2] = SENIORITY.first + drawn(next(streams), SENIORITY_EDGES, size)
        columns[3] = REMOTE.first + drawn(next(streams), REMOTE_EDGES, size)
        columns[4] = COMPANY.first + ranks(COMPANY.size, 0.9)
        for column in SKILL.columns[: SKILLS // 2]:
            columns[column] = SKILL.first + 16 * cluster + ranks(16, 0.8)
        for column in SKILL.columns[SKILLS // 2 :]:
            columns[column] = SKILL.first + ranks(SKILL.size, 1.0)
        noise = next(streams).standard_normal((size, self.dimension), np.float32)
        vectors = SPREAD * self.centres[cluster] + noise  # [size, d]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Rows(np.arange(number * PIECE, number * PIECE + size), vectors, columns, cluster)


def zipf(rng: np.random.Generator, values: int, power: float, count: int) -> np.ndarray:
    """int64[count] ranks 0 to values - 1; rank r is as likely as (r + 1) ** -power."""
    return drawn(rng, _falling(values, power), count)


@cache
def _falling(values: int, power: float) -> np.ndarray:
    weights = np.arange(1, values + 1) ** -power
    return np.cumsum(weights) / weights.sum()


def drawn(rng: np.random.Generator, edges: np.ndarray, count: int) -> np.ndarray:
    """int64[count] positions; `edges` are cumulated probabilities, 1 the last."""
    return np.searchsorted(edges[:-1], rng.random(count), side="right")


@dataclass(frozen=True)
class TermClause:
    """A clause in term numbers: an AND of OR-groups, each within fields, and terms that must be absent."""

    groups: tuple[np.ndarray, ...]
    none_of: np.ndarray

    def named(self) -> Clause:
        """The same clause as the index takes it."""
        return Clause(
            all_of=[[WORDS[term] for term in group] for group in self.groups],
            none_of=[WORDS[term] for term in self.none_of],
        )

    def passes(self, columns: np.ndarray) -> np.ndarray:
        """bool[n]: which rows of int32[11,n] satisfy it, field by field as the clause reads."""
        passed = np.ones(columns.shape[1], bool)
        for group in self.groups:
            passed &= has_any(columns, group)
        return passed & ~has_any(columns, self.none_of)


def has_any(columns: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """bool[n]: whether a row has one of the terms or more."""
    wanted = np.zeros(TERMS, bool)
    wanted[terms] = True
    found = np.zeros(columns.shape[1], bool)
    for field in FIELDS:
        if wanted[field.first : field.first + field.size].any():
            for column in field.columns:
                found |= wanted[columns[column]]
    return found
