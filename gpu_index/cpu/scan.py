"""The shared scan: every block of 64 rows is read once and multiplied with all queries of a batch.

A block is turned into a tile in cache: as bytes where the processor multiplies bytes, else as float32. Then, four
queries at a time, the tile gives 64 scores each, boosts are added, and the threshold and the mask leave a word of
survivors, nearly always empty. What survives is looked at once more, with a narrower bound. A block that no clause lets
through is skipped, and so are four queries whose masks are empty there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_index.cpu.queries import (
    BYTE_GROUP,
    LARGEST_BYTE,
    PAIR_GROUP,
    SMALLEST_SCALE,
    Queries,
    byte_error,
    float_error,
)
from gpu_index.cpu.survivors import Exactly, Survivors, boost_of, make_room
from gpu_index.cpu.vector import (
    QUERIES,
    STEP_BYTES,
    VECTOR_BYTES,
    add_where,
    float_dots,
    int8_dots,
    line_dot,
    pack_bytes,
    pack_floats,
    prefetch,
    reaching,
    scale,
)
from gpu_index.cpu.words import lowest
from market.compiled import njit

MORE = 1 + 2.0**-20  # for the float64 arithmetic of the bounds
LINE_WORDS = 8  # words of a cache line
AHEAD = 2  # blocks whose rows are asked for before they are needed


class Blocks(NamedTuple):
    """Bounds over each block of 64 slots, float32[W]: of |x|, of |x - bf16(x)| and of the numbers of bf16(x)."""

    norm: np.ndarray
    error: np.ndarray
    largest: np.ndarray


@njit(nogil=True)
def scan(
    as_bytes: bool,
    blocks: Blocks,
    queries: Queries,
    chosen: np.ndarray,
    masks: np.ndarray,
    k: int,
    found: Survivors,
    exactly: Exactly,
) -> None:
    """Collect the survivors of queries chosen[i] of the batch; `queries` holds only those, in that order.

    as_bytes  which tile; that form of the queries has to be there
    masks     uint64[B,W], the slots each query may find
    """
    dim, batch, words = exactly.dim, len(chosen), masks.shape[1]
    line = 2 * dim
    taken = BYTE_GROUP if as_bytes else PAIR_GROUP  # numbers of a row that go into the tile at a time
    made = 16 if as_bytes else PAIR_GROUP  # steps of the tile they become
    groups = (dim + taken - 1) // taken
    pair_groups = (dim + PAIR_GROUP - 1) // PAIR_GROUP
    tile_room = np.empty(groups * made * STEP_BYTES + VECTOR_BYTES, np.uint8)
    out_room = np.empty(QUERIES * STEP_BYTES + VECTOR_BYTES, np.uint8)
    tile, out = aligned(tile_room.ctypes.data), aligned(out_room.ctypes.data)
    forms = queries.bytes.ctypes.data if as_bytes else queries.floats.ctypes.data
    stride = queries.bytes.shape[1] if as_bytes else 4 * queries.floats.shape[1]
    nothing = np.zeros(len(queries.first), np.float32)
    first = queries.first.ctypes.data if as_bytes else nothing.ctypes.data
    pairs, pairs_of_one = queries.pairs.ctypes.data, 4 * queries.pairs[0].size
    norm, rest, unit = queries.norm, queries.rest, queries.unit
    count, threshold, slots, low, high = found.count, found.threshold, found.slot, found.low, found.high
    room = low.shape[1]
    first_boost, boost_row, weight, boosted = exactly.first_boost, exactly.boost_row, exactly.weight, exactly.boosted
    high_part = exactly.high.ctypes.data
    size = np.zeros(batch)  # of all boosts of a query
    for i in range(batch):
        for boost in range(first_boost[chosen[i]], first_boost[chosen[i] + 1]):
            size[i] += abs(weight[boost])
    bar = np.empty(batch)  # below every score that rounds to the threshold
    for i in range(batch):
        bar[i] = below(np.float64(threshold[chosen[i]]))
    inverse = 1.0 / unit if as_bytes else np.ones(batch)
    needed = np.empty(batch, np.float32)  # the least number in the tile's units with which a row may reach the bar
    several, any_of = np.zeros((LINE_WORDS, batch), np.uint64), np.zeros(LINE_WORDS, np.uint64)

    for w in range(words):
        if w % LINE_WORDS == 0:
            _next_words(masks, chosen, w, several, any_of)
        if any_of[w % LINE_WORDS] == 0:
            continue
        bits = several[w % LINE_WORDS]
        start = high_part + w * 64 * line
        if w + AHEAD < words:
            for offset in range(0, 64 * line, VECTOR_BYTES):
                prefetch(start + AHEAD * 64 * line + offset)
        row_norm, row_rest = np.float64(blocks.norm[w]), np.float64(blocks.error[w])
        row_unit = max(np.float64(blocks.largest[w]) / LARGEST_BYTE, SMALLEST_SCALE) if as_bytes else 1.0
        for part in range(4):
            for group in range(groups):
                source = start + part * 16 * line + group * 2 * taken
                place = tile + group * made * STEP_BYTES + part * VECTOR_BYTES
                if as_bytes:
                    pack_bytes(source, line, np.float32(1.0 / row_unit), place)
                else:
                    pack_floats(source, line, place)
        line_per_norm, line_always = float_error(dim, row_norm, row_rest)
        if as_bytes:
            per_norm, per_rest, always = byte_error(dim, row_norm, row_rest, row_unit)
        else:
            per_norm, per_rest, always = line_per_norm, 0.0, line_always
        inverse_row = 1.0 / row_unit
        for i in range(batch):
            least = (bar[i] - MORE * (per_norm * norm[i] + per_rest * rest[i] + always)) * (inverse_row * inverse[i])
            needed[i] = np.float32(least - abs(least) * 2.0**-22)

        for four in range(0, batch, QUERIES):
            end = min(four + QUERIES, batch)
            anyone = np.uint64(0)
            for i in range(four, end):
                anyone |= bits[i]
            if anyone == 0:
                continue
            if as_bytes:
                int8_dots(tile, groups * made, forms + four * stride, stride, first + 4 * four, out)
            else:
                float_dots(tile, groups * made, forms + four * stride, stride, first + 4 * four, out)
            for i in range(four, end):
                b, scores = chosen[i], out + (i - four) * STEP_BYTES
                if bits[i] and size[i] > 0:
                    scale(scores, np.float32(row_unit * unit[i]) if as_bytes else np.float32(1.0))
                    for boost in range(first_boost[b], first_boost[b + 1]):
                        has = boosted[boost_row[boost], w] & bits[i]
                        if has:
                            add_where(scores, has, np.float32(weight[boost]))
                    # Boosts are added as float32, each sum rounded.
                    error = per_norm * norm[i] + per_rest * rest[i] + always
                    terms = first_boost[b + 1] - first_boost[b] + 2
                    error += terms * 2.0**-23 * (size[i] + row_norm * norm[i] + error)
                    least = bar[i] - MORE * error
                    needed[i] = np.float32(least - abs(least) * 2.0**-22)
                survivors = reaching(scores, needed[i]) & bits[i]
                while survivors:
                    r = np.int64(lowest(survivors))
                    survivors &= survivors - np.uint64(1)
                    # Their rows are in cache: a second look with a bound ten times as narrow.
                    score = np.float64(line_dot(start + r * line, pair_groups, pairs + i * pairs_of_one))
                    error = MORE * (line_per_norm * norm[i] + line_always)
                    if size[i] > 0:
                        score += boost_of(exactly, b, w * 64 + r)
                        error += 2.0**-50 * (size[i] + abs(score))
                    if score + error < bar[i]:
                        continue
                    seat = count[b]
                    slots[b, seat] = w * 64 + r
                    low[b, seat] = score - error
                    high[b, seat] = score + error
                    count[b] = seat + 1
                    if seat + 1 == room:
                        make_room(found, exactly, b, k)
                        bar[i] = below(np.float64(threshold[b]))
    # Compiled code frees an array after its last use, and addresses do not count: these must live until here.
    tile_room[0] = 0
    out_room[0] = 0
    nothing[0] = 0


@njit(nogil=True)
def _next_words(masks: np.ndarray, chosen: np.ndarray, first: int, several: np.ndarray, any_of: np.ndarray) -> None:
    """several[j,i] = masks[chosen[i], first + j], a cache line of each mask at a time; any_of[j] unites them."""
    words = masks.shape[1]
    last = min(first + LINE_WORDS, words)
    any_of[:] = 0
    for i in range(len(chosen)):
        mask = masks[chosen[i]]
        prefetch(mask.ctypes.data + 8 * (first + 2 * LINE_WORDS))
        for w in range(first, last):
            several[w - first, i] = mask[w]
            any_of[w - first] |= mask[w]


@njit(nogil=True)
def below(threshold: float) -> float:
    """A number below all that round to this float32."""
    return threshold - abs(threshold) * 2.0**-22 - 2.0**-140


@njit(nogil=True)
def aligned(address: int) -> int:
    """The next address at which a vector may begin."""
    return (address + VECTOR_BYTES - 1) // VECTOR_BYTES * VECTOR_BYTES
