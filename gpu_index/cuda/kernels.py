"""The steps of a search as Triton kernels: the same names, arguments and results as in twin.py.

Shapes that a kernel is compiled for are powers of two; everything else is an argument. A scan is bound by memory: a
program loads 128 rows once for all queries of the batch, takes their products on the matrix units, adds the bound of
probe.py and appends what reaches a query's floor. Nothing but survivors is written.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
import triton
import triton.language as tl

from gpu_index.cuda import twin
from gpu_index.cuda.clauses import CHUNK
from gpu_index.cuda.mirror import SpaceMirror
from gpu_index.cuda.probe import Probe

WORDS = 1024  # bitmap words one program takes
MATCH_WORDS = 64
COMPACT_WORDS = 32
NARROW_WORDS = 2
SCAN_ROWS = 128
DIM_CHUNK = 128
RESCORE_VALUES = 2048  # float64 values one program folds
LARGEST_FOLD = 4096  # longer vectors are rescored by the twin
OPTIONS = {"enable_fp_fusion": True}  # no answer depends on it; left out, triton 3.9 warns


def or_bitmaps(dense: torch.Tensor, rows: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    groups, words = len(start) - 1, dense.shape[1]
    out = torch.empty((groups, words), dtype=torch.int32, device=dense.device)
    if groups:
        _or_bitmaps[(triton.cdiv(words, WORDS), groups)](dense, rows, start, out, words, BLOCK=WORDS, **OPTIONS)
    return out


@triton.jit
def _or_bitmaps(dense, rows, start, out, words, BLOCK: tl.constexpr):
    group = tl.program_id(1)
    word = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = word < words
    bits = tl.zeros([BLOCK], tl.int32)
    for place in range(tl.load(start + group), tl.load(start + group + 1)):
        row = tl.load(rows + place).to(tl.int64)
        bits |= tl.load(dense + row * words + word, mask=inside, other=0)
    tl.store(out + group.to(tl.int64) * words + word, bits, mask=inside)


def or_postings(groups: torch.Tensor, slots: torch.Tensor, pieces: torch.Tensor) -> None:
    _or_postings[(len(pieces),)](groups, slots, pieces, groups.shape[1], BLOCK=CHUNK, **OPTIONS)


@triton.jit
def _or_postings(groups, slots, pieces, words, BLOCK: tl.constexpr):
    piece = pieces + tl.program_id(0) * 3
    group, first, count = tl.load(piece), tl.load(piece + 1), tl.load(piece + 2)
    place = tl.arange(0, BLOCK)
    slot = tl.load(slots + first + place, mask=place < count, other=-1)
    bit = tl.full([BLOCK], 1, tl.int32) << (slot & 31)
    tl.atomic_or(groups + group * words + (slot >> 5), bit, mask=slot >= 0, sem="relaxed")


def match(
    present: torch.Tensor, groups: torch.Tensor, members: torch.Tensor, excluded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    words, (batch, most) = len(present), members.shape
    masks = torch.empty((words, batch), dtype=torch.int32, device=present.device)
    counts = torch.zeros(batch, dtype=torch.int32, device=present.device)
    _match[(triton.cdiv(words, MATCH_WORDS),)](
        present, groups, members, excluded, masks, counts, words, groups.shape[1], most, BATCH=batch,
        BLOCK=MATCH_WORDS, **OPTIONS
    )  # fmt: skip
    return masks, counts


@triton.jit(do_not_specialize=["most"])
def _match(
    present, groups, members, excluded, masks, counts, words, stride, most, BATCH: tl.constexpr, BLOCK: tl.constexpr
):
    word = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    query = tl.arange(0, BATCH)[None, :]
    inside = word < words
    bits = tl.load(present + word, mask=inside, other=0) + tl.zeros([BLOCK, BATCH], tl.int32)
    for place in range(most):
        group = tl.load(members + query * most + place)
        bits &= tl.load(groups + group.to(tl.int64) * stride + word, mask=inside & (group >= 0), other=-1)
    group = tl.load(excluded + query)
    bits &= ~tl.load(groups + group.to(tl.int64) * stride + word, mask=inside & (group >= 0), other=0)
    tl.store(masks + word.to(tl.int64) * BATCH + query, bits, mask=inside)
    tl.atomic_add(counts + tl.arange(0, BATCH), tl.sum(_ones(bits), axis=0), sem="relaxed")


@triton.jit
def _ones(bits):
    """How many bits of each int32 are set: sums of 2, 4, 8, 16 and 32 neighbours."""
    bits = bits.to(tl.uint32, bitcast=True)
    bits = (bits & 0x55555555) + ((bits >> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
    bits = (bits & 0x0F0F0F0F) + ((bits >> 4) & 0x0F0F0F0F)
    bits = (bits & 0x00FF00FF) + ((bits >> 8) & 0x00FF00FF)
    return ((bits & 0xFFFF) + (bits >> 16)).to(tl.int32)


def sample(space: SpaceMirror, masks: torch.Tensor, probe: Probe, every: int, sign: int) -> torch.Tensor:
    batch, capacity = masks.shape[1], masks.shape[0] * 32
    blocks = triton.cdiv(triton.cdiv(capacity, twin.ROW_BLOCK), every)
    scores = torch.empty((batch, blocks * twin.ROW_BLOCK), dtype=torch.float32, device=masks.device)
    _sample[(blocks,)](*_shared(space, masks, probe), scores, every, scores.shape[1], sign, *_shape(space, probe),
                       BLOCK=twin.ROW_BLOCK, SKIP=False, **OPTIONS)  # fmt: skip
    return scores


@triton.jit(do_not_specialize=["every", "sign", "stride"])
def _sample(high, norm, error, masks, rounded, slack, boosts, boost_row, boost_stride, capacity, scores, every, stride,
            sign, DIM: tl.constexpr, CHUNK: tl.constexpr, BATCH: tl.constexpr, BOOSTED: tl.constexpr,
            WIDE: tl.constexpr, BLOCK: tl.constexpr, SKIP: tl.constexpr):  # fmt: skip
    row = tl.arange(0, BLOCK)
    slots = tl.program_id(0) * every * BLOCK + row
    bound, bits = _bounds(high, norm, error, masks, rounded, slack, boosts, boost_row, boost_stride, capacity, slots,
                          sign, DIM, CHUNK, BATCH, BOOSTED, WIDE, BLOCK, SKIP)  # fmt: skip
    bound = tl.where(bits != 0, bound, float("-inf"))
    query = tl.arange(0, BATCH).to(tl.int64)
    tl.store(scores + query[None, :] * stride + (tl.program_id(0) * BLOCK + row)[:, None], bound)


def scan(
    space: SpaceMirror, masks: torch.Tensor, probe: Probe, floors: torch.Tensor, room: int, skip_rows: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, capacity = masks.shape[1], masks.shape[0] * 32
    found = torch.empty((batch, room), dtype=torch.int32, device=masks.device)
    counts = torch.zeros(batch, dtype=torch.int32, device=masks.device)
    _scan[(triton.cdiv(capacity, SCAN_ROWS),)](
        *_shared(space, masks, probe), floors, found, counts, room, *_shape(space, probe), BLOCK=SCAN_ROWS,
        SKIP=skip_rows, **OPTIONS
    )  # fmt: skip
    return found, counts


@triton.jit(do_not_specialize=["room"])
def _scan(high, norm, error, masks, rounded, slack, boosts, boost_row, boost_stride, capacity, floors, found, counts,
          room, DIM: tl.constexpr, CHUNK: tl.constexpr, BATCH: tl.constexpr, BOOSTED: tl.constexpr,
          WIDE: tl.constexpr, BLOCK: tl.constexpr, SKIP: tl.constexpr):  # fmt: skip
    slots = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bound, bits = _bounds(high, norm, error, masks, rounded, slack, boosts, boost_row, boost_stride, capacity, slots,
                          1, DIM, CHUNK, BATCH, BOOSTED, WIDE, BLOCK, SKIP)  # fmt: skip
    query = tl.arange(0, BATCH)
    hit = (bits != 0) & (bound >= tl.load(floors + query)[None, :])
    _append(hit, slots, query, found, counts, room, BLOCK, BATCH)


@triton.jit
def _append(hit, slots, query, found, counts, room, BLOCK: tl.constexpr, BATCH: tl.constexpr):
    """Add the slots of the hits [BLOCK,BATCH] to their queries' lists; what does not fit is only counted."""
    if tl.max(tl.max(hit.to(tl.int32), axis=1), axis=0) > 0:
        column = query[None, :] + tl.zeros([BLOCK, BATCH], tl.int32)
        place = tl.atomic_add(counts + column, 1, mask=hit, sem="relaxed")
        slot = slots[:, None] + tl.zeros([BLOCK, BATCH], tl.int32)
        tl.store(found + column.to(tl.int64) * room + place, slot, mask=hit & (place < room))


