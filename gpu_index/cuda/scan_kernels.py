"""Kernels of the first pass: bounds of a sample, and the scan. Steps as in twin.py.

A scan is bound by memory. A program loads 64 or 128 rows once for all queries of the batch, takes their products on the
matrix units, adds the bound of probe.py, tests the mask and the floor, and appends the slots that are left to the list
of their query. Nothing but survivors is written.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from gpu_index.cuda import twin
from gpu_index.cuda.coarse import Coarse
from gpu_index.cuda.launch import OPTIONS, append
from gpu_index.cuda.probe import Probe

SCAN_ROWS = {16: 128, 32: 128, 64: 64}  # of one program, by batch: what 128 registers a thread have room for
REGISTERS = 128  # so that at least four programs share a multiprocessor and loads overlap with everything else
DIM_CHUNK = 128


def sample(coarse: Coarse, masks: torch.Tensor, probe: Probe, every: int) -> torch.Tensor:
    batch, capacity = masks.shape[1], masks.shape[0] * 32
    blocks = triton.cdiv(triton.cdiv(capacity, twin.ROW_BLOCK), every)
    scores = torch.empty((batch, blocks * twin.ROW_BLOCK), dtype=torch.float32, device=masks.device)
    _sample[(blocks,)](
        *_inputs(coarse, masks, probe), scores, every, scores.shape[1], *_shape(coarse, probe), BLOCK=twin.ROW_BLOCK,
        SKIP=False, **OPTIONS
    )  # fmt: skip
    return scores


def scan(
    coarse: Coarse, masks: torch.Tensor, probe: Probe, floors: torch.Tensor, room: int, skip_rows: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, capacity = masks.shape[1], masks.shape[0] * 32
    found = torch.empty((batch, room), dtype=torch.int32, device=masks.device)
    counts = torch.zeros(batch, dtype=torch.int32, device=masks.device)
    rows = SCAN_ROWS[batch]
    _scan[(triton.cdiv(capacity, rows),)](
        *_inputs(coarse, masks, probe), floors, found, counts, room, *_shape(coarse, probe), BLOCK=rows,
        SKIP=skip_rows, num_warps=4, maxnreg=REGISTERS, **OPTIONS
    )  # fmt: skip
    return found, counts


def _inputs(coarse: Coarse, masks: torch.Tensor, probe: Probe) -> tuple[object, ...]:
    """The first arguments of both kernels."""
    scale = coarse.norm if coarse.scale is None else coarse.scale
    return (coarse.values, scale, coarse.norm, coarse.error, masks, probe.rounded, probe.factors, probe.slack,
            probe.boosts, probe.boost_row, probe.boosts.shape[1], masks.shape[0] * 32)  # fmt: skip


def _shape(coarse: Coarse, probe: Probe) -> tuple[int, int, int, bool, bool, bool]:
    """What they are compiled for: dimension, its chunk, batch, boosts or not, codes or not, widened or not.

    Triton's interpreter multiplies the bits of bfloat16 as if they were integers (seen in 3.9), so without a GPU both
    sides become float32 first, which changes no value.
    """
    dim = coarse.values.shape[1]
    chunk = min(DIM_CHUNK, max(32 if coarse.int8 else 16, triton.next_power_of_2(dim)))
    widened = coarse.values.device.type != "cuda"
    return dim, chunk, len(probe), len(probe.boosts) > 0, coarse.int8, widened


@triton.jit(do_not_specialize=["every", "stride"])
def _sample(values, scale, norm, error, masks, rounded, factors, slack, boosts, boost_row, boost_stride, capacity,
            scores, every, stride,
            DIM: tl.constexpr, CHUNK: tl.constexpr, BATCH: tl.constexpr, BOOSTED: tl.constexpr, INT8: tl.constexpr,
            WIDE: tl.constexpr, BLOCK: tl.constexpr, SKIP: tl.constexpr):  # fmt: skip
    row = tl.arange(0, BLOCK)
    slots = tl.program_id(0) * every * BLOCK + row
    bits, wanted = _mask_bits(masks, slots, capacity, BATCH, SKIP)
    near = _products(values, scale, rounded, factors, slots, wanted, DIM, CHUNK, BATCH, INT8, WIDE, BLOCK)
    if BOOSTED:
        near += _weights(boosts, boost_row, boost_stride, slots, bits, BATCH)
    lower = near - _slack(norm, error, slack, slots, capacity, BATCH)
    query = tl.arange(0, BATCH).to(tl.int64)
    place = tl.program_id(0) * BLOCK + row
    tl.store(scores + query[None, :] * stride + place[:, None], tl.where(bits != 0, lower, float("-inf")))


@triton.jit(do_not_specialize=["room"])
def _scan(values, scale, norm, error, masks, rounded, factors, slack, boosts, boost_row, boost_stride, capacity,
          floors, found, counts, room,
          DIM: tl.constexpr, CHUNK: tl.constexpr, BATCH: tl.constexpr, BOOSTED: tl.constexpr, INT8: tl.constexpr,
          WIDE: tl.constexpr, BLOCK: tl.constexpr, SKIP: tl.constexpr):  # fmt: skip
    slots = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bits, wanted = _mask_bits(masks, slots, capacity, BATCH, SKIP)
    near = _products(values, scale, rounded, factors, slots, wanted, DIM, CHUNK, BATCH, INT8, WIDE, BLOCK)
    if BOOSTED:
        near += _weights(boosts, boost_row, boost_stride, slots, bits, BATCH)
    upper = near + _slack(norm, error, slack, slots, capacity, BATCH)
    query = tl.arange(0, BATCH)
    hit = (bits != 0) & (upper >= tl.load(floors + query)[None, :])
    append(hit, slots, query, found, counts, room, BLOCK, BATCH)


@triton.jit
def _mask_bits(masks, slots, capacity, BATCH: tl.constexpr, SKIP: tl.constexpr):
    """Bits int32[rows,BATCH], and the rows to read: all, or with SKIP those that some query wants."""
    inside = slots < capacity
    place = (slots >> 5).to(tl.int64)[:, None] * BATCH + tl.arange(0, BATCH)[None, :]
    bits = (tl.load(masks + place, mask=inside[:, None], other=0) >> (slots & 31)[:, None]) & 1
    wanted = inside
    if SKIP:
        wanted = tl.max(bits, axis=1) != 0
    return bits, wanted


@triton.jit
def _products(values, scale, rounded, factors, slots, wanted, DIM: tl.constexpr, CHUNK: tl.constexpr,
              BATCH: tl.constexpr, INT8: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Rough products float32[BLOCK,BATCH] of rows and queries; int8 ones are exact until they are scaled."""
    query = tl.arange(0, BATCH)
    row, column = slots.to(tl.int64)[:, None] * DIM, query[None, :] * DIM
    all_queries = (query >= 0)[None, :]
    if INT8:
        first = tl.zeros([BLOCK, BATCH], tl.int32)
        second = tl.zeros([BLOCK, BATCH], tl.int32)
        for start in tl.range(0, DIM, CHUNK, num_stages=1):
            dims = start + tl.arange(0, CHUNK)
            x = _piece(values, row, wanted[:, None], dims[None, :], DIM, CHUNK)
            y = _piece(rounded, column, all_queries, dims[:, None], DIM, CHUNK)
            z = _piece(rounded + BATCH * DIM, column, all_queries, dims[:, None], DIM, CHUNK)
            first = tl.dot(x, y, first, out_dtype=tl.int32)
            second = tl.dot(x, z, second, out_dtype=tl.int32)
        near = first.to(tl.float32) * tl.load(factors + query)[None, :]
        near += second.to(tl.float32) * tl.load(factors + BATCH + query)[None, :]
        near *= tl.load(scale + (slots >> 6), mask=wanted, other=0.0)[:, None]
    else:
        near = tl.zeros([BLOCK, BATCH], tl.float32)
        for start in tl.range(0, DIM, CHUNK, num_stages=1):
            dims = start + tl.arange(0, CHUNK)
            x = _piece(values, row, wanted[:, None], dims[None, :], DIM, CHUNK)
            y = _piece(rounded, column, all_queries, dims[:, None], DIM, CHUNK)
            if WIDE:
                x, y = x.to(tl.float32), y.to(tl.float32)
            near = tl.dot(x, y, near)
    return near


