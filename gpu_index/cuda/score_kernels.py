"""Kernels of exact scores: the weights of boosts, and the float64 products in the order that defines a score."""

from __future__ import annotations

import functools

import numpy as np
import torch
import triton
import triton.language as tl

from gpu_index.cuda import twin
from gpu_index.cuda.clauses import CHUNK
from gpu_index.cuda.launch import OPTIONS
from gpu_index.cuda.mirror import SpaceMirror
from gpu_index.cuda.probe import Probe

RESCORE_VALUES = 2048  # float64 values one program folds
LARGEST_FOLD = 4096  # longer vectors are rescored by the twin


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
    if DIM == PADDED:  # the leaves are in their own order: neighbours are read together
        leaf = tl.arange(0, PADDED)
        used = inside[:, None]
    else:
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
