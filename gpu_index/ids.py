"""From ids to slots: an open-addressing hash table in one int32 array, worked on a batch at a time.

The table holds slots only; the id of a slot is looked up in the array of ids that the row store has anyway: about six
bytes a row. Collisions probe linearly; a removed place stays marked until the table is laid out again.
"""

from __future__ import annotations

import numpy as np

FREE, GONE = -1, -2
FULLEST = 0.75  # share of places taken or gone at which the table is laid out again
ROOMY = 1.55  # places per id after that
SMALLEST = 64


class IdTable:
    """Which slot holds an id. `ids` below is int64[capacity], the id of each slot."""

    def __init__(self) -> None:
        self._places = np.full(SMALLEST, FREE, np.int32)
        self._live = 0
        self._gone = 0

    def __len__(self) -> int:
        return self._live

    def find(self, wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """int64[n] ids -> int64[n] slots, -1 for an id that is not there."""
        places = self._locate(wanted, ids)
        slots = np.full(len(wanted), -1, np.int64)
        there = places >= 0
        slots[there] = self._places[places[there]]
        return slots

    def add(self, slots: np.ndarray, ids: np.ndarray) -> None:
        """Enter slots int64[n] under ids[slots]; none of these ids is in the table."""
        if self._live + self._gone + len(slots) > FULLEST * len(self._places):
            self._lay_out(slots, ids)
        else:
            self._enter(slots, ids)

    def remove(self, wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Forget distinct ids; returns the slots of those that were there, in the order given."""
        places = self._locate(wanted, ids)
        places = places[places >= 0]
        slots: np.ndarray = self._places[places].astype(np.int64)
        self._places[places] = GONE
        self._live -= len(places)
        self._gone += len(places)
        return slots

    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._places.nbytes

    def _lay_out(self, more: np.ndarray, ids: np.ndarray) -> None:
        slots = np.concatenate([self._places[self._places >= 0].astype(np.int64), more])
        self._places = np.full(max(SMALLEST, int(ROOMY * len(slots))), FREE, np.int32)
        self._live, self._gone = 0, 0
        self._enter(slots, ids)

    def _enter(self, slots: np.ndarray, ids: np.ndarray) -> None:
        places = self._home(ids[slots])
        self._live += len(slots)
        while len(slots):
            free = np.flatnonzero(self._places[places] < 0)
            # Of several that want one place the last one written has it; the others go on.
            reused = self._places[places[free]] == GONE
            self._places[places[free]] = slots[free]
            won = self._places[places] == slots
            self._gone -= len(np.unique(places[free[reused]]))
            slots, places = slots[~won], (places[~won] + 1) % len(self._places)

    def _locate(self, wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The places of these ids, -1 where there is none."""
        found = np.full(len(wanted), -1, np.int64)
        places = self._home(wanted)
        pending = np.arange(len(wanted))
        while len(pending):
            slots = self._places[places]
            hit = (slots >= 0) & (ids[slots] == wanted[pending]) if len(ids) else np.zeros(len(pending), bool)
            found[pending[hit]] = places[hit]
            on = ~hit & (slots != FREE)
            pending, places = pending[on], (places[on] + 1) % len(self._places)
        return found

    def _home(self, ids: np.ndarray) -> np.ndarray:
        """Where to look first: ids mixed by Fibonacci hashing, so that ids in a row spread over the table."""
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        return ((mixed >> np.uint64(1)) % np.uint64(len(self._places))).astype(np.int64)
