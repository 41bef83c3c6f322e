"""What a score is, to the bit.

    score(q, x, boosts) = float32( fold(q * x) + sum of boosts )

The product of two float32 is exact in float64, so a fused multiply-add changes nothing and only the order of the
additions matters. `fold` fixes it: add the upper half of the products onto the lower half (the middle one of an odd
count stays) until one is left. The order depends on the dimension alone, never on the batch, the engine or the machine.
Boosts are added in the order of their terms, then the sum to the dot product.

Norms are at most 1e18 and the boosts of a query at most 1e38 in sum, so no score leaves the range of float32.
Zero is always +0.0.
"""

from __future__ import annotations

import numpy as np

LARGEST_NORM = 1e18
LARGEST_BOOST = 1e38
CHUNK_VALUES = 1 << 20  # float64 values in flight: 8 MiB


def exact_dots(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """query float32[d], vectors float32[m,d] -> float64[m], summed by `fold`. Time and traffic grow with m * d."""
    rows, dim = vectors.shape
    wide_query = query.astype(np.float64)
    dots = np.empty(rows, np.float64)
    step = max(1, CHUNK_VALUES // dim)
    for start in range(0, rows, step):
        products = vectors[start : start + step] * wide_query  # float64[step,d], exact
        width = dim
        while width > 1:
            half = (width + 1) // 2
            products[:, : width - half] += products[:, half:width]
            width = half
        dots[start : start + step] = products[:, 0]
    return dots


def rounded(dots: np.ndarray, boosts: np.ndarray | float) -> np.ndarray:
    """float64[m] dots plus boosts, rounded once -> float32[m]. Monotone in both: bounds on dots bound the scores."""
    return (dots + boosts).astype(np.float32) + np.float32(0)  # turns -0.0 into 0.0


def norms_of(vectors: np.ndarray) -> np.ndarray:
    """Euclidean norms in float64: float32[m,d] -> float64[m]."""
    rows, dim = vectors.shape
    norms = np.empty(rows, np.float64)
    step = max(1, CHUNK_VALUES // dim)
    for start in range(0, rows, step):
        norms[start : start + step] = np.sqrt(np.square(vectors[start : start + step], dtype=np.float64).sum(axis=1))
    return norms


def bf16_bits(vectors: np.ndarray) -> np.ndarray:
    """float32 -> uint16 bits of the nearest bfloat16, ties to even. Finite values below 1e38 stay finite."""
    bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bf16_bits(bits: np.ndarray) -> np.ndarray:
    """uint16 bits of bfloat16 -> the same numbers as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
