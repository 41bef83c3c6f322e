"""Clicks that will come: a binary heap of items ordered by (moment, item), in arrays that the caller owns. Compiled."""

from __future__ import annotations

import numpy as np

from market.compiled import njit


@njit()
def push(heap: np.ndarray, moment: np.ndarray, size: int, when: float, item: int) -> int:
    """Add `item` at `when` to the first `size` entries of heap int64[n] and moment float64[n]; return the new size."""
    child = size
    while child > 0:
        parent = (child - 1) // 2
        if moment[parent] < when or (moment[parent] == when and heap[parent] < item):
            break
        heap[child], moment[child] = heap[parent], moment[parent]
        child = parent
    heap[child], moment[child] = item, when
    return size + 1


@njit()
def pop(heap: np.ndarray, moment: np.ndarray, size: int) -> int:
    """Take the first entry, heap[0] at moment[0], away; return the new size."""
    last = size - 1
    item, when = heap[last], moment[last]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= last:
            break
        if child + 1 < last and (
            moment[child + 1] < moment[child] or (moment[child + 1] == moment[child] and heap[child + 1] < heap[child])
        ):
            child += 1
        if when < moment[child] or (when == moment[child] and item < heap[child]):
            break
        heap[parent], moment[parent] = heap[child], moment[child]
        parent = child
    heap[parent], moment[parent] = item, when
    return last
