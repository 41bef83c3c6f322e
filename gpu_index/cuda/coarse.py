"""What the first pass reads: vectors in bfloat16, or in int8 with one scale per block of 64 rows.

bfloat16 is the upper half of the mirror and costs nothing. int8 codes are a second copy of one byte a dimension, made
on the device from the stored vectors when a search first asks and kept up to date with what is written: half the
traffic of a scan for a bound about four times as wide, so more survivors. It pays for small batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gpu_index.cuda.mirror import BLOCK_SLOTS, SpaceMirror, resized
from gpu_index.cuda.transfer import send

CHUNK_BLOCKS = 1 << 13
LARGEST_CODE = 127
SMALLEST_SCALE = 2.0**-110  # keeps products of scales clear of the numbers that underflow
ROUNDED_UP = 1 + 2.0**-20  # float64 bounds that are then stored as float32


@dataclass(frozen=True)
class Coarse:
    """Rough vectors and how rough they are.

    values  bfloat16 or int8 [capacity,dim]
    scale   float32[capacity/64], what a code of the block counts; None for bfloat16
    norm    float32[capacity/64], no stored vector of the block is longer
    error   float32[capacity/64], no stored vector of the block is farther from its rough one
    """

    values: torch.Tensor
    scale: torch.Tensor | None
    norm: torch.Tensor
    error: torch.Tensor

    @property
    def int8(self) -> bool:
        """Whether the values are codes."""
        return self.scale is not None


def bf16_of(space: SpaceMirror) -> Coarse:
    """The upper halves of a space."""
    return Coarse(space.high, None, space.norm, space.error)


class Int8Codes:
    """Codes of all rows, by space."""

    def __init__(self) -> None:
        self._held: dict[str, Coarse] = {}
        self._written: dict[str, list[np.ndarray]] = {}

    def wrote(self, slots: np.ndarray) -> None:
        """These slots have other vectors now."""
        for waiting in self._written.values():
            waiting.append(slots)

    def of(self, name: str, space: SpaceMirror) -> Coarse:
        """The codes of a space whose mirror is up to date; blocks that were written are coded anew."""
        capacity, device = len(space.high), space.high.device
        if name not in self._held:
            codes = torch.zeros((0, space.dim), dtype=torch.int8, device=device)
            nothing = torch.zeros(0, dtype=torch.float32, device=device)
            self._held[name] = Coarse(codes, nothing, space.norm, nothing)
            self._written[name] = [np.arange(capacity)]
        held = self._held[name]
        assert held.scale is not None
        blocks = capacity // BLOCK_SLOTS
        if len(held.values) != capacity:
            held = Coarse(
                resized(held.values, capacity), resized(held.scale, blocks), space.norm, resized(held.error, blocks)
            )
            self._held[name] = held
        waiting, self._written[name] = self._written[name], []
        if waiting:
            touched = np.unique(np.concatenate(waiting) // BLOCK_SLOTS)
            for first in range(0, len(touched), CHUNK_BLOCKS):
                part = touched[first : first + CHUNK_BLOCKS]
                (at,) = send([part[part < blocks]], device)
                _code(held, space, at)
        return Coarse(held.values, held.scale, space.norm, held.error)

    def nbytes(self) -> int:
        """Bytes on the device."""
        held = self._held.values()
        return sum(part.values.nbytes + 2 * part.error.nbytes for part in held)


def stored(space: SpaceMirror, slots: torch.Tensor) -> torch.Tensor:
    """The stored vectors float32[n,d] of these slots."""
    if space.low is None:
        return space.high[slots].float()
    bits = (space.high[slots].view(torch.int16).to(torch.int32) << 16) + space.low[slots]
    return bits.view(torch.float32)


def _code(held: Coarse, space: SpaceMirror, blocks: torch.Tensor) -> None:
    """Write codes, scale and error of these blocks int64[n]."""
    slots = (blocks[:, None] * BLOCK_SLOTS + torch.arange(BLOCK_SLOTS, device=blocks.device)).flatten()
    vectors = stored(space, slots).view(len(blocks), -1)  # [n, 64 d]
    scale = (vectors.abs().amax(dim=1) / LARGEST_CODE).clamp(min=SMALLEST_SCALE)
    codes = (vectors / scale[:, None]).round().clamp(-LARGEST_CODE, LARGEST_CODE)
    lost = (vectors.double() - codes.double() * scale.double()[:, None]).view(-1, space.dim).norm(dim=1)
    assert held.scale is not None
    held.values[slots] = codes.to(torch.int8).view(-1, space.dim)
    held.scale[blocks] = scale
    held.error[blocks] = (lost.view(-1, BLOCK_SLOTS).amax(dim=1) * ROUNDED_UP).float()
