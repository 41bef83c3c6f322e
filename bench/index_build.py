"""What an index benchmark runs on: the rows in the index and, where wanted, in plain arrays for the others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.index_peers import Postings, installed
from bench.index_queries import Workload
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import Rows, World
from gpu_index import Clause, Index

SPACE = "v"
CHUNK = 10_000  # rows an upsert
WARM_UP_ROWS = 30_000


@dataclass(frozen=True)
class Built:
    """The index over the first N rows of a world.

    vectors         float32[N,d] for the peers, None where they are not wanted
    postings        the terms for the peers, None without pyroaring
    insert_seconds  float64[number of upserts], CHUNK rows each
    """

    index: Index
    vectors: np.ndarray | None
    postings: Postings | None
    insert_seconds: np.ndarray


def build(world: World, size: Size, truths: Sequence[Truth], *, with_peers: bool) -> Built:
    """Fill the index (and arrays for the peers) piece by piece, and show every piece to the truths."""
    began = time.perf_counter()
    index = empty_index(world, size)
    vectors = np.empty((size.rows, world.dimension), np.float32) if with_peers else None
    postings = Postings() if with_peers and installed("pyroaring") else None
    inserted = []
    for piece in world.pieces(size.rows):
        inserted += insert(index, piece)
        for truth in truths:
            truth.add(piece)
        if vectors is not None:
            vectors[piece.ids] = piece.vectors
        if postings is not None:
            postings.add(piece)
    if postings is not None:
        postings.finish()
    say(f"{size.rows:,} rows x {world.dimension} in {time.perf_counter() - began:.0f} s, inserts {sum(inserted):.1f} s")
    return Built(index, vectors, postings, np.array(inserted))


def empty_index(world: World, size: Size) -> Index:
    """An index with one space of the world's dimension."""
    return Index(spaces={SPACE: world.dimension}, device="cpu", precision=size.precision)


def warm_up(size: Size) -> None:
    """Every kind of call on a few rows, so that no timing holds the compiling of a function."""
    for dimension in size.dimensions:
        index, rows = empty_index(World(dimension), size), World(dimension).piece(0, WARM_UP_ROWS)
        insert(index, rows)
        insert(index, rows.only(rows.ids % 2 == 1))
        index.delete(rows.ids[:10])
        clause = rows.terms()[-1].as_py()[0]
        for queries in (rows.vectors[:64], rows.vectors[:1]):
            where = [Clause(all_of=[[clause]])] * len(queries)
            index.search(queries, space=SPACE, k=1, where=where, boosts=[{clause: 1.0}] * len(queries))
            index.search(queries, space=SPACE, k=1)
        index.count(Clause(none_of=[clause]))


def search(index: Index, workload: Workload, k: int, boosts: Sequence[Mapping[str, float]] | None = None) -> np.ndarray:
    """int64[B,k] ids of the whole batch in one call."""
    return index.search(workload.vectors, space=SPACE, k=k, where=workload.where, boosts=boosts).ids


def search_alone(
    index: Index, workload: Workload, k: int, boosts: Sequence[Mapping[str, float]] | None = None
) -> np.ndarray:
    """The same, a call per query."""
    boosts = boosts or [{}] * len(workload)
    return np.concatenate(
        [
            search(index, one, k, [weights] if weights else None)
            for one, weights in zip(workload.alone, boosts, strict=True)
        ]
    )


def insert(index: Index, rows: Rows) -> list[float]:
    """Upsert in chunks; the seconds of each. The lists of terms are made beforehand."""
    terms, seconds = rows.terms(), []
    for begin in range(0, len(rows), CHUNK):
        part = slice(begin, begin + CHUNK)
        start = time.perf_counter()
        index.upsert(rows.ids[part], vectors={SPACE: rows.vectors[part]}, terms=terms[part])
        seconds.append(time.perf_counter() - start)
    return seconds
