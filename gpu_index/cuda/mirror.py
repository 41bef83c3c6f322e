"""The rows of an index on a device: what `rows.py` keeps on the host, copied when it has changed.

A write only notes its slots. The next search copies what these slots hold now, so a row written many times in between
travels once: 4 bytes a dimension (2 in bf16) plus a few words a row. After the capacity has changed the device arrays
are replaced, old contents copied on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch

from gpu_index.cuda.transfer import send

BLOCK_SLOTS = 64  # slots that share one bound on norms and rounding errors


class HostSpace(Protocol):
    """Vectors of one space on the host.

    high         uint16[capacity*dim + spare], the bfloat16 neighbours, row after row
    low          int16 of the same shape, bits of the float32 = (high << 16) + low; None if the vectors are bfloat16
    present      uint64[capacity/64], the slots that are live and have a vector here
    block_norm   float32[capacity/64], no vector of the block is longer
    block_error  float32[capacity/64], no vector of the block is farther from its bfloat16 neighbour
    """

    dim: int
    high: np.ndarray
    low: np.ndarray | None
    present: np.ndarray
    block_norm: np.ndarray
    block_error: np.ndarray


class HostRows(Protocol):
    """Rows on the host: ids int64[capacity], live uint64[capacity/64], spaces by name; all live slots below extent."""

    ids: np.ndarray
    live: np.ndarray
    extent: int

    @property
    def spaces(self) -> Mapping[str, HostSpace]: ...


class SpaceMirror:
    """One space on the device.

    high     bfloat16[capacity,dim]
    low      int16[capacity,dim] or None
    present  int32[capacity/32]
    norm, error  float32[capacity/64]
    """

    def __init__(self, dim: int, device: torch.device, low: bool) -> None:
        self.dim = dim
        self.high = torch.zeros((0, dim), dtype=torch.bfloat16, device=device)
        self.low = torch.zeros((0, dim), dtype=torch.int16, device=device) if low else None
        self.present = torch.zeros(0, dtype=torch.int32, device=device)
        self.norm = torch.zeros(0, dtype=torch.float32, device=device)
        self.error = torch.zeros(0, dtype=torch.float32, device=device)

    def resize(self, capacity: int) -> None:
        """Room for so many slots; new ones hold nothing."""
        self.high = resized(self.high, capacity)
        if self.low is not None:
            self.low = resized(self.low, capacity)
        self.present = resized(self.present, capacity // 32)
        self.norm, self.error = resized(self.norm, capacity // 64), resized(self.error, capacity // 64)

    def nbytes(self) -> int:
        """Bytes on the device."""
        held = [self.high, self.present, self.norm, self.error] + ([] if self.low is None else [self.low])
        return sum(part.nbytes for part in held)


class Mirror:
    """ids int64[capacity] and live int32[capacity/32] on the device, and one SpaceMirror per space."""

    def __init__(self, rows: HostRows, device: torch.device) -> None:
        self._rows = rows
        self.device = device
        self.ids = torch.zeros(0, dtype=torch.int64, device=device)
        self.live = torch.zeros(0, dtype=torch.int32, device=device)
        self.spaces = {
            name: SpaceMirror(space.dim, device, space.low is not None) for name, space in rows.spaces.items()
        }
        self._written: list[np.ndarray] = []
        self._cleared: list[np.ndarray] = []
        if rows.extent:
            self.wrote(np.arange(rows.extent))

    @property
    def capacity(self) -> int:
        """Slots on the device."""
        return len(self.ids)

    def wrote(self, slots: np.ndarray) -> None:
        """The next refresh copies these slots whole."""
        self._written.append(slots)

    def deleted(self, slots: np.ndarray) -> None:
        """The next refresh copies the bits of these slots."""
        self._cleared.append(slots)

    def adopt(self, ids: torch.Tensor, live: torch.Tensor) -> None:
        """Take ids int64[capacity] and live bits that are on the device already, for rows that have no host.

        The arrays of the spaces are the caller's to set as well. Such rows can be searched, but not be written.
        """
        self.ids, self.live = ids, live

    def refresh(self) -> None:
        """Make the device equal to the host."""
        if not (self._written or self._cleared):
            return
        capacity = len(self._rows.ids)
        if capacity != self.capacity:
            self.ids, self.live = resized(self.ids, capacity), resized(self.live, capacity // 32)
            for mirror in self.spaces.values():
                mirror.resize(capacity)
        written = np.unique(np.concatenate([np.empty(0, np.int64), *self._written]))
        touched = np.unique(np.concatenate([written, *self._cleared]))
        self._copy_bits(touched[touched < capacity])
        self._copy_vectors(written[written < capacity])
        self._written, self._cleared = [], []

    def nbytes(self) -> int:
        """Bytes on the device."""
        return self.ids.nbytes + self.live.nbytes + sum(mirror.nbytes() for mirror in self.spaces.values())

    def _copy_bits(self, slots: np.ndarray) -> None:
        words = np.unique(slots >> 5)
        put(self.live, words, self._rows.live.view(np.int32)[words])
        put(self.ids, slots, self._rows.ids[slots])
        for name, mirror in self.spaces.items():
            put(mirror.present, words, self._rows.spaces[name].present.view(np.int32)[words])

    def _copy_vectors(self, slots: np.ndarray) -> None:
        blocks, capacity = np.unique(slots // BLOCK_SLOTS), len(self._rows.ids)
        for name, mirror in self.spaces.items():
            host = self._rows.spaces[name]
            shape = capacity, host.dim
            high = host.high[: capacity * host.dim].view(np.int16).reshape(shape)
            put(mirror.high.view(torch.int16), slots, high[slots])
            if mirror.low is not None and host.low is not None:
                put(mirror.low, slots, host.low[: capacity * host.dim].reshape(shape)[slots])
            put(mirror.norm, blocks, host.block_norm[blocks])
            put(mirror.error, blocks, host.block_error[blocks])


def resized(tensor: torch.Tensor, length: int) -> torch.Tensor:
    """The same contents, cut or with zeros behind them."""
    changed = torch.zeros((length, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
    known = min(length, len(tensor))
    changed[:known] = tensor[:known]
    return changed


def put(tensor: torch.Tensor, places: np.ndarray, values: np.ndarray) -> None:
    """tensor[places] = values, from the host."""
    if len(places):
        at, there = send([places, values], tensor.device)
        tensor[at] = there
