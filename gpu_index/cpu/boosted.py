"""Bitmaps of boosted terms: a frequent term has one already, the slots of a rare one are spread out into a new one."""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.inverted import Inverted
from market.compiled import njit


def bitmaps_of(inverted: Inverted, numbers: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the bitmap of each of the distinct terms int32[t] is: rows int64[t], and new bitmaps uint64[s,words].

    A row of 0 or more is a row of `inverted.bits`, any other, as ~row, one of the new bitmaps. Both may hold slots of
    deleted rows, which nobody asks for. Costs the words and slots of each rare term.
    """
    rows = np.full(len(numbers), -1, np.int64)
    known = numbers < len(inverted.terms)
    rows[known] = inverted.terms["row"][numbers[known]]
    rare = np.flatnonzero(rows < 0)
    rows[rare] = ~np.arange(len(rare))
    bitmaps = np.zeros((len(rare), words), np.uint64)
    for place, number in enumerate(numbers[rare].tolist()):
        if inverted.frequency(number):
            term = inverted.terms[number]
            entries = inverted.pool[term["start"] : term["start"] + term["main"] + term["tail"]]
            _spread(entries, bitmaps[place])
    return rows, bitmaps


@njit(nogil=True)
def _spread(entries: np.ndarray, bitmap: np.ndarray) -> None:
    """Set the bits of the entries that count: those that are not negative."""
    for entry in entries:
        if entry >= 0:
            slot = np.int64(entry)
            bitmap[slot >> 6] |= np.uint64(1) << np.uint64(slot & 63)


@njit(nogil=True)
def word_of(frequent: np.ndarray, rare: np.ndarray, row: int, w: int) -> int:
    """Word w of the bitmap that stands in `row`."""
    return frequent[row, w] if row >= 0 else rare[~row, w]
