"""Queries made ready for the first pass: rounded, with a rigorous bound on what that costs.

With x^ the rough row (see coarse.py), q^ the rounded query and approx the product of those in float32,

    <q, x> - approx  =  <q, x - x^>  +  <q - q^, x^>  +  (<q^, x^> - approx)
    |.|             <=  |q| E        +  |q - q^| (R + E)  +  gamma |q^| (R + E)

for every row of a block with |x| <= R and |x - x^| <= E (Cauchy-Schwarz). gamma = 4 (d + 16) 2^-23 allows any order of
d additions, each with four times the error of a truncated float32 one: matrix units may drop bits when they align
summands, and add several at a time. Underflow may lose 2^-120 (d + sqrt(d) (|q| + |x|)). Weights of boosts are added
in float32, which errs by less than 2^-21 of their sum of sizes.

Beside bfloat16 rows the query is rounded to bfloat16. Beside int8 rows it is the sum of two parts, each int8 times a
factor: products of codes are exact in int32, and the query's own error, which would double the bound, all but vanishes;
|q^| above is then the sum of the norms of the parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from gpu_index.cuda.coarse import LARGEST_CODE, SMALLEST_SCALE
from gpu_index.cuda.transfer import send
from gpu_index.scoring import bf16_bits, from_bf16_bits, norms_of

SMALLEST_BATCH = 16  # a matrix unit's narrowest side
MARGIN = 1.01  # covers the float32 arithmetic of the bound itself


@dataclass(frozen=True)
class Probe:
    """A batch of queries on the device, padded with zero queries to 16, 32 or 64.

    exact      float32[B,d]
    rounded    bfloat16[1,B,d] or int8[2,B,d]: the query is the sum of its parts times their factors
    factors    float32[1,B] or float32[2,B]
    slack      float32[3,B]: |true - approx| <= slack[0] R + slack[1] E + slack[2] for a row of a block with R and E
    boosts     float64[U,slots] sums of weights by slot, U = 0 without boosts
    boost_row  int32[B], the row of `boosts` that belongs to the query, -1 for none
    """

    exact: torch.Tensor
    rounded: torch.Tensor
    factors: torch.Tensor
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
            rounded=(self.rounded[:, at] * kept[:, None]).contiguous(),
            factors=self.factors[:, at].contiguous(),
            slack=(self.slack[:, at] * kept).contiguous(),
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
    return (masks[:, chosen.clamp(min=0)] * (chosen >= 0).to(torch.int32)).contiguous()


def probe_of(
    queries: np.ndarray,
    boosts: torch.Tensor,
    boost_row: np.ndarray,
    boost_sizes: np.ndarray,
    device: torch.device,
    int8: bool = False,
) -> Probe:
    """float32[n,d] queries; boosts and boost_row int32[n] as in Probe; boost_sizes float64[n], sums of |weight|."""
    count, dim = queries.shape
    batch = padded(count)
    exact = np.zeros((batch, dim), np.float32)
    exact[:count] = queries
    parts, factors = _int8_parts(exact) if int8 else _bf16_part(exact)
    summands = factors.astype(np.float64)[:, :, None] * (parts if int8 else from_bf16_bits(parts))  # [parts,B,d]
    norm, kept = norms_of(exact), np.linalg.norm(summands, axis=2).sum(axis=0)
    lost = np.linalg.norm(exact - summands.sum(axis=0), axis=1)
    gamma = 4 * (dim + 16) * 2.0**-23
    slack = np.empty((3, batch))
    slack[0] = lost + gamma * kept + 2.0**-120 * math.sqrt(dim)
    slack[1] = norm + slack[0]
    slack[2] = 2.0**-120 * (dim + math.sqrt(dim) * norm)
    slack[2, :count] += boost_sizes * 2.0**-21
    rows = np.full(batch, -1, np.int32)
    rows[:count] = boost_row
    whole = parts if int8 else parts.view(np.int16)
    sent = send([exact, whole, factors, (slack * MARGIN).astype(np.float32), rows], device)
    rounded = sent[1] if int8 else sent[1].view(torch.bfloat16)
    return Probe(sent[0], rounded, sent[2], sent[3], boosts, sent[4])


def _bf16_part(exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32[B,d] -> bits uint16[1,B,d] and factors of 1."""
    return bf16_bits(exact)[None], np.ones((1, len(exact)), np.float32)


def _int8_parts(exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32[B,d] -> codes int8[2,B,d] and factors float32[2,B]; the second part codes what the first one misses."""
    rest, codes, factors = exact.astype(np.float64), [], []
    for _ in range(2):
        factor = np.maximum(np.abs(rest).max(axis=1) / LARGEST_CODE, SMALLEST_SCALE).astype(np.float32)
        code = np.clip(np.rint(rest / factor[:, None]), -LARGEST_CODE, LARGEST_CODE)
        rest = rest - code * factor[:, None]
        codes.append(code.astype(np.int8))
        factors.append(factor)
    return np.stack(codes), np.stack(factors)
