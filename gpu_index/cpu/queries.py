"""Queries in the forms that the kernels multiply with, and the bounds on what that arithmetic can be off by.

For a query q and a row x of a block with |x| <= R and |x - bf16(x)| <= E (see rows.py):

    float kernels  sums of float32 products of bf16(x) and q
                   |error| <= E |q| + gamma (R + E) |q|,  gamma = d u / (1 - d u): any order of additions (Higham 3.1)
    byte kernel    x' = s * bytes, q' = t * bytes, sums exact; s and t are the largest number over 127
                   |error| <= E' |q| + (R + E') |q - q'|,  E' = E + sqrt(d) s / 2: Cauchy-Schwarz on the two remainders

A last term covers numbers below 2^-126, which some processors flush to zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu_index.cpu.vector import QUERIES
from market.compiled import njit

PAIR_GROUP = 32  # numbers a line vector holds
BYTE_GROUP = 64  # numbers of a row that `pack_bytes` takes at a time
SMALLEST_SCALE = 1e-30  # of bytes: its inverse is still a float32
LARGEST_BYTE = 127
UNIT_ROUNDOFF = 2.0**-24
HALF_STEP = 0.501  # rounding to a byte, and the rounding of the scales


class Queries(NamedTuple):
    """B queries, padded with zero queries to P, a multiple of QUERIES, in the forms for a tile.

    norm      float64[B]
    pairs     float32[B,g,2,16], 32 numbers at a time, the even ones before the odd ones: for lines
    floats    float32[P,32 g]: for float tiles, rows in order; empty unless asked for
    bytes     int8[P,64 h], in the order of `pack_bytes`: for byte tiles; empty unless asked for
    first     int32[P], -128 times the sum of the bytes
    unit      float64[B], what a byte of the query stands for
    rest      float64[B], |q - q'|
    """

    norm: np.ndarray
    pairs: np.ndarray
    floats: np.ndarray
    bytes: np.ndarray
    first: np.ndarray
    unit: np.ndarray
    rest: np.ndarray


@njit(nogil=True)
def prepared(queries: np.ndarray, for_bytes: bool, for_floats: bool) -> Queries:
    """float32[B,d] queries in every form that is asked for."""
    batch, dim = queries.shape
    padded = (batch + QUERIES - 1) // QUERIES * QUERIES
    pair_groups = (dim + PAIR_GROUP - 1) // PAIR_GROUP
    byte_groups = (dim + BYTE_GROUP - 1) // BYTE_GROUP
    norm, unit, rest = np.zeros(batch), np.zeros(batch), np.zeros(batch)
    pairs = np.zeros((batch, pair_groups, 2, 16), np.float32)
    floats = np.zeros((padded if for_floats else 0, pair_groups * PAIR_GROUP), np.float32)
    codes = np.zeros((padded if for_bytes else 0, byte_groups * BYTE_GROUP), np.int8)
    first = np.zeros(padded, np.int32)
    for b in range(batch):
        square, largest = 0.0, 0.0
        for j in range(dim):
            value = np.float64(queries[b, j])
            square += value * value
            largest = max(largest, abs(value))
            pairs[b, j // PAIR_GROUP, j & 1, (j % PAIR_GROUP) // 2] = queries[b, j]
            if for_floats:
                floats[b, j] = queries[b, j]
        norm[b] = np.sqrt(square)
        unit[b] = max(largest / LARGEST_BYTE, SMALLEST_SCALE)
        if for_bytes:
            left, total = 0.0, 0
            for j in range(dim):
                value = np.float64(queries[b, j])
                code = np.int64(np.rint(value / unit[b]))
                left += (value - code * unit[b]) ** 2
                total += code
                # Word l of 64 numbers holds 2l, 2l + 1, 32 + 2l, 33 + 2l.
                within = j % BYTE_GROUP
                place = (within % 32) // 2 * 4 + (within // 32) * 2 + (within & 1)
                codes[b, j // BYTE_GROUP * BYTE_GROUP + place] = code
            rest[b] = np.sqrt(left)
            first[b] = -128 * total
    return Queries(norm, pairs, floats, codes, first, unit, rest)


class Arithmetic(NamedTuple):
    """What the bounds owe to the number of dimensions alone.

    root     sqrt(d)
    gamma    of float32 sums of d products, with a hundredth to spare for the float64 side
    flushed  numbers below 2^-126 count as zero on some processors: 2^-120 (d + sqrt(d) (|q| + R)) in all
    """

    root: float
    gamma: float
    flushed: float


@njit(nogil=True)
def arithmetic(dim: int) -> Arithmetic:
    """The constants of a dimension."""
    lost = (dim + 2) * UNIT_ROUNDOFF
    return Arithmetic(np.sqrt(dim), 1.01 * lost / (1 - lost), 2.0**-120 * dim)


@njit(nogil=True)
def float_error(constants: Arithmetic, row_norm: float, row_error: float) -> tuple[float, float]:
    """(a, c): sums of float32 products with bf16(x) are off by at most a |q| + c."""
    size = row_norm + row_error
    tiny = 2.0**-120 * constants.root
    return 1.0001 * row_error + constants.gamma * size + tiny, constants.flushed + tiny * row_norm


@njit(nogil=True)
def byte_error(constants: Arithmetic, row_norm: float, row_error: float, row_unit: float) -> tuple[float, float, float]:
    """(a, b, c): the byte kernel is off by at most a |q| + b |q - q'| + c.

    a and b hold the rounding of the integer sum to float32 as well.
    """
    error = row_error + constants.root * HALF_STEP * row_unit
    size = row_norm + error
    tiny = 2.0**-120 * constants.root
    return (
        1.0001 * error + 2.0**-22 * size + tiny,
        (1.0001 + 2.0**-22) * size,
        constants.flushed + tiny * row_norm,
    )
