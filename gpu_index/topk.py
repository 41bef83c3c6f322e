"""The answer of a search, and the k best of many: score descending, then id ascending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hits:
    """Row b answers query b, best first.

    ids     int64[B,k], -1 where fewer than k rows match
    scores  float32[B,k], -inf there
    """

    ids: np.ndarray
    scores: np.ndarray

    @classmethod
    def empty(cls, batch: int, k: int) -> Hits:
        """Nothing found yet: all padding."""
        return cls(np.full((batch, k), -1, np.int64), np.full((batch, k), -np.inf, np.float32))


def best(scores: np.ndarray, ids: np.ndarray, k: int) -> np.ndarray:
    """Positions of the min(k, m) best of float32[m] scores, best first; equal scores by smaller id.

    Linear in m, then a sort of k: rows that lose are never sorted, and neither are ties beyond the k-th place.
    """
    chosen = np.arange(len(scores))
    if len(scores) > k:
        last = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > last)
        level = np.flatnonzero(scores == last)
        room = k - len(above)
        if len(level) > room:
            level = level[np.argpartition(ids[level], room - 1)[:room]]
        chosen = np.concatenate([above, level])
    return chosen[np.lexsort((ids[chosen], -scores[chosen]))]
