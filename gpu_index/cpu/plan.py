"""Which queries of a batch share a scan and which walk over their own matches: whatever is cheaper in sum.

The costs are nanoseconds on one core; only ratios matter; a wrong choice is slower, never wrong. With n blocks of 64
rows, S scanning queries (in fours) and m matches of a query:

    scan   n (TILE d + S (EACH + DOTS d))
    walk   the lesser of m (ROW + NEAR d + FAR d (1 - 10 m / 64 n)) and n 64 STREAMED d

A walk waits for memory: its rows are far apart until a tenth of them match, and read in one stream if most do.
"""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.vector import HAS_VNNI, QUERIES
from market.compiled import njit

TILE = 4.2  # per block and dimension: read it and turn it on its side
EACH = 6.0  # per block and query
DOTS = 0.2 if HAS_VNNI else 0.5  # per block, query and dimension
ROW = 2.0  # per match
NEAR, FAR = 0.08, 0.19  # per match and dimension
STREAMED = 0.08  # per row and dimension


@njit(nogil=True)
def scanning(matches: np.ndarray, blocks: int, dim: int) -> np.ndarray:
    """bool[B] for int64[B] matches: the queries that scan. The others walk; one with more matches never does first."""
    order = np.arange(len(matches))
    for i in range(1, len(order)):  # by matches, the most first
        place = i
        while place > 0 and matches[order[place]] > matches[order[place - 1]]:
            order[place], order[place - 1] = order[place - 1], order[place]
            place -= 1
    walks = 0.0
    for b in range(len(matches)):
        walks += _walk(matches[b], blocks, dim)
    best, least, rest = -1, walks, walks
    for i in range(len(order)):  # if the first 1, 2, ... of the order scan
        rest -= _walk(matches[order[i]], blocks, dim)
        cost = rest + _scan(i + 1, blocks, dim)
        if cost < least:
            best, least = i, cost
    chosen = np.zeros(len(matches), np.bool_)
    chosen[order[: best + 1]] = True
    return chosen


@njit(nogil=True)
def _walk(matches: int, blocks: int, dim: int) -> float:
    apart = max(0.0, 1 - 10 * matches / (64 * blocks))
    return min(matches * (ROW + dim * (NEAR + FAR * apart)), blocks * 64 * STREAMED * dim)


@njit(nogil=True)
def _scan(queries: int, blocks: int, dim: int) -> float:
    fours = (queries + QUERIES - 1) // QUERIES * QUERIES
    return blocks * (TILE * dim + fours * (EACH + DOTS * dim))
