"""The rows that may still be among the k best of a query, while a scan goes on.

Each query has a buffer of (slot, low, high): its exact score, rounded to float32, lies in [low, high]. k rows reach at
least the k-th best `low`, so a row whose `high` is below that is out; equality stays in, because ids decide ties.
When a buffer is full it is shrunk by that rule; if scores lie so close that this frees too little, the exact scores of
all its rows are computed and the k best stay. So a buffer never overflows and nothing is dropped unseen.

The arrays of a `Survivors`, B queries: filled int64[B], threshold float32[B] (a row has to reach it), low and high
float32[B,room], slot int32[B,room].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_index.cpu.boosted import word_of
from gpu_index.cpu.vector import VECTOR_BYTES, prefetch
from market.compiled import njit

AHEAD = 4  # rows that are asked for before their exact scores are due


class Survivors(NamedTuple):
    """Buffers of B queries; see the head of this file."""

    filled: np.ndarray
    threshold: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slot: np.ndarray


class Exactly(NamedTuple):
    """What an exact score needs.

    high, low    the parts of the stored numbers (see rows.py); `low` is empty when the high part is the number
    dim          numbers a row
    ids          int64[capacity]
    queries      float32[B,dim]
    first_boost  int64[B+1]: query b has the boosts first_boost[b] to first_boost[b+1] - 1, in the order they are added
    boost_row    int64[boosts], where the bitmap of the term is (see boosted.py)
    weight       float64[boosts]
    frequent, rare   uint64[D,>=W] and uint64[S,W], the bitmaps
    """

    high: np.ndarray
    low: np.ndarray
    dim: int
    ids: np.ndarray
    queries: np.ndarray
    first_boost: np.ndarray
    boost_row: np.ndarray
    weight: np.ndarray
    frequent: np.ndarray
    rare: np.ndarray


@njit(nogil=True)
def empty_survivors(batch: int, room: int) -> Survivors:
    """Buffers with nothing in them."""
    return Survivors(
        np.zeros(batch, np.int64),
        np.full(batch, np.float32(-np.inf), np.float32),
        np.empty((batch, room), np.float32),
        np.empty((batch, room), np.float32),
        np.empty((batch, room), np.int32),
    )


@njit(nogil=True)
def make_room(found: Survivors, exactly: Exactly, b: int, k: int) -> None:
    """Shrink a full buffer, and if that frees less than a quarter of it, keep the k best by their exact scores."""
    shrink(found, b, k)
    if 4 * found.filled[b] > 3 * found.low.shape[1]:
        settle(found, exactly, b)
        _keep_best(found, exactly, b, k)


@njit(nogil=True)
def shrink(found: Survivors, b: int, k: int) -> None:
    """Raise the threshold to the k-th best `low` and drop what does not reach it."""
    count = found.filled[b]
    if count < k:
        return
    slot, low, high = found.slot[b], found.low[b], found.high[b]
    threshold = _kth_largest(low[:count].copy(), k)
    kept = 0
    for i in range(count):
        if high[i] >= threshold:
            slot[kept], low[kept], high[kept] = slot[i], low[i], high[i]
            kept += 1
    found.threshold[b] = threshold
    found.filled[b] = kept


@njit(nogil=True)
def settle(found: Survivors, exactly: Exactly, b: int) -> None:
    """Replace the bounds of every row by its exact score; where both bounds are one number, that is the score."""
    dim, count = exactly.dim, found.filled[b]
    slots, low, high = found.slot[b], found.low[b], found.high[b]
    high_part, low_part, query = exactly.high, exactly.low, exactly.queries[b]
    first_boost, boost_row, weight = exactly.first_boost, exactly.boost_row, exactly.weight
    frequent, rare = exactly.frequent, exactly.rare
    boosted = first_boost[b] < first_boost[b + 1]
    wide = np.empty(dim, np.float64)
    bits = np.empty(dim, np.int32)
    line = 2 * dim
    for i in range(count):
        if i + AHEAD < count:
            ahead = line * np.int64(slots[i + AHEAD])
            for offset in range(0, line, VECTOR_BYTES):
                prefetch(high_part.ctypes.data + ahead + offset)
                if len(low_part):
                    prefetch(low_part.ctypes.data + ahead + offset)
        if low[i] != high[i]:
            slot = np.int64(slots[i])
            score = exact_dot(high_part, low_part, slot, query, bits, wide)
            if boosted:
                score += boost_of(first_boost, boost_row, weight, frequent, rare, b, slot)
            low[i] = np.float32(score)
        low[i] += np.float32(0)  # turns -0.0 into 0.0
        high[i] = low[i]


@njit(nogil=True)
def exact_dot(
    high: np.ndarray, low: np.ndarray, slot: int, query: np.ndarray, bits: np.ndarray, wide: np.ndarray
) -> float:
    """The float64 dot product of a stored row with a query float32[dim], added as `scoring.exact_dots` adds.

    bits int32[dim] and wide float64[dim] are room to work in.
    """
    size = len(query)
    start = slot * size
    if len(low):
        for j in range(size):
            bits[j] = (np.int32(high[start + j]) << np.int32(16)) + np.int32(low[start + j])
    else:
        for j in range(size):
            bits[j] = np.int32(high[start + j]) << np.int32(16)
    numbers = bits.view(np.float32)
    for j in range(size):
        wide[j] = np.float64(numbers[j]) * np.float64(query[j])
    while size > 1:
        half = (size + 1) // 2
        for j in range(size - half):
            wide[j] += wide[half + j]
        size = half
    return wide[0]


@njit(nogil=True)
def boost_of(
    first_boost: np.ndarray,
    boost_row: np.ndarray,
    weight: np.ndarray,
    frequent: np.ndarray,
    rare: np.ndarray,
    b: int,
    slot: int,
) -> float:
    """The weights of the boosted terms that a slot has, added in their order; arrays as in `Exactly`."""
    total = 0.0
    for boost in range(first_boost[b], first_boost[b + 1]):
        word = word_of(frequent, rare, boost_row[boost], slot >> 6)
        if (word >> np.uint64(slot & 63)) & np.uint64(1):
            total += weight[boost]
    return total


@njit(nogil=True)
def finish(found: Survivors, exactly: Exactly, b: int, k: int, ids: np.ndarray, scores: np.ndarray) -> None:
    """Write the k best, best first, to ids int64[k] and scores float32[k]; what they hold beyond the answer stays."""
    if found.filled[b] > k:
        shrink(found, b, k)
    settle(found, exactly, b)
    _keep_best(found, exactly, b, k)
    for i in range(found.filled[b]):
        ids[i] = exactly.ids[found.slot[b, i]]
        scores[i] = found.low[b, i]


@njit(nogil=True)
def _keep_best(found: Survivors, exactly: Exactly, b: int, k: int) -> None:
    """Sort settled rows by score descending, then id ascending; keep k and raise the threshold to the last of them."""
    if found.filled[b] > k:
        shrink(found, b, k)  # what is left: all that score above the k-th, and its ties
    count = found.filled[b]
    slots, scores = found.slot[b, :count].copy(), found.low[b, :count].copy()
    ids = np.empty(count, np.int64)
    for i in range(count):
        ids[i] = exactly.ids[slots[i]]
    order = _best_first(scores, ids)
    kept = min(count, k)
    for i in range(kept):
        found.slot[b, i] = slots[order[i]]
        found.low[b, i] = scores[order[i]]
        found.high[b, i] = scores[order[i]]
    found.filled[b] = kept
    if kept == k:
        found.threshold[b] = found.low[b, k - 1]


@njit(nogil=True)
def _best_first(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Positions by score descending, then id ascending: heapsort with the worst on top."""
    count = len(scores)
    order = np.arange(count)
    for parent in range(count // 2 - 1, -1, -1):
        _sift(scores, ids, order, parent, count)
    for last in range(count - 1, 0, -1):
        order[0], order[last] = order[last], order[0]
        _sift(scores, ids, order, 0, last)
    return order


@njit(nogil=True)
def _sift(scores: np.ndarray, ids: np.ndarray, order: np.ndarray, parent: int, count: int) -> None:
    """Let order[parent] sink among the first `count` until none below it is worse."""
    while 2 * parent + 1 < count:
        child = 2 * parent + 1
        if child + 1 < count and _better(scores, ids, order[child], order[child + 1]):
            child += 1
        if not _better(scores, ids, order[parent], order[child]):
            break
        order[parent], order[child] = order[child], order[parent]
        parent = child


@njit(nogil=True)
def _better(scores: np.ndarray, ids: np.ndarray, one: int, other: int) -> bool:
    return scores[one] > scores[other] or (scores[one] == scores[other] and ids[one] < ids[other])


@njit(nogil=True)
def _kth_largest(values: np.ndarray, k: int) -> float:
    """The k-th largest of float32[n], n >= k >= 1; reorders `values`. Quickselect with the middle as pivot."""
    left, right, wanted = 0, len(values) - 1, k - 1
    while left < right:
        pivot = values[(left + right) >> 1]
        i, j = left, right
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            right = j
        elif wanted >= i:
            left = i
        else:
            break
    return values[wanted]
