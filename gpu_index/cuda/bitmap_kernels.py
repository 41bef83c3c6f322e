"""Kernels on bitmaps: groups of terms, masks of queries, and the slots of set bits. Steps as in twin.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from gpu_index.cuda.clauses import CHUNK
from gpu_index.cuda.launch import OPTIONS, append

WORDS = 1024  # bitmap words one program takes
MATCH_WORDS = 64
COMPACT_WORDS = 32
NARROW_WORDS = 2


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
            append(((bits >> bit) & 1) != 0, word * 32 + bit, query, found, counts, room, BLOCK, BATCH)


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
