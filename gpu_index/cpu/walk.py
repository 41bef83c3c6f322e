"""The walk: only the rows that a clause lets through, 16 at a time, for one query.

Set bits become slots, their rows are asked for, and while they travel the 64 rows before them are multiplied. Cheaper
than the shared scan when few rows match or few queries share a scan; its cost grows with the matches, so a tighter
clause is never dearer.
"""

from __future__ import annotations

import numpy as np

from gpu_index.cpu.queries import PAIR_GROUP, Queries, float_error
from gpu_index.cpu.scan import MORE, Blocks, below
from gpu_index.cpu.survivors import Exactly, Survivors, make_room
from gpu_index.cpu.vector import VECTOR_BYTES, line_dots, prefetch
from gpu_index.cpu.words import lowest, ones
from market.compiled import njit

CHUNK = 64
LANES = 16


@njit(nogil=True)
def walk(
    blocks: Blocks, queries: Queries, b: int, mask: np.ndarray, k: int, found: Survivors, exactly: Exactly
) -> None:
    """Collect the survivors of query b among the slots of mask uint64[W]."""
    dim = exactly.dim
    groups = (dim + PAIR_GROUP - 1) // PAIR_GROUP
    line = 2 * dim
    size = 0.0
    for boost in range(exactly.first_boost[b], exactly.first_boost[b + 1]):
        size += abs(exactly.weight[boost])
    terms = exactly.first_boost[b + 1] - exactly.first_boost[b] + 2
    # Two chunks: one is filled while the rows of the other are on their way. A word fits after 63 slots.
    slots = np.zeros((2, 2 * CHUNK), np.int64)
    lines = np.zeros((2, 2 * CHUNK), np.int64)
    errors = np.zeros((2, 2 * CHUNK))
    boosts = np.zeros((2, 2 * CHUNK))
    scores = np.empty(LANES, np.float32)
    query = queries.pairs[b].ctypes.data
    start = exactly.high.ctypes.data
    first_boost, boost_row, weight, boosted = exactly.first_boost, exactly.boost_row, exactly.weight, exactly.boosted
    slot, low, high, seat, room = found.slot[b], found.low[b], found.high[b], found.count[b], found.low.shape[1]
    norms, rests, norm = blocks.norm, blocks.error, queries.norm[b]
    reach = -np.inf  # what a score and its error have to come to
    filling, filled, waiting = 0, 0, 0
    for w in range(len(mask) + 1):
        last = w == len(mask)
        if not last:
            bits = mask[w]
            if bits == 0:
                continue
            per_norm, always = float_error(dim, np.float64(norms[w]), np.float64(rests[w]))
            error = MORE * (per_norm * norm + always)
            if size > 0:
                error += terms * 2.0**-50 * (size + norms[w] * norm)
                for place in range(filled, filled + np.int64(ones(bits))):
                    boosts[filling, place] = 0.0
                for boost in range(first_boost[b], first_boost[b + 1]):
                    has = boosted[boost_row[boost], w] & bits
                    while has:
                        bit = has & (~has + np.uint64(1))
                        place = filled + np.int64(ones(bits & (bit - np.uint64(1))))
                        boosts[filling, place] += weight[boost]
                        has ^= bit
            while bits:
                row = w * 64 + np.int64(lowest(bits))
                bits &= bits - np.uint64(1)
                address = start + row * line
                for offset in range(0, line, VECTOR_BYTES):
                    prefetch(address + offset)
                slots[filling, filled] = row
                lines[filling, filled] = address
                errors[filling, filled] = error
                filled += 1
            if filled < CHUNK:
                continue
        for turn in range(2 if last else 1):  # at the end both chunks are due
            other = 1 - filling if turn == 0 else filling
            count = waiting if turn == 0 else filled
            for first in range(0, count, LANES):
                # Lanes beyond the last row repeat what an earlier chunk left there: their scores are not looked at.
                for spare in range(count, min(first + LANES, 2 * CHUNK)):
                    lines[other, spare] = start
                line_dots(lines[other, first:].ctypes.data, groups, query, scores.ctypes.data)
                for lane in range(min(LANES, count - first)):
                    place = first + lane
                    score = np.float64(scores[lane]) + boosts[other, place]
                    if score + errors[other, place] >= reach:
                        slot[seat] = slots[other, place]
                        low[seat] = score - errors[other, place]
                        high[seat] = score + errors[other, place]
                        seat += 1
                        if seat == room:
                            found.count[b] = seat
                            make_room(found, exactly, b, k)
                            seat = found.count[b]
                            reach = below(np.float64(found.threshold[b]))
        waiting, filling, filled = filled, 1 - filling, 0
    found.count[b] = seat
