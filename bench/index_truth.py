"""The right answers of the index benchmarks by brute force in float64, one piece of rows after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.index_queries import Workload
from bench.index_world import Rows, has_any


class Truth:
    """The k best rows of every query of a batch among the rows added so far.

    score = <query, vector> + weights of the boosted terms, in float64, rounded once to float32; best first, ties by
    smaller id. `boosts` are {term number: weight} per query.
    """

    def __init__(self, workload: Workload, k: int, boosts: Sequence[Mapping[int, float]] | None = None) -> None:
        self.workload, self.k = workload, k
        self.rows = 0
        self.matches = np.zeros(len(workload), np.int64)
        self._boosts = boosts or [{}] * len(workload)
        self._best = [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in range(len(workload))]

    def add(self, piece: Rows) -> None:
        """Rows with ids larger than those before, or any others."""
        products = self.workload.vectors.astype(np.float64) @ piece.vectors.T.astype(np.float64)  # [B, n]
        for query, clause in enumerate(self.workload.clauses):
            passed = np.flatnonzero(clause.passes(piece.columns))
            score = products[query, passed]
            for term, weight in self._boosts[query].items():
                score += weight * has_any(piece.columns[:, passed], np.array([term]))
            scores, ids = self._best[query]
            scores = np.concatenate([scores, score.astype(np.float32)])
            ids = np.concatenate([ids, piece.ids[passed]])
            if len(scores) > self.k:  # everything that ties with the k-th stays for the sort
                chosen = np.flatnonzero(scores >= np.partition(scores, -self.k)[-self.k])
                scores, ids = scores[chosen], ids[chosen]
            order = np.lexsort((ids, -scores))[: self.k]
            self._best[query] = scores[order], ids[order]
            self.matches[query] += len(passed)
        self.rows += len(piece)

    @property
    def pass_rate(self) -> float:
        """The share of rows that a clause passed, on average."""
        return float(self.matches.mean() / self.rows)

    def recall(self, found: np.ndarray) -> float:
        """Share of the right rows among int64[B,k] found ids (-1 is padding); mean over the queries that have any."""
        right = [ids for _, ids in self._best]
        shares = [len(np.intersect1d(mine, ids)) / len(ids) for mine, ids in zip(found, right, strict=True) if len(ids)]
        return float(np.mean(shares)) if shares else 1.0
