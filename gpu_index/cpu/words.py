"""Whole runs of bitmap words at once, and the two bit instructions that numba does not offer by itself.

Bit b of word w stands for slot 64 w + b. All runs given to one function have the same length. The plain loops become
vector instructions; the counts are sums of the processor's population count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from market.compiled import njit

ONE, SIX, LAST_SIX = np.uint64(1), np.uint64(6), np.uint64(63)


def _ones(typing: Any, word: Any) -> Any:
    """The number of set bits of a uint64, as a uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def _lowest(typing: Any, word: Any) -> Any:
    """The position of the lowest set bit of a uint64 that is not 0, as a uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


ones: Any = intrinsic(_ones)
lowest: Any = intrinsic(_lowest)


@njit(nogil=True)
def clear(into: np.ndarray) -> None:
    """into = 0."""
    for w in range(len(into)):
        into[w] = 0


@njit(nogil=True)
def copy(into: np.ndarray, other: np.ndarray) -> None:
    """into = other."""
    for w in range(len(into)):
        into[w] = other[w]


@njit(nogil=True)
def unite(into: np.ndarray, other: np.ndarray) -> None:
    """into |= other."""
    for w in range(len(into)):
        into[w] |= other[w]


@njit(nogil=True)
def unite_of(into: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """into = one | other."""
    for w in range(len(into)):
        into[w] = one[w] | other[w]


@njit(nogil=True)
def count(words: np.ndarray) -> int:
    """The number of set bits."""
    total = np.uint64(0)
    for w in range(len(words)):
        total += ones(words[w])
    return np.int64(total)  # type: ignore[return-value]


@njit(nogil=True)
def keep(into: np.ndarray, other: np.ndarray) -> int:
    """into &= other; the number of bits left."""
    total = np.uint64(0)
    for w in range(len(into)):
        word = into[w] & other[w]
        into[w] = word
        total += ones(word)
    return np.int64(total)  # type: ignore[return-value]


@njit(nogil=True)
def keep_of(into: np.ndarray, one: np.ndarray, other: np.ndarray) -> int:
    """into = one & other; the number of bits set."""
    total = np.uint64(0)
    for w in range(len(into)):
        word = one[w] & other[w]
        into[w] = word
        total += ones(word)
    return np.int64(total)  # type: ignore[return-value]


@njit(nogil=True)
def drop(into: np.ndarray, other: np.ndarray) -> int:
    """into &= ~other; the number of bits left."""
    total = np.uint64(0)
    for w in range(len(into)):
        word = into[w] & ~other[w]
        into[w] = word
        total += ones(word)
    return np.int64(total)  # type: ignore[return-value]
