"""The rows of an index: ids in slots, and their vectors per space. Knows nothing of terms and of searching.

A slot is a position in every array of the store. Slots of deleted rows are reused; when half of the slots are free the
index moves the last rows down (see index.py) and the store shrinks.

A float32 is kept in two halves that add up without loss: `high`, the bits of the nearest bfloat16, and `low`, what is
missing to its bits. So the first pass of a search reads half the memory, and there is no second copy of the vectors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_index.bitmap import WORD, slots_on, switch_off, switch_on, words_for
from gpu_index.ids import IdTable
from gpu_index.scoring import norms_of

GROWTH = 8  # room grows by an eighth; memory that was never written costs nothing
LINE_BYTES = 128  # rows of 64 numbers then never share one
SPARE = 64  # numbers that a kernel may read beyond the last row
ROUNDED_UP = 1 + 2.0**-20  # float64 bounds that are then stored as float32


class SpaceStore:
    """The vectors of one space by slot.

    high     uint16[capacity * dim + 64], bits of bfloat16, row after row
    low      int16, same shape: bits of the float32 = (high << 16) + low; None if all numbers are bfloat16
    present  bitmap of slots that are live and have a vector here
    block_norm, block_error, block_largest   float32[capacity / 64], per block of 64 slots upper bounds of |x|,
             |x - bf16(x)| and the numbers of bf16(x), over the vectors that lie there, those of deleted rows included
    """

    def __init__(self, dim: int, precision: str) -> None:
        self.dim = dim
        self.high = np.zeros(SPARE, np.uint16)
        self.low = np.zeros(SPARE, np.int16) if precision == "float32" else None
        self.present = np.zeros(0, np.uint64)
        self.block_norm = np.zeros(0, np.float32)
        self.block_error = np.zeros(0, np.float32)
        self.block_largest = np.zeros(0, np.float32)

    def resize(self, capacity: int) -> None:
        """Make room for so many slots, or give room back; new slots hold zeros."""
        numbers, blocks = capacity * self.dim + SPARE, words_for(capacity)
        self.high = _resized(self.high, numbers)
        if self.low is not None:
            self.low = _resized(self.low, numbers)
        self.present = _resized(self.present, blocks)
        self.block_norm, self.block_error, self.block_largest = (
            _resized(bound, blocks) for bound in (self.block_norm, self.block_error, self.block_largest)
        )

    def put(self, slots: np.ndarray, vectors: np.ndarray) -> None:
        """Store float32[n,dim] in distinct slots int64[n]."""
        bits = np.ascontiguousarray(vectors, np.float32).view(np.int32)
        high = ((bits + np.int32(0x8000)) >> np.int32(16)).astype(np.uint16)
        rows = self._rows(self.high)
        rows[slots] = high
        if self.low is not None:
            self._rows(self.low)[slots] = bits.astype(np.int16)  # the lower half as a signed number
        self._raise_bounds(slots, vectors, (high.astype(np.uint32) << np.uint32(16)).view(np.float32))
        switch_on(self.present, slots)

    def vectors(self, slots: np.ndarray) -> np.ndarray:
        """float32[n,dim] of slots int64[n]."""
        bits = self._rows(self.high)[slots].astype(np.int32) << np.int32(16)
        if self.low is not None:
            bits += self._rows(self.low)[slots]
        vectors: np.ndarray = bits.view(np.float32)
        return vectors

    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays: list[np.ndarray] = [self.high, self.present, self.block_norm, self.block_error, self.block_largest]
        return sum(array.nbytes for array in arrays) + (0 if self.low is None else self.low.nbytes)

    def _rows(self, part: np.ndarray) -> np.ndarray:
        return part[: len(part) - SPARE].reshape(-1, self.dim)

    def _raise_bounds(self, slots: np.ndarray, vectors: np.ndarray, rounded: np.ndarray) -> None:
        blocks = slots >> 6
        norm = norms_of(vectors) * ROUNDED_UP
        error = norms_of(vectors - rounded) * ROUNDED_UP
        largest = np.abs(rounded).max(axis=1, initial=0)
        touched = np.unique(blocks)
        top = np.zeros(len(self.block_norm))
        np.maximum.at(top, blocks, norm)
        # A block whose bound is far above its new rows may owe it to rows that are gone: look at all of it.
        stale = touched[self.block_norm[touched] > 2 * top[touched]]
        stale = stale[self.block_norm[stale] > 0]
        for bound, values in ((self.block_norm, norm), (self.block_error, error), (self.block_largest, largest)):
            np.maximum.at(bound, blocks, _upper(values))
        if len(stale):
            members = (stale[:, None] * WORD + np.arange(WORD)).ravel()
            members = members[members < len(self.high) // self.dim]
            inside = self.vectors(members)
            rough = (self._rows(self.high)[members].astype(np.uint32) << np.uint32(16)).view(np.float32)
            shape = (len(stale), WORD)
            self.block_norm[stale] = _upper((norms_of(inside) * ROUNDED_UP).reshape(shape).max(axis=1))
            self.block_error[stale] = _upper((norms_of(inside - rough) * ROUNDED_UP).reshape(shape).max(axis=1))
            self.block_largest[stale] = np.abs(rough).max(axis=1).reshape(shape).max(axis=1)


class RowStore:
    """Ids to slots and back, and one SpaceStore per space. A write costs about a microsecond a row in batches.

    ids     int64[capacity], -1 in a free slot; capacity is a multiple of 64
    live    bitmap of the slots that hold a row
    extent  all slots ever used are below
    """

    def __init__(self, spaces: Mapping[str, int], precision: str) -> None:
        self.spaces = {name: SpaceStore(dim, precision) for name, dim in spaces.items()}
        self.ids = np.empty(0, np.int64)
        self.live = np.zeros(0, np.uint64)
        self.extent = 0
        self._table = IdTable()
        self._free = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def capacity(self) -> int:
        """Slots there is room for."""
        return len(self.ids)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Slots of ids int64[n], -1 where there is no such row."""
        return self._table.find(ids, self.ids)

    def claim(self, ids: np.ndarray) -> np.ndarray:
        """A slot for each of the distinct ids, its own if it has one; the rows hold no vectors afterwards."""
        slots = self.find(ids)
        new = np.flatnonzero(slots < 0)
        reused = self._free[len(self._free) - min(len(new), len(self._free)) :]
        self._free = self._free[: len(self._free) - len(reused)]
        fresh = np.arange(self.extent, self.extent + len(new) - len(reused))
        self._reserve(self.extent + len(fresh))
        self.extent += len(fresh)
        slots[new] = np.concatenate([reused, fresh])
        self.ids[slots[new]] = ids[new]
        self._table.add(slots[new], self.ids)
        switch_on(self.live, slots[new])
        for space in self.spaces.values():
            switch_off(space.present, slots)
        return slots

    def release(self, ids: np.ndarray) -> np.ndarray:
        """Forget these distinct ids; the slots of those that were there."""
        slots = self._table.remove(ids, self.ids)
        self.ids[slots] = -1
        switch_off(self.live, slots)
        for space in self.spaces.values():
            switch_off(space.present, slots)
        self._free = np.concatenate([self._free, slots])
        return slots

    def slots_by_id(self) -> np.ndarray:
        """All live slots, ids ascending."""
        slots = slots_on(self.live)
        return slots[np.argsort(self.ids[slots])]

    def free(self) -> int:
        """How many slots below the extent hold nothing."""
        return len(self._free)

    def truncate(self) -> None:
        """Give back the free slots at the end; the others stay free."""
        live = slots_on(self.live)
        self.extent = int(live[-1]) + 1 if len(live) else 0
        self._free = self._free[self._free < self.extent]
        self._resize(words_for(self.extent) * WORD)

    def lowest_first(self) -> None:
        """From now on the lowest free slots are claimed first."""
        self._free = np.sort(self._free)[::-1].copy()

    def nbytes(self) -> int:
        """Bytes of all arrays."""
        own = self.ids.nbytes + self.live.nbytes + self._free.nbytes + self._table.nbytes()
        return own + sum(space.nbytes() for space in self.spaces.values())

    def _reserve(self, slots: int) -> None:
        if slots > self.capacity:
            self._resize(words_for(max(slots, self.capacity + self.capacity // GROWTH)) * WORD)

    def _resize(self, capacity: int) -> None:
        known = min(capacity, self.capacity)
        ids = np.full(capacity, -1, np.int64)
        ids[:known] = self.ids[:known]
        self.ids = ids
        self.live = _resized(self.live, words_for(capacity))
        for space in self.spaces.values():
            space.resize(capacity)


def _resized(array: np.ndarray, length: int) -> np.ndarray:
    """The first `length` entries and zeros after them, in memory that begins at a cache line."""
    room = np.zeros(length * array.itemsize + LINE_BYTES, np.uint8)
    skipped = -room.ctypes.data % LINE_BYTES
    resized = room[skipped : skipped + length * array.itemsize].view(array.dtype)
    known = min(length, len(array))
    resized[:known] = array[:known]
    return resized


def _upper(values: np.ndarray) -> np.ndarray:
    """float64 -> float32 that is not smaller."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))