@triton.jit
def _bounds(high, norm, error, masks, rounded, slack, boosts, boost_row, boost_stride, capacity, slots, sign,
            DIM: tl.constexpr, CHUNK: tl.constexpr, BATCH: tl.constexpr, BOOSTED: tl.constexpr,
            WIDE: tl.constexpr, BLOCK: tl.constexpr, SKIP: tl.constexpr):  # fmt: skip
    """Bounds float32[BLOCK,BATCH] of the scores, and mask bits. With SKIP, rows that no query wants are not read."""
    query = tl.arange(0, BATCH)
    inside = slots < capacity
    word = tl.load(masks + (slots >> 5).to(tl.int64)[:, None] * BATCH + query[None, :], mask=inside[:, None], other=0)
    bits = (word >> (slots & 31)[:, None]) & 1
    wanted = inside
    if SKIP:
        wanted = tl.max(bits, axis=1) != 0
    near = tl.zeros([BLOCK, BATCH], tl.float32)
    row = slots.to(tl.int64)[:, None] * DIM
    for first in tl.range(0, DIM, CHUNK, num_stages=1):
        dims = first + tl.arange(0, CHUNK)
        if DIM % CHUNK == 0:
            x = tl.load(high + row + dims[None, :], mask=wanted[:, None], other=0.0)
            y = tl.load(rounded + query[None, :] * DIM + dims[:, None])
        else:
            x = tl.load(high + row + dims[None, :], mask=wanted[:, None] & (dims < DIM)[None, :], other=0.0)
            y = tl.load(rounded + query[None, :] * DIM + dims[:, None], mask=(dims < DIM)[:, None], other=0.0)
        if WIDE:
            x, y = x.to(tl.float32), y.to(tl.float32)
        near = tl.dot(x, y, near)
    if BOOSTED:
        owner = tl.load(boost_row + query)[None, :]
        weight = tl.load(boosts + owner.to(tl.int64) * boost_stride + slots[:, None], mask=(bits != 0) & (owner >= 0),
                         other=0.0)  # fmt: skip
        near += weight.to(tl.float32)
    longest = tl.load(norm + (slots >> 6), mask=inside, other=0.0)[:, None]
    farthest = tl.load(error + (slots >> 6), mask=inside, other=0.0)[:, None]
    by_norm, by_error = tl.load(slack + query)[None, :], tl.load(slack + BATCH + query)[None, :]
    always = tl.load(slack + 2 * BATCH + query)[None, :]
    return near + sign * (by_norm * longest + by_error * farthest + always), bits


