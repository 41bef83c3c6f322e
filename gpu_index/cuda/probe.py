"""Queries made ready for the first pass: rounded to bfloat16, with a rigorous bound on what that costs.

With x^ and q^ the bfloat16 neighbours of row x and query q, and approx the float32 product of those,

    <q, x> - approx  =  <q, x - x^>  +  <q - q^, x^>  +  (<q^, x^> - approx)
    |.|             <=  |q| E        +  |q - q^| (R + E)  +  gamma |q^| (R + E)

for every row of a block with |x| <= R and |x - x^| <= E (Cauchy-Schwarz). gamma = 4 (d + 16) 2^-23 allows any order of
d additions, each with four times the error of a truncated float32 one: matrix units may drop bits when they align
summands, and add several at a time. What underflow may lose has the bound of `scoring.error_bound`. Weights of boosts
are added in float32, which errs by less than 2^-21 of their sum of sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from gpu_index.cuda.transfer import send
from gpu_index.scoring import bf16_bits, from_bf16_bits, norms_of

SMALLEST_BATCH = 16  # a matrix unit's narrowest side
MARGIN = 1.01  # covers the float32 arithmetic of the bound itself


@dataclass(frozen=True)
class Probe:
    """A batch of queries on the device, padded with zero queries to 16, 32 or 64.

    exact      float32[B,d]
    rounded    bfloat16[B,d]
    slack      float32[3,B]: |true - approx| <= slack[0] R + slack[1] E + slack[2] for a row of a block with R and E
    boosts     float64[U,slots] sums of weights by slot, U = 0 without boosts
    boost_row  int32[B], the row of `boosts` that belongs to the query, -1 for none
    """

    exact: torch.Tensor
    rounded: torch.Tensor
    slack: torch.Tensor
    boosts: torch.Tensor
    boost_row: torch.Tensor

    def __len__(self) -> int:
        return len(self.exact)

    def take(self, columns: np.ndarray) -> Probe:
        """These queries alone, padded again."""
        chosen = padded_columns(columns, self.exact.device)
        kept = chosen >= 0
        at = chosen.clamp(min=0)
        return replace(
            self,
            exact=self.exact[at] * kept[:, None],
            rounded=self.rounded[at] * kept[:, None],
            slack=self.slack[:, at] * kept,
            boost_row=torch.where(kept, self.boost_row[at], -1),
        )


def padded(queries: int) -> int:
    """The batch size that holds so many queries: 16, 32 or 64."""
    return max(SMALLEST_BATCH, 1 << (queries - 1).bit_length())


def padded_columns(columns: np.ndarray, device: torch.device) -> torch.Tensor:
    """int64[padded], the columns and then -1."""
    filled = np.full(padded(len(columns)), -1, np.int64)
    filled[: len(columns)] = columns
    return torch.from_numpy(filled).to(device)


def take_columns(masks: torch.Tensor, columns: np.ndarray) -> torch.Tensor:
    """Masks int32[W,B] of these queries alone, padded again with queries that match nothing."""
    chosen = padded_columns(columns, masks.device)
    return masks[:, chosen.clamp(min=0)] * (chosen >= 0).to(torch.int32)


def probe_of(
    queries: np.ndarray, boosts: torch.Tensor, boost_row: np.ndarray, boost_sizes: np.ndarray, device: torch.device
) -> Probe:
    """float32[n,d] queries; boosts and boost_row int32[n] as in Probe; boost_sizes float64[n], sums of |weight|."""
    count, dim = queries.shape
    batch = padded(count)
    exact = np.zeros((batch, dim), np.float32)
    exact[:count] = queries
    bits = bf16_bits(exact)
    rounded = from_bf16_bits(bits)
    gamma = 4 * (dim + 16) * 2.0**-23
    norm, lost, kept = norms_of(exact), _distance(exact, rounded), norms_of(rounded)
    slack = np.empty((3, batch))
    slack[0] = lost + gamma * kept + 2.0**-120 * math.sqrt(dim)
    slack[1] = norm + slack[0]
    slack[2] = 2.0**-120 * (dim + math.sqrt(dim) * norm)
    slack[2, :count] += boost_sizes * 2.0**-21
    rows = np.full(batch, -1, np.int32)
    rows[:count] = boost_row
    sent = send([exact, bits.view(np.int16), (slack * MARGIN).astype(np.float32), rows], device)
    return Probe(sent[0], sent[1].view(torch.bfloat16), sent[2], boosts, sent[3])


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float64[n], the norms of the differences."""
    distances: np.ndarray = np.linalg.norm(one.astype(np.float64) - other, axis=1)
    return distances
