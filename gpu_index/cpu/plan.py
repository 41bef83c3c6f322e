"""Which queries of a batch share a scan and which walk over their own matches: whatever is cheaper in sum.

The costs are nanoseconds on one core, measured with `make bench-index`; only their ratios matter, and a wrong choice is
slower, never wrong. With n blocks of 64 rows, S scanning queries (in fours) and m matches:

    scan   n (TILE d + S (EPILOGUE + DOTS d))
    walk   m (ROW + NUMBER d)
"""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.vector import HAS_VNNI, QUERIES

TILE = 3.0  # per block and dimension: read it and turn it on its side
EPILOGUE = 6.0  # per block and query
DOTS = 0.2 if HAS_VNNI else 0.5  # per block, query and dimension
ROW = 3.0  # per match
NUMBER = 0.045  # per match and dimension


def scanning(matches: np.ndarray, blocks: int, dim: int) -> np.ndarray:
    """bool[B] for int64[B] matches: the queries that scan. The others walk; one with more matches never does first."""
    order = np.argsort(-matches, kind="stable")
    walks = matches[order] * (ROW + NUMBER * dim)
    number = np.arange(1, len(matches) + 1)
    fours = (number + QUERIES - 1) // QUERIES * QUERIES
    scans = blocks * (TILE * dim + fours * (EPILOGUE + DOTS * dim))
    total = scans + walks.sum() - np.cumsum(walks)  # if the first 1, 2, ... of the order scan
    best = int(np.argmin(total))
    chosen = np.zeros(len(matches), bool)
    if total[best] < walks.sum():
        chosen[order[: best + 1]] = True
    return chosen
