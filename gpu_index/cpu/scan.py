"""The shared scan: every block of 64 rows is read once and multiplied with all queries of a batch.

A block is turned into a tile in cache: as bytes where the processor multiplies bytes, else as float32. Then, four
queries at a time, the tile gives 64 scores each, boosts are added, and the threshold and the mask leave a word of
survivors, nearly always empty. What survives is looked at again, with a narrower bound. Blocks that no clause lets
through are skipped, and so are four queries whose masks are empty in a block.
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
    arithmetic,
    byte_error,
    float_error,
)
from gpu_index.cpu.survivors import Exactly, Survivors, make_room
from gpu_index.cpu.vector import (
    QUERIES,
    STEP_BYTES,
    VECTOR_BYTES,
    add_boosts,
    float_dots,
    int8_dots,
    line_dot,
    pack_bytes,
    pack_floats,
    prefetch,
    reaching,
)
from gpu_index.cpu.words import lowest, unite
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
    constants = arithmetic(dim)
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
    count, threshold, slots, low, high = found.filled, found.threshold, found.slot, found.low, found.high
    room = low.shape[1]
    first_boost, boost_row, weight = exactly.first_boost, exactly.boost_row, exactly.weight
    frequent, rare = exactly.frequent, exactly.rare
    high_part = exactly.high.ctypes.data
    terms = first_boost[1:][chosen] - first_boost[:-1][chosen]
    weights = weight.astype(np.float32)
    words_of_terms = np.zeros((LINE_WORDS, len(weight)), np.uint64)
    size = np.zeros(batch)  # of all boosts of a query
    for i in range(batch):
        for boost in range(first_boost[chosen[i]], first_boost[chosen[i] + 1]):
            size[i] += abs(weight[boost])
    bar = np.empty(batch)  # below every score that rounds to the threshold
    for i in range(batch):
        bar[i] = below(np.float64(threshold[chosen[i]]))
    inverse = 1.0 / unit if as_bytes else np.ones(batch)
    needed = np.empty(batch, np.float32)  # the least number in the tile's units with which a row may reach the bar
    several = np.zeros((LINE_WORDS, batch), np.uint64)

    wanted = np.zeros(words, np.uint64)  # rows that any query may find
    for i in range(batch):
        unite(wanted, masks[chosen[i]])

    for w in range(words):
        if w % LINE_WORDS == 0:
            _next_words(masks, chosen, w, several)
            for boost in range(len(weight)):
                row = boost_row[boost]
                _next_of(frequent[row] if row >= 0 else rare[~row], w, words, words_of_terms[:, boost])
        if wanted[w] == 0:
            continue
        bits = several[w % LINE_WORDS]
        now = words_of_terms[w % LINE_WORDS]
        start = high_part + w * 64 * line
        row_norm, row_rest = np.float64(blocks.norm[w]), np.float64(blocks.error[w])
        line_per_norm, line_always = float_error(constants, row_norm, row_rest)
        if as_bytes:
            row_unit = max(np.float64(blocks.largest[w]) / LARGEST_BYTE, SMALLEST_SCALE)
            per_norm, per_rest, always = byte_error(constants, row_norm, row_rest, row_unit)
        else:
            row_unit, per_norm, per_rest, always = 1.0, line_per_norm, 0.0, line_always
        ask = w + AHEAD < words and wanted[w + AHEAD] != 0
        _turn(as_bytes, start, line, groups, np.float32(1.0 / row_unit), tile, ask)
        for i in range(batch):
            least = bar[i] - MORE * (per_norm * norm[i] + per_rest * rest[i] + always)
            least *= inverse[i] / row_unit
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
                if bits[i] == 0:
                    continue
                b, scores = chosen[i], out + (i - four) * STEP_BYTES
                if terms[i]:
                    factor = np.float32(row_unit * unit[i]) if as_bytes else np.float32(1)
                    own = first_boost[b]
                    add_boosts(scores, factor, now.ctypes.data + 8 * own, weights.ctypes.data + 4 * own, terms[i])
                    # Boosts are added as float32, each sum rounded.
                    error = per_norm * norm[i] + per_rest * rest[i] + always
                    error += (terms[i] + 2) * 2.0**-23 * (size[i] + row_norm * norm[i] + error)
                    least = bar[i] - MORE * error
                    needed[i] = np.float32(least - abs(least) * 2.0**-22)
                survivors = reaching(scores, needed[i]) & bits[i]
                if survivors == 0:
                    continue
                # The rows of survivors are in cache: a second look with a bound ten times as narrow.
                error = MORE * (line_per_norm * norm[i] + line_always)
                seat = count[b]
                while survivors:
                    r = np.int64(lowest(survivors))
                    survivors &= survivors - np.uint64(1)
                    score = np.float64(line_dot(start + r * line, pair_groups, pairs + i * pairs_of_one))
                    wide = error
                    if terms[i]:
                        boosted = 0.0  # added in the order of the terms, as in an exact score
                        for boost in range(first_boost[b], first_boost[b + 1]):
                            if (now[boost] >> np.uint64(r)) & np.uint64(1):
                                boosted += weight[boost]
                        score += boosted
                        wide += 2.0**-50 * (size[i] + abs(score))
                    if score + wide < bar[i]:
                        continue
                    slots[b, seat] = w * 64 + r
                    low[b, seat] = score - wide
                    high[b, seat] = score + wide
                    seat += 1
                    if seat == room:
                        count[b] = seat
                        make_room(found, exactly, b, k)
                        seat = count[b]
                        bar[i] = below(np.float64(threshold[b]))
                count[b] = seat
    # Compiled code frees an array after its last use, and addresses do not count: these must live until here.
    tile_room[0] = 0
    out_room[0] = 0
    nothing[0] = 0
    if len(weights):
        weights[0] = words_of_terms[0, 0]


@njit(nogil=True)
def _next_words(masks: np.ndarray, chosen: np.ndarray, first: int, several: np.ndarray) -> None:
    """several[j,i] = masks[chosen[i], first + j], a cache line of each mask at a time."""
    for i in range(len(chosen)):
        _next_of(masks[chosen[i]], first, masks.shape[1], several[:, i])


@njit(nogil=True)
def _next_of(bitmap: np.ndarray, first: int, words: int, into: np.ndarray) -> None:
    """into[j] = bitmap[first + j] up to word `words`; the lines after that are asked for."""
    prefetch(bitmap.ctypes.data + 8 * (first + 2 * LINE_WORDS))
    for w in range(first, min(first + LINE_WORDS, words)):
        into[w - first] = bitmap[w]


@njit(nogil=True)
def _turn(as_bytes: bool, start: int, line: int, groups: int, inverse: float, tile: int, ask: bool) -> None:
    """Fill the tile with the 64 rows at `start`; ask for the block that comes AHEAD of it."""
    taken, made = (BYTE_GROUP, 16) if as_bytes else (PAIR_GROUP, PAIR_GROUP)
    for part in range(4):
        if ask:
            for offset in range(part * 16 * line, (part + 1) * 16 * line, VECTOR_BYTES):
                prefetch(start + AHEAD * 64 * line + offset)
        for group in range(groups):
            source = start + part * 16 * line + group * 2 * taken
            place = tile + group * made * STEP_BYTES + part * VECTOR_BYTES
            if as_bytes:
                pack_bytes(source, line, inverse, place)
            else:
                pack_floats(source, line, place)


@njit(nogil=True)
def below(threshold: float) -> float:
    """A number below all that round to this float32."""
    return threshold - abs(threshold) * 2.0**-22 - 2.0**-140


@njit(nogil=True)
def aligned(address: int) -> int:
    """The next address at which a vector may begin."""
    return (address + VECTOR_BYTES - 1) // VECTOR_BYTES * VECTOR_BYTES
