"""OR-groups on a stretch of words: what their terms are made of, and the ways to unite, remove or look them up.

The lists of a group are read front to back, stretch after stretch: each run remembers how far it has been read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_index.cpu.postings import seek
from gpu_index.cpu.words import LAST_SIX, ONE, SIX, clear, copy, drop, lowest, unite, unite_of
from market.compiled import njit

SLOT, SIGN, ALIVE = np.uint32(0x7FFFFFFF), np.uint32(31), np.uint32(1)

# rows [rows_from, rows_to) are its bitmap rows, runs [runs_from, runs_to) its lists; entries: how many these hold;
# size: slots of all its terms; shared: its row of the shared unions or -1
GROUP = np.dtype(
    [(name, np.int64) for name in ("rows_from", "rows_to", "runs_from", "runs_to", "entries", "size", "shared")]
)
# An ascending run of entries in the pool: the next to be read, and the end
RUN = np.dtype([("at", np.int64), ("end", np.int64)])


@njit(nogil=True)
def describe(
    numbers: np.ndarray,
    lengths: np.ndarray,
    terms: np.ndarray,
    groups: np.ndarray,
    rows: np.ndarray,
    runs: np.ndarray,
) -> None:
    """Fill in GROUP[G], int64 bitmap rows and RUN runs from the term table. Group g is the next lengths[g] numbers."""
    at, row, run = 0, 0, 0
    for g in range(len(lengths)):
        group = groups[g]
        group.rows_from, group.runs_from, group.entries, group.size = row, run, 0, 0
        for number in numbers[at : at + lengths[g]]:
            if number >= len(terms):
                continue
            term = terms[number]
            group.size += term.count
            if term.row >= 0:
                rows[row] = term.row
                row += 1
                continue
            group.entries += term.main + term.tail
            middle = term.start + term.main
            if term.main > 0:
                runs[run].at, runs[run].end = term.start, middle
                run += 1
            if term.tail > 0:
                runs[run].at, runs[run].end = middle, middle + term.tail
                run += 1
        at += lengths[g]
        group.rows_to, group.runs_to, group.shared = row, run, -1


@njit(nogil=True)
def unite_rows(into: np.ndarray, group: Any, rows: np.ndarray, bits: np.ndarray, low: int) -> None:
    """into = the union of the group's bitmap rows on the words from `low` on."""
    high = low + len(into)
    first, last = group.rows_from, group.rows_to
    if last == first:
        clear(into)
    elif last - first == 1:
        copy(into, bits[rows[first], low:high])
    else:
        unite_of(into, bits[rows[first], low:high], bits[rows[first + 1], low:high])
        for i in range(first + 2, last):
            unite(into, bits[rows[i], low:high])


@njit(nogil=True)
def remove_rows(into: np.ndarray, left: int, group: Any, rows: np.ndarray, bits: np.ndarray, low: int) -> int:
    """Take the group's bitmap rows out of `into`, which has `left` bits set; the number of bits left."""
    for i in range(group.rows_from, group.rows_to):
        left = drop(into, bits[rows[i], low : low + len(into)])
    return left


@njit(nogil=True)
def unite_lists(into: np.ndarray, group: Any, runs: np.ndarray, pool: np.ndarray, low: int) -> None:
    """into |= the slots of the group's lists on the words from `low` on."""
    base, high = np.uint64(64 * low), low + len(into)
    for i in range(group.runs_from, group.runs_to):
        at, end = span(runs[i], pool, low, high)
        for place in range(np.uint64(at), np.uint64(end)):
            entry = np.uint32(pool[place])
            slot = np.uint64(entry & SLOT) - base
            into[slot >> SIX] |= np.uint64((entry >> SIGN) ^ ALIVE) << (slot & LAST_SIX)


@njit(nogil=True)
def unite_all(
    into: np.ndarray, group: Any, rows: np.ndarray, runs: np.ndarray, pool: np.ndarray, bits: np.ndarray, low: int
) -> None:
    """into = the union of all terms of the group on the words from `low` on."""
    unite_rows(into, group, rows, bits, low)
    unite_lists(into, group, runs, pool, low)


@njit(nogil=True)
def remove_lists(into: np.ndarray, left: int, group: Any, runs: np.ndarray, pool: np.ndarray, low: int) -> int:
    """Take the slots of the group's lists out of `into`, which has `left` bits set; the number of bits left."""
    base, high = np.uint64(64 * low), low + len(into)
    for i in range(group.runs_from, group.runs_to):
        at, end = span(runs[i], pool, low, high)
        for place in range(np.uint64(at), np.uint64(end)):
            entry = np.uint32(pool[place])
            slot = np.uint64(entry & SLOT) - base
            word = into[slot >> SIX]
            bit = word & (np.uint64((entry >> SIGN) ^ ALIVE) << (slot & LAST_SIX))
            into[slot >> SIX] = word ^ bit
            left -= bit != 0
    return left


@njit(nogil=True)
def span(run: Any, pool: np.ndarray, low: int, high: int) -> tuple[int, int]:
    """Where the run's entries of the words [low, high) lie; later calls may only ask for later words."""
    at, end = seek(pool, run.at, run.end, 64 * low), run.end
    if at < end and pool[end - 1] & SLOT >= 64 * high:
        end = seek(pool, at, end, 64 * high)
    run.at = end
    return at, end


@njit(nogil=True)
def lookup_pays(candidates: int, group: Any, words: int, length: int, lookup: int) -> bool:
    """Whether looking candidates up in the lists costs less than reading the lists' share of a stretch of `length`."""
    share = group.entries * length // words
    return bool(lookup * candidates * (group.runs_to - group.runs_from) + length < share)


@njit(nogil=True)
def look_up(
    into: np.ndarray,
    wanted: bool,
    group: Any,
    rows: np.ndarray,
    runs: np.ndarray,
    pool: np.ndarray,
    bits: np.ndarray,
    low: int,
) -> int:
    """Keep the set bits of `into` whose slot is in the group, if `wanted`, or is not; the number of bits left."""
    left = 0
    for w in range(len(into)):
        word = into[w]
        kept = word
        while word != 0:
            bit = word & (~word + ONE)
            inside = False
            for i in range(group.rows_from, group.rows_to):
                inside |= (bits[rows[i], low + w] & bit) != 0
            slot: Any = 64 * (low + w) + np.int64(lowest(word))
            for i in range(group.runs_from, group.runs_to):
                if inside:
                    break
                run = runs[i]
                run.at = seek(pool, run.at, run.end, slot)
                inside = run.at < run.end and pool[run.at] == slot
            if inside != wanted:
                kept ^= bit
            else:
                left += 1
            word ^= bit
        into[w] = kept
    return left