def compact(masks: torch.Tensor, room: int) -> tuple[torch.Tensor, torch.Tensor]:
    words, batch = masks.shape
    found = torch.empty((batch, room), dtype=torch.int32, device=masks.device)
    counts = torch.zeros(batch, dtype=torch.int32, device=masks.device)
    grid = (triton.cdiv(words, COMPACT_WORDS),)
    _compact[grid](masks, found, counts, words, room, BATCH=batch, BLOCK=COMPACT_WORDS, **OPTIONS)
    return found, counts


@triton.jit(do_not_specialize=["room"])
def _compact(masks, found, counts, words, room, BATCH: tl.constexpr, BLOCK: tl.constexpr):
    word = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    query = tl.arange(0, BATCH)
    bits = tl.load(masks + word.to(tl.int64)[:, None] * BATCH + query[None, :], mask=(word < words)[:, None], other=0)
    if tl.max(tl.max((bits != 0).to(tl.int32), axis=1), axis=0) > 0:
        for bit in range(32):
            _append(((bits >> bit) & 1) != 0, word * 32 + bit, query, found, counts, room, BLOCK, BATCH)


def narrow(
    masks: torch.Tensor, sketches: torch.Tensor, wanted: torch.Tensor, limits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    words, batch = masks.shape
    narrowed = torch.empty_like(masks)
    counts = torch.zeros(batch, dtype=torch.int32, device=masks.device)
    _narrow[(triton.cdiv(words, NARROW_WORDS),)](
        masks, sketches, wanted, limits, narrowed, counts, words, BATCH=batch, SKETCH=sketches.shape[1],
        BLOCK=NARROW_WORDS, **OPTIONS
    )  # fmt: skip
    return narrowed, counts


@triton.jit
def _narrow(masks, sketches, wanted, limits, narrowed, counts, words, BATCH: tl.constexpr, SKETCH: tl.constexpr,
            BLOCK: tl.constexpr):  # fmt: skip
    word = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    slots = tl.program_id(0) * BLOCK * 32 + tl.arange(0, BLOCK * 32)
    query = tl.arange(0, BATCH)
    apart = tl.zeros([BLOCK * 32, BATCH], tl.int32)
    for place in tl.static_range(0, SKETCH):
        own = tl.load(sketches + slots.to(tl.int64) * SKETCH + place, mask=slots < words * 32, other=0)
        apart += _ones(own[:, None] ^ tl.load(wanted + query * SKETCH + place)[None, :])
    near = (apart <= tl.load(limits + query)[None, :]).to(tl.int32) << (slots & 31)[:, None]
    kept = tl.sum(tl.reshape(near, [BLOCK, 32, BATCH]), axis=1)  # distinct bits, so a sum is their union
    at = word.to(tl.int64)[:, None] * BATCH + query[None, :]
    kept &= tl.load(masks + at, mask=(word < words)[:, None], other=0)
    tl.store(narrowed + at, kept, mask=(word < words)[:, None])
    tl.atomic_add(counts + query, tl.sum(_ones(kept), axis=0), sem="relaxed")


def add_weights(boosts: torch.Tensor, slots: torch.Tensor, pieces: torch.Tensor, weights: torch.Tensor) -> None:
    _add_weights[(len(pieces),)](boosts, slots, pieces, weights, boosts.shape[1], BLOCK=CHUNK, **OPTIONS)


@triton.jit
def _add_weights(boosts, slots, pieces, weights, stride, BLOCK: tl.constexpr):
    number = tl.program_id(0)
    piece = pieces + number * 3
    row, first, count = tl.load(piece), tl.load(piece + 1), tl.load(piece + 2)
    place = tl.arange(0, BLOCK)
    slot = tl.load(slots + first + place, mask=place < count, other=-1)
    target = boosts + row * stride + slot
    total = tl.load(target, mask=slot >= 0, other=0.0) + tl.load(weights + number)
    tl.store(target, total, mask=slot >= 0)


def rescore(space: SpaceMirror, probe: Probe, found: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    padded = triton.next_power_of_2(space.dim)
    if padded > LARGEST_FOLD:
        return twin.rescore(space, probe, found, counts)
    batch, width = found.shape
    scores = torch.full((batch, width), float("-inf"), device=found.device)
    if width:
        rows = max(1, RESCORE_VALUES // padded)
        order = _order_on(space.dim, found.device)
        high = space.high.view(torch.int16)
        _rescore[(triton.cdiv(width, rows), batch)](
            high, high if space.low is None else space.low, probe.exact, probe.boosts, probe.boost_row, found, counts,
            order, scores, found.stride(0), width, probe.boosts.shape[1], DIM=space.dim, PADDED=padded,
            LEVELS=padded.bit_length() - 1, SPLIT=space.low is not None, BOOSTED=len(probe.boosts) > 0, BLOCK=rows,
            **OPTIONS
        )  # fmt: skip
    return scores


@functools.cache
def _order_on(dim: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(fold_order(dim)).to(device)


def fold_order(dim: int) -> np.ndarray:
    """int32[P], P the next power of two: which product stands at each leaf of a full binary tree, -1 for none.

    `scoring.exact_dots` folds a width w to half = ceil(w / 2) by adding the products from half on to the first ones.
    Read backwards, each fold doubles the places: product i of the upper part stands half a tree behind its partner.
    Folding the leaves in halves of equal size then adds the same pairs in the same order, and zeros.
    """
    depth = (dim - 1).bit_length()
    order = np.full(1 << depth, -1, np.int32)
    for product in range(dim):
        place, leaf, width = product, 0, dim
        for level in range(depth):
            half = (width + 1) // 2
            if place >= half:
                place, leaf = place - half, leaf | (1 << (depth - 1 - level))
            width = half
        order[leaf] = product
    return order


@triton.jit(do_not_specialize=["stride", "width"])
def _rescore(high, low, queries, boosts, boost_row, found, counts, order, scores, stride, width, boost_stride,
             DIM: tl.constexpr, PADDED: tl.constexpr, LEVELS: tl.constexpr, SPLIT: tl.constexpr,
             BOOSTED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    query = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < tl.load(counts + query)
    slot = tl.load(found + query * stride + place, mask=inside, other=0).to(tl.int64)
    leaf = tl.load(order + tl.arange(0, PADDED))
    used = inside[:, None] & (leaf >= 0)[None, :]
    at = slot[:, None] * DIM + leaf[None, :]
    bits = tl.load(high + at, mask=used, other=0).to(tl.int32) << 16
    if SPLIT:
        bits += tl.load(low + at, mask=used, other=0).to(tl.int32)
    wide_query = tl.load(queries + query * DIM + leaf, mask=leaf >= 0, other=0.0).to(tl.float64)
    total = bits.to(tl.float32, bitcast=True).to(tl.float64) * wide_query[None, :]
    for level in tl.static_range(0, LEVELS):
        total = tl.sum(tl.reshape(total, [BLOCK, 2, PADDED >> (level + 1)]), axis=1)
    total = tl.reshape(total, [BLOCK])
    if BOOSTED:
        owner = tl.load(boost_row + query + tl.zeros([BLOCK], tl.int64)).to(tl.int64)
        total += tl.load(boosts + owner * boost_stride + slot, mask=inside & (owner >= 0), other=0.0)
    score = total.to(tl.float32)
    score = tl.where(score == 0.0, 0.0, score)  # -0.0 becomes 0.0
    tl.store(scores + query * width + place, score, mask=inside)


def _shared(space: SpaceMirror, masks: torch.Tensor, probe: Probe) -> tuple[object, ...]:
    """What `_bounds` reads."""
    return (space.high, space.norm, space.error, masks, probe.rounded, probe.slack, probe.boosts, probe.boost_row,
            probe.boosts.shape[1], masks.shape[0] * 32)  # fmt: skip


def _shape(space: SpaceMirror, probe: Probe) -> tuple[int, int, int, bool, bool]:
    """What `_bounds` is compiled for: dimension, its chunk, batch, boosts or not, products of float32 or of bfloat16.

    Triton's interpreter multiplies the bits of bfloat16 as if they were integers (seen in 3.9), so without a GPU both
    sides become float32 first, which changes no value.
    """
    chunk = min(DIM_CHUNK, max(16, triton.next_power_of_2(space.dim)))
    return space.dim, chunk, len(probe), len(probe.boosts) > 0, space.high.device.type != "cuda"