@triton.jit
def _piece(base, offsets, wanted, dims, DIM: tl.constexpr, CHUNK: tl.constexpr):
    """Numbers at base + offsets + dims, 0 where not wanted or beyond the last dimension."""
    if DIM % CHUNK == 0:
        piece = tl.load(base + offsets + dims, mask=wanted, other=0)
    else:
        piece = tl.load(base + offsets + dims, mask=wanted & (dims < DIM), other=0)
    return piece


@triton.jit
def _weights(boosts, boost_row, boost_stride, slots, bits, BATCH: tl.constexpr):
    """Boosts float32[rows,BATCH] of the rows that match."""
    owner = tl.load(boost_row + tl.arange(0, BATCH)).to(tl.int64)[None, :]
    mask = (bits != 0) & (owner >= 0)
    return tl.load(boosts + owner * boost_stride + slots[:, None], mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _slack(norm, error, slack, slots, capacity, BATCH: tl.constexpr):
    """How far products may be from scores, float32[rows,BATCH]."""
    query = tl.arange(0, BATCH)
    inside = slots < capacity
    longest = tl.load(norm + (slots >> 6), mask=inside, other=0.0)[:, None]
    farthest = tl.load(error + (slots >> 6), mask=inside, other=0.0)[:, None]
    by_norm, by_error = tl.load(slack + query)[None, :], tl.load(slack + BATCH + query)[None, :]
    return by_norm * longest + by_error * farthest + tl.load(slack + 2 * BATCH + query)[None, :]
