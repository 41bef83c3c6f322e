"""The rows of an index: ids in slots, and their vectors per space.

A slot is a position in every array of the store. Deleted slots are reused, so arrays never shrink and never shift.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpu_index.scoring import norms_of


class SpaceStore:
    """The vectors of one space by slot.

    vectors  float32[capacity, dim]
    norms    float64[capacity]
    present  bool[capacity], whether the slot is live and has a vector here
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.vectors = np.zeros((0, dim), np.float32)
        self.norms = np.zeros(0, np.float64)
        self.present = np.zeros(0, bool)

    def reserve(self, capacity: int) -> None:
        """Make room; new slots hold nothing."""
        extra = capacity - len(self.present)
        self.vectors = np.concatenate([self.vectors, np.zeros((extra, self.dim), np.float32)])
        self.norms = np.concatenate([self.norms, np.zeros(extra)])
        self.present = np.concatenate([self.present, np.zeros(extra, bool)])

    def put(self, slots: np.ndarray, vectors: np.ndarray) -> None:
        """Store float32[len(slots), dim]."""
        self.vectors[slots] = vectors
        self.norms[slots] = norms_of(vectors)
        self.present[slots] = True


class RowStore:
    """Ids to slots and back, and one SpaceStore per space. Writes cost O(1) per row on average."""

    def __init__(self, spaces: Mapping[str, int]) -> None:
        self.spaces = {name: SpaceStore(dim) for name, dim in spaces.items()}
        self.ids = np.empty(0, np.int64)  # int64[capacity], -1 in a free slot
        self.extent = 0  # slots ever used: all live slots are below
        self._slot_of: dict[int, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._slot_of)

    def slot(self, row_id: int) -> int | None:
        """The slot of an id, None if there is no such row."""
        return self._slot_of.get(row_id)

    def claim(self, ids: np.ndarray) -> np.ndarray:
        """A slot for each of the distinct ids, its own if it has one; the rows hold no vectors afterwards."""
        wanted = ids.tolist()
        missing = [row_id for row_id in wanted if row_id not in self._slot_of]
        fresh = max(0, len(missing) - len(self._free))
        self._reserve(self.extent + fresh)
        for row_id in missing:
            if self._free:
                self._slot_of[row_id] = self._free.pop()
            else:
                self._slot_of[row_id] = self.extent
                self.extent += 1
        slots = np.array([self._slot_of[row_id] for row_id in wanted], np.int64)
        self.ids[slots] = ids
        for space in self.spaces.values():
            space.present[slots] = False
        return slots

    def release(self, ids: np.ndarray) -> np.ndarray:
        """Forget these ids; the slots of those that were there."""
        found = [self._slot_of.pop(row_id) for row_id in ids.tolist() if row_id in self._slot_of]
        slots = np.array(found, np.int64)
        self.ids[slots] = -1
        for space in self.spaces.values():
            space.present[slots] = False
        self._free.extend(found)
        return slots

    def live(self) -> np.ndarray:
        """bool[extent], which slots hold a row."""
        return self.ids[: self.extent] >= 0

    def slots_by_id(self) -> np.ndarray:
        """All live slots, ids ascending."""
        slots = np.flatnonzero(self.live())
        return slots[np.argsort(self.ids[slots])]

    def _reserve(self, capacity: int) -> None:
        if capacity <= len(self.ids):
            return
        capacity = max(capacity, len(self.ids) * 3 // 2)
        self.ids = np.concatenate([self.ids, np.full(capacity - len(self.ids), -1, np.int64)])
        for space in self.spaces.values():
            space.reserve(capacity)
