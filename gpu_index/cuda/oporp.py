"""Preselection by 1-bit sketches: cheap, and not exact. Off unless an engine is given an `Oporp`.

One permutation and one random projection (Li and Li, OPORP, arXiv 2302.03505; signs of it as in LinkedIn's job search,
arXiv 2402.13435): the dimensions of a vector are permuted, given random signs, cut into `bits` runs and summed; a bit
says whether a sum is negative. The share of bits in which two sketches differ estimates the angle between the vectors,
so the rows nearest to the query in Hamming distance are kept and everything after that is exact. Norms and boosts play
no part in the choice. The first pass reads 1 bit instead of 16 per sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gpu_index.cuda.mirror import SpaceMirror, resized
from gpu_index.cuda.transfer import send
from market.errors import ConfigError

CHUNK_ROWS = 1 << 18
ALL_BUT_SIGN = 0x7FFFFFFF


@dataclass(frozen=True)
class Oporp:
    """bits  of a sketch, a multiple of 32
    keep  about so many matching rows per query, those with the nearest sketches, are scored
    seed  of the permutation and the signs
    """

    bits: int = 128
    keep: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bits < 32 or self.bits % 32:
            raise ConfigError(f"bits is {self.bits}; expected a positive multiple of 32")
        if self.keep < 1:
            raise ConfigError(f"keep is {self.keep}; expected 1 or more")

    def sketch(self, vectors: torch.Tensor) -> torch.Tensor:
        """float32[n,d] -> int32[n,bits/32]. Bits for which no dimension is left are 0."""
        count, dim = vectors.shape
        rng = np.random.default_rng([self.seed, dim])
        run = -(-dim // self.bits)
        order = rng.permutation(dim)
        signs = rng.choice([-1.0, 1.0], dim).astype(np.float32)
        at, by = send([order, signs], vectors.device)
        shuffled = torch.nn.functional.pad(vectors[:, at] * by, (0, run * self.bits - dim))
        negative = shuffled.view(count, self.bits // 32, 32, run).sum(dim=3) < 0
        shifts = torch.arange(32, dtype=torch.int32, device=vectors.device)
        return (negative.to(torch.int32) << shifts).sum(dim=2, dtype=torch.int32)


class Sketches:
    """Sketches of all rows, by space; made when a search first asks, then kept up to date with what was written."""

    def __init__(self, oporp: Oporp) -> None:
        self.oporp = oporp
        self._held: dict[str, torch.Tensor] = {}
        self._written: dict[str, list[np.ndarray]] = {}

    def wrote(self, slots: np.ndarray) -> None:
        """These slots have other vectors now."""
        for waiting in self._written.values():
            waiting.append(slots)

    def of(self, name: str, space: SpaceMirror) -> torch.Tensor:
        """int32[capacity,bits/32] of a space whose mirror is up to date."""
        capacity = len(space.high)
        if name not in self._held:
            self._held[name] = torch.zeros((0, self.oporp.bits // 32), dtype=torch.int32, device=space.high.device)
            self._written[name] = [np.arange(capacity)]
        if len(self._held[name]) != capacity:
            self._held[name] = resized(self._held[name], capacity)
        for slots in self._written[name]:
            for first in range(0, len(slots), CHUNK_ROWS):
                part = slots[first : first + CHUNK_ROWS]
                (at,) = send([part[part < capacity]], space.high.device)
                self._held[name][at] = self.oporp.sketch(space.high[at].float())
        self._written[name] = []
        return self._held[name]

    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(held.nbytes for held in self._held.values())


def limits(oporp: Oporp, sketches: torch.Tensor, masks: torch.Tensor, wanted: torch.Tensor, every: int) -> torch.Tensor:
    """int32[B]: the Hamming distance within which about `keep` matching rows of each query lie, guessed from a sample.

    masks int32[W,B], wanted int32[B,bits/32]. `bits`, which is every row, where the sample has too few matches.
    """
    capacity = masks.shape[0] * 32
    slots = torch.arange(0, capacity, every, device=masks.device)
    rank = -(-oporp.keep // every)
    if len(slots) < rank:
        return torch.full((len(wanted),), oporp.bits, dtype=torch.int32, device=masks.device)
    matched = (masks[slots >> 5] >> (slots & 31)[:, None].to(torch.int32)) & 1
    apart = torch.where(matched.bool(), distances(sketches[slots], wanted), oporp.bits)
    return apart.topk(rank, dim=0, largest=False).values[-1].contiguous()


def distances(sketches: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Hamming distances int32[n,B] of sketches int32[n,w] and int32[B,w]."""
    apart = torch.zeros((len(sketches), len(wanted)), dtype=torch.int32, device=sketches.device)
    for word in range(sketches.shape[1]):
        bits = sketches[:, None, word] ^ wanted[None, :, word]
        top = (bits < 0).to(torch.int32)  # counted apart: shifting a negative number right would copy its sign
        bits = bits & ALL_BUT_SIGN
        bits = (bits & 0x55555555) + ((bits >> 1) & 0x55555555)
        bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
        bits = (bits & 0x0F0F0F0F) + ((bits >> 4) & 0x0F0F0F0F)
        bits = (bits & 0x00FF00FF) + ((bits >> 8) & 0x00FF00FF)
        apart += (bits & 0xFFFF) + (bits >> 16) + top
    return apart
