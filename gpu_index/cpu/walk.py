"""The walk: only the rows that a clause lets through, for one query.

Where a clause lets through nearly all of a block of 64 rows, the whole block is multiplied as it lies, which memory
delivers fastest. Elsewhere set bits become slots in a list, and rows of the list are asked for some way ahead of the 16
that are multiplied. Cost grows with the matches, so a tighter clause is never dearer.
"""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.boosted import word_of
from gpu_index.cpu.queries import PAIR_GROUP, Arithmetic, Queries, arithmetic, float_error
from gpu_index.cpu.scan import MORE, Blocks, below
from gpu_index.cpu.survivors import Exactly, Survivors, make_room
from gpu_index.cpu.vector import VECTOR_BYTES, add_boosts, add_boosts_on, prefetch, reaching, slot_dots, write_slots
from gpu_index.cpu.words import lowest, ones
from market.compiled import njit

LANES = 16  # rows multiplied at a time
AHEAD = 64  # rows asked for before they are due
BLOCKS_AHEAD = 3  # likewise, where whole blocks are multiplied
LIST = 1024  # slots in the list before it is worked off
WHOLE = 56  # matches of a block from which on all of it is multiplied


@njit(nogil=True)
def walk(
    blocks: Blocks, queries: Queries, b: int, mask: np.ndarray, k: int, found: Survivors, exactly: Exactly
) -> None:
    """Collect the survivors of query b among the slots of mask uint64[W]."""
    constants = arithmetic(exactly.dim)
    groups, line = (exactly.dim + PAIR_GROUP - 1) // PAIR_GROUP, 2 * exactly.dim
    boost_row, weight, frequent, rare = exactly.boost_row, exactly.weight, exactly.frequent, exactly.rare
    boosts_from, boosts_to = exactly.first_boost[b], exactly.first_boost[b + 1]
    terms = boosts_to - boosts_from
    weights = weight[boosts_from:boosts_to].astype(np.float32)
    words_of_terms, bitmaps = np.empty(terms, np.uint64), np.empty(terms, np.int64)
    for boost in range(terms):
        row = boost_row[boosts_from + boost]
        bitmaps[boost] = (frequent[row] if row >= 0 else rare[~row]).ctypes.data
    size = np.abs(weight[boosts_from:boosts_to]).sum()
    lost = 0.0 if terms == 0 else (terms + 2) * 2.0**-23  # boosts are added as float32
    norms, rests, norm = blocks.norm, blocks.error, queries.norm[b]
    slot, low, high, threshold, room = found.slot[b], found.low[b], found.high[b], found.threshold, found.low.shape[1]
    seat, bar = found.filled[b], below(np.float64(threshold[b]))
    # A word fits after the last slot of a list, and a vector of slots that nobody asked for after that.
    slots = np.zeros(LIST + 64 + AHEAD, np.int32)
    block = np.empty(64, np.int32)
    scores = np.empty(64, np.float32)
    out, listed, of_block = scores.ctypes.data, slots.ctypes.data, block.ctypes.data
    query, rows = queries.pairs[b].ctypes.data, exactly.high.ctypes.data
    filled, largest_norm, largest_rest = 0, np.float32(0), np.float32(0)  # of the list
    words = len(mask)
    for w in range(words + 1):
        if w < words:
            bits = mask[w]
            if bits == 0:
                continue
            matches = np.int64(ones(bits))
            if matches >= WHOLE:
                for r in range(64):
                    block[r] = w * 64 + r
                for first in range(0, 64, LANES):
                    for offset in range(first * line, (first + LANES) * line, VECTOR_BYTES):
                        prefetch(rows + (w + BLOCKS_AHEAD) * 64 * line + offset)
                    slot_dots(of_block + 4 * first, rows, line, groups, query, out + 4 * first)
                if terms:
                    for boost in range(terms):
                        words_of_terms[boost] = word_of(frequent, rare, boost_row[boosts_from + boost], w)
                    add_boosts(out, np.float32(1), words_of_terms.ctypes.data, weights.ctypes.data, terms)
                error = _error(constants, norms[w], rests[w], norm, size, lost)
                passed = reaching(out, _float_below(bar - error)) & bits
                while passed:
                    seat, passed = _seat(passed, block, scores, error, seat, slot, low, high)
                    if seat == room:
                        found.filled[b] = seat
                        make_room(found, exactly, b, k)
                        seat, bar = found.filled[b], below(np.float64(threshold[b]))
                continue
            write_slots(bits, w * 64, listed + 4 * filled)
            filled += matches
            largest_norm, largest_rest = max(largest_norm, norms[w]), max(largest_rest, rests[w])
            if filled < LIST:
                continue
        slots[filled : filled + AHEAD] = 0  # the last 16 may hold these; their scores are not looked at
        error = _error(constants, largest_norm, largest_rest, norm, size, lost)
        for place in range(min(AHEAD, filled)):
            for offset in range(0, line, VECTOR_BYTES):
                prefetch(rows + np.int64(slots[place]) * line + offset)
        for first in range(0, filled, LANES):
            for place in range(first + AHEAD, min(first + AHEAD + LANES, filled)):
                for offset in range(0, line, VECTOR_BYTES):
                    prefetch(rows + np.int64(slots[place]) * line + offset)
            slot_dots(listed + 4 * first, rows, line, groups, query, out)
            if terms:
                add_boosts_on(out, listed + 4 * first, bitmaps.ctypes.data, weights.ctypes.data, terms)
            due = (np.uint64(1) << np.uint64(min(LANES, filled - first))) - np.uint64(1)
            passed = reaching(out, _float_below(bar - error)) & due
            while passed:
                seat, passed = _seat(passed, slots[first:], scores, error, seat, slot, low, high)
                if seat == room:
                    found.filled[b] = seat
                    make_room(found, exactly, b, k)
                    seat, bar = found.filled[b], below(np.float64(threshold[b]))
        filled, largest_norm, largest_rest = 0, np.float32(0), np.float32(0)
    found.filled[b] = seat


@njit(nogil=True)
def _seat(
    passed: int,
    slots: np.ndarray,
    scores: np.ndarray,
    error: float,
    seat: int,
    slot: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[int, int]:
    """Seat the rows of the set bits, whose scores are off by at most `error`, until the room is full.

    Returns the next seat and the bits that are left.
    """
    while passed and seat < len(slot):
        place = np.int64(lowest(passed))
        passed &= passed - np.uint64(1)
        score = np.float64(scores[place])
        slot[seat], low[seat], high[seat] = slots[place], score - error, score + error
        seat += 1
    return seat, passed


@njit(nogil=True)
def _error(constants: Arithmetic, row_norm: float, row_rest: float, norm: float, size: float, lost: float) -> float:
    """The bound for rows and a query of these norms, with boosts of `size` in sum that lose a share `lost`."""
    per_norm, always = float_error(constants, np.float64(row_norm), np.float64(row_rest))
    error = MORE * (per_norm * norm + always)
    return error + lost * (size + np.float64(row_norm) * norm + error)


@njit(nogil=True)
def _float_below(value: float) -> float:
    """A float32 that is not larger."""
    return np.float32(value - abs(value) * 2.0**-22)
