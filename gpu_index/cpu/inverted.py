"""Which slots have a term, kept up to date change by change: `Inverted`.

A term that more than one slot in `dense_share` has is a bitmap row, any other a list of slots; `postings.py` says how
lists stand changes. A bitmap row becomes a list again at half of that, so that a term at the limit does not swing.

Memory: capacity / 8 bytes a bitmap row, about 4.6 bytes a listed slot, 32 bytes a term number.
"""

from __future__ import annotations

import numpy as np

from gpu_index.bitmap import slots_on
from gpu_index.cpu.postings import PROGRESS, TERM, close_holes, make_sparse, roomy, without_common, write
from gpu_index.engine import TermPairs
from market.errors import ConfigError

NOTHING = np.empty(0, np.int64)


class Inverted:
    """The slots of every term.

    dense_share  a term of more than capacity / dense_share slots gets a bitmap row
    patience     a list is tidied when its untidy entries exceed so many times the square root of all

    The arrays may be replaced by any write: readers take them anew each time.

    terms  TERM[numbers], one record a term number
    pool   int32[...], the regions of the listed terms
    bits   uint64[D, capacity / 64], the bitmap rows
    owner  int32[D], the term number of each bitmap row, -1 of a free one
    """

    def __init__(self, dense_share: int = 64, patience: int = 3) -> None:
        if dense_share < 1 or patience < 0:
            raise ConfigError(f"dense_share is {dense_share}, patience {patience}; expected at least 1 and at least 0")
        self._dense_share, self._patience = dense_share, patience
        self.terms = _blank(0)
        self.pool = np.empty(0, np.int32)
        self.bits = np.zeros((0, 0), np.uint64)
        self.owner = np.empty(0, np.int32)
        self.extent = 0  # all slots that ever had a term are below
        self._progress = np.zeros(1, PROGRESS)

    def reserve(self, capacity: int) -> None:
        """Make room for slots below `capacity`, a multiple of 64."""
        words = capacity // 64
        if words <= self.bits.shape[1]:
            return
        kept = np.flatnonzero(self.owner >= 0)
        bits = np.zeros((len(kept), words), np.uint64)
        bits[:, : self.bits.shape[1]] = self.bits[kept]
        self.bits, self.owner = bits, self.owner[kept]
        self.terms["row"][self.owner] = np.arange(len(kept))
        for number in self.owner[self.terms["count"][self.owner] < self._sparse_below].tolist():
            self._grow_pool(roomy(int(self.terms["count"][number])))
            make_sparse(self.terms[number], self._progress[0], self.pool, self.bits, self.owner)

    def trim(self, capacity: int) -> None:
        """Give back the room above `capacity`, a multiple of 64; no slot there has a term."""
        self.bits = self.bits[:, : capacity // 64].copy()
        self.extent = min(self.extent, capacity)

    def replace(self, lost: TermPairs, gained: TermPairs) -> None:
        """The slots of `lost` no longer have those terms, the slots of `gained` do; a pair in both stays as it is.

        Slots are below the reserved capacity. Every lost pair was gained before, and no other gained pair is there
        already. Cost: a sort of the pairs, then about one to two hundred nanoseconds a pair.
        """
        gone, come = _changes(lost), _changes(gained)
        if len(gone) and len(come):
            left, added = without_common(gone, come)
            gone, come = gone[:left], come[:added]
        if len(gained):
            self.extent = max(self.extent, int(gained.slots.max()) + 1)
            top = int(gained.numbers.max()) + 1
            if top > len(self.terms):
                self.terms = np.concatenate([self.terms, _blank(max(top, len(self.terms) * 5 // 4) - len(self.terms))])
        progress = self._progress[0]
        progress["lost_at"] = progress["gained_at"] = 0
        while not write(
            gone,
            come,
            self._progress,
            self.terms,
            self.pool,
            self.bits,
            self.owner,
            self._sparse_below * 2,
            self._sparse_below,
            self._patience,
        ):
            if progress["rows"]:
                self._grow_bits()
            else:
                self._grow_pool(int(progress["entries"]))
            progress["rows"] = progress["entries"] = 0

    def frequency(self, number: int) -> int:
        """How many slots have the term: exact, slots of deleted rows that nothing was written to since included."""
        return int(self.terms["count"][number]) if number < len(self.terms) else 0

    def slots_of(self, number: int) -> np.ndarray:
        """Those slots, int64[frequency], ascending."""
        if self.frequency(number) == 0:
            return NOTHING
        term = self.terms[number]
        if term["row"] >= 0:
            return slots_on(self.bits[term["row"]])
        entries = self.pool[term["start"] : term["start"] + term["main"] + term["tail"]]
        return np.sort(entries[entries >= 0]).astype(np.int64)

    def nbytes(self) -> int:
        """Bytes of all arrays, unused room included."""
        return self.terms.nbytes + self.pool.nbytes + self.bits.nbytes + self.owner.nbytes

    @property
    def _sparse_below(self) -> int:
        """A term of fewer slots leaves its bitmap row; one of more than twice as many gets one."""
        return max(1, 64 * self.bits.shape[1] // (2 * self._dense_share))

    def _grow_bits(self) -> None:
        extra = 1 + len(self.owner) // 8
        self.bits = np.concatenate([self.bits, np.zeros((extra, self.bits.shape[1]), np.uint64)])
        self.owner = np.concatenate([self.owner, np.full(extra, -1, np.int32)])

    def _grow_pool(self, entries: int) -> None:
        """Make room for so many entries at the end, by closing holes where they are worth it."""
        progress = self._progress[0]
        if 16 * progress["holes"] > progress["end"]:
            order = np.flatnonzero(self.terms["room"])
            order = order[np.argsort(self.terms["start"][order])]
            close_holes(order, progress, self.terms, self.pool)
        needed = int(progress["end"]) + entries
        if needed > len(self.pool):
            # Nobody else holds the array during a write, so it may move.
            self.pool.resize(needed + needed // 32 + 64, refcheck=False)


def _blank(length: int) -> np.ndarray:
    terms = np.zeros(length, TERM)
    terms["row"] = -1
    return terms


def _changes(pairs: TermPairs) -> np.ndarray:
    """number << 32 | slot of each pair, int64[n] ascending."""
    if not len(pairs):
        return NOTHING
    changes: np.ndarray = (pairs.numbers.astype(np.int64) << 32) | pairs.slots
    changes.sort()
    return changes
