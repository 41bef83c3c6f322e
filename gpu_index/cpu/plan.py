"""Which queries of a batch share a scan and which walk over their own matches: whatever is cheaper in sum.

The costs are nanoseconds on one core; only ratios matter, and a wrong choice is slower, never wrong. With n blocks
of 64 rows, S scanning queries (in fours) and m matches of one or of all of them:

    scan   n (BLOCK + EACH S + the lesser of TILE d + S (EPILOGUE + DOTS d) and m / n (ONE + ONE_NUMBER d))
    walk   the lesser of m (ROW + NUMBER d) and n 64 STREAMED d
"""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.vector import HAS_VNNI, QUERIES
from market.compiled import njit

BLOCK, EACH = 60.0, 2.0  # per block, per block and query: masks
TILE = 5.5  # per block and dimension: read it and turn it on its side
EPILOGUE = 8.0  # per block and query
DOTS = 0.2 if HAS_VNNI else 0.5  # per block, query and dimension
ONE, ONE_NUMBER = 6.0, 0.06  # per match of a block whose rows are multiplied one by one
ROW, NUMBER = 6.0, 0.2  # per match of a walk
STREAMED = 0.085  # per row and dimension, where a walk multiplies whole blocks


@njit(nogil=True)
def scanning(matches: np.ndarray, blocks: int, dim: int) -> np.ndarray:
    """bool[B] for int64[B] matches: the queries that scan. The others walk; one with more matches never does first."""
    order = np.argsort(-matches, kind="mergesort")
    walks = 0.0
    for b in range(len(matches)):
        walks += _walk(matches[b], blocks, dim)
    best, least, rest, found = -1, walks, walks, 0
    for i in range(len(order)):  # if the first 1, 2, ... of the order scan
        rest -= _walk(matches[order[i]], blocks, dim)
        found += matches[order[i]]
        cost = rest + _scan(i + 1, found, blocks, dim)
        if cost < least:
            best, least = i, cost
    chosen = np.zeros(len(matches), np.bool_)
    chosen[order[: best + 1]] = True
    return chosen


@njit(nogil=True)
def _walk(matches: int, blocks: int, dim: int) -> float:
    return min(matches * (ROW + NUMBER * dim), blocks * 64 * STREAMED * dim)


@njit(nogil=True)
def _scan(queries: int, matches: int, blocks: int, dim: int) -> float:
    fours = (queries + QUERIES - 1) // QUERIES * QUERIES
    tiles = TILE * dim + fours * (EPILOGUE + DOTS * dim)
    singles = matches / blocks * (ONE + ONE_NUMBER * dim)
    return blocks * (BLOCK + EACH * queries + min(tiles, singles))
