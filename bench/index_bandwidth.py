"""How fast this machine reads memory, measured beside the methods, and how fast a scan could be at best."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from market.compiled import njit

BUFFER_BYTES = 256 * 2**20
RUNS = 7
FIRST_PASS_BYTES = 2  # a dimension: the upper half of a float32, which is the bfloat16 of a first pass


@njit(nogil=True)
def _total(words: np.ndarray) -> int:
    total = np.uint64(0)
    for word in words:
        total += word
    return total


def read_bandwidth(threads: int = 1, buffer_bytes: int = BUFFER_BYTES) -> float:
    """Bytes a second that `threads` threads read from a buffer larger than any cache, median of some runs."""
    words = np.ones(buffer_bytes // 8, np.uint64)
    parts = np.array_split(words, threads)
    _total(words[:8])
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(RUNS):
            began = time.perf_counter()
            total = sum(map(int, pool.map(_total, parts)))
            seconds.append(time.perf_counter() - began)
            assert total == len(words)
    return words.nbytes / float(np.median(seconds))


def shared_scan_bytes(rows: int, dimension: int, batch: int) -> float:
    """What one pass over the rows has to read for a whole batch: every row once, and a mask per query."""
    return rows * dimension * FIRST_PASS_BYTES + batch * rows / 8


def single_scan_bytes(rows: int, dimension: int, pass_rate: float) -> float:
    """What one query has to read: the rows that pass, and its mask."""
    return pass_rate * rows * dimension * FIRST_PASS_BYTES + rows / 8
