"""Exact search of the index in which no employer has more than its share of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from gpu_index import Clause, Index
from organic.rows import JobBook

SPACE = "organic"


@dataclass(frozen=True)
class Asked:
    """One question, ready for the index: vector float32[d], what must hold, and what adds to the score."""

    vector: np.ndarray
    clause: Clause
    boosts: dict[str, float]


@dataclass(frozen=True)
class CappedSearch:
    """The k best rows that still exist, are open at `now`, and are at most per_employer (None: any number) of one
    employer. One search of overfetch * k rows; only when the cap leaves fewer than k, another one four times as deep.
    """

    book: JobBook
    per_employer: int | None
    overfetch: int

    def __call__(
        self, index: Index, asked: Sequence[Asked], k: int, now: datetime | None, at_least: int = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """-> (rows int64[B, k] padded with -1, scores float32[B, k] padded with -inf, fetched int64[n]).

        fetched: the rows found for the first question before the cap, at least at_least of them where so many match.
        """
        rows = np.full((len(asked), k), -1, np.int64)
        scores = np.full((len(asked), k), -np.inf, np.float32)
        inventory = max(1, len(index))
        fetch = min(inventory, max(k * self.overfetch, at_least))
        pending, fetched = list(range(len(asked))), np.empty(0, np.int64)
        while pending:
            hits = index.search(
                np.stack([asked[at].vector for at in pending]),
                space=SPACE,
                k=fetch,
                where=[asked[at].clause for at in pending],
                boosts=[asked[at].boosts for at in pending],
            )
            unfinished = []
            for at, found, values in zip(pending, hits.ids, hits.scores, strict=True):
                kept = self._allowed(found, k, now)
                rows[at, : len(kept)], scores[at, : len(kept)] = found[kept], values[kept]
                if at == 0:
                    fetched = found[found >= 0]
                if len(kept) < k and found[-1] >= 0 and fetch < inventory:
                    unfinished.append(at)
            # rare: one employer fills everything that was fetched; look deeper for these questions only
            pending, fetch = unfinished, min(inventory, 4 * fetch)
        return rows, scores, fetched

    def _allowed(self, found: np.ndarray, k: int, now: datetime | None) -> list[int]:
        """Positions of the first k rows that may be shown."""
        shown: dict[str, int] = {}
        kept: list[int] = []
        for position, row in enumerate(found.tolist()):
            job = self.book.job(row)
            if job is None or (now is not None and job.expires_at is not None and job.expires_at <= now):
                continue
            company = self.book.company(row)
            if company and self.per_employer is not None:
                shown[company] = shown.get(company, 0) + 1
                if shown[company] > self.per_employer:
                    continue
            kept.append(position)
            if len(kept) == k:
                break
        return kept
