"""The terms of each slot, and the numbers that stand for terms. Knows nothing of searching.

Numbers are small and dense; a number is given to another term after its term has left every slot. The terms of a slot
lie one after another in a pool of int32: 4 bytes a term and 8 a slot. What a slot leaves behind when its bag grows is
garbage until the pool is laid out again, at a third.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_index.bags import Bags
from gpu_index.clause import Clause
from gpu_index.engine import NumberedBoosts, NumberedClause, TermPairs
from gpu_index.inputs import Boosts

NONE = np.empty(0, np.int32)
GARBAGE = 3  # one part in so many of the pool


class TermStore:
    """Terms to numbers and slots to terms."""

    def __init__(self) -> None:
        self._names: list[str | None] = []
        self._numbers: dict[str, int] = {}
        self._unused: list[int] = []
        self._slots_with = np.zeros(0, np.int32)  # per number
        self._start = np.zeros(0, np.uint32)  # per slot, into the pool
        self._count = np.zeros(0, np.int32)
        self._pool = np.zeros(0, np.int32)
        self._used = 0
        self._garbage = 0

    def replace(self, slots: np.ndarray, bags: Bags) -> tuple[TermPairs, TermPairs]:
        """From now on slot slots[i] has the terms of bags row i and no others: (pairs lost, pairs gained)."""
        lost = self.pairs(slots)
        codes = np.array([self._number(term) for term in bags.vocabulary], np.int32)
        gained = TermPairs(np.repeat(slots, bags.counts), codes[bags.codes] if len(codes) else NONE)
        if len(self._names) > len(self._slots_with):
            self._slots_with = _grown(self._slots_with, max(len(self._names), 2 * len(self._slots_with)))
        np.add.at(self._slots_with, gained.numbers, 1)
        np.subtract.at(self._slots_with, lost.numbers, 1)
        self._write(slots, bags.counts, gained.numbers)
        self._forget(lost.numbers)
        return lost, gained

    def pairs(self, slots: np.ndarray) -> TermPairs:
        """All (slot, number) pairs of slots int64[n], in their order."""
        slots = slots[slots < len(self._count)]
        counts = self._count[slots].astype(np.int64)
        before = np.cumsum(counts) - counts
        total = int(counts.sum())
        places = np.repeat(self._start[slots].astype(np.int64) - before, counts) + np.arange(total)
        return TermPairs(np.repeat(slots, counts), self._pool[places])

    def terms_of(self, slot: int) -> list[str]:
        """The terms of one slot, ascending."""
        return sorted(str(self._names[number]) for number in self.pairs(np.array([slot])).numbers.tolist())

    def bags(self, slots: np.ndarray) -> Bags:
        """The bags of these slots, terms ascending in the vocabulary and in each row: a function of content only."""
        pairs = self.pairs(slots)
        used = sorted(np.unique(pairs.numbers).tolist(), key=lambda number: str(self._names[number]))
        code_of = np.zeros(len(self._names), np.int64)
        code_of[used] = np.arange(len(used))
        counts = np.zeros(len(slots), np.int64)
        inside = slots < len(self._count)
        counts[inside] = self._count[slots[inside]]
        codes = code_of[pairs.numbers]
        row = np.repeat(np.arange(len(slots)), counts)
        return Bags([str(self._names[number]) for number in used], counts, codes[np.lexsort((codes, row))])

    def numbered(self, clause: Clause | None) -> NumberedClause | None:
        """The clause over numbers; None where it lets every row through."""
        if clause is None or not (clause.all_of or clause.none_of):
            return None
        return NumberedClause(tuple(self._known(group) for group in clause.all_of), self._known(clause.none_of))

    def numbered_boosts(self, boosts: Boosts) -> NumberedBoosts | None:
        """The boosts of terms that are known; None if there are none."""
        known = [(self._numbers[term], weight) for term, weight in boosts if term in self._numbers]
        if not known:
            return None
        numbers, weights = zip(*known, strict=True)
        return NumberedBoosts(np.array(numbers, np.int32), np.array(weights, np.float64))

    def truncate(self, extent: int) -> None:
        """Give back the room of slots from `extent` on, which have no terms."""
        self._start, self._count = self._start[:extent].copy(), self._count[:extent].copy()
        self._lay_out()

    def nbytes(self) -> int:
        """Bytes of the arrays; the names of terms are not counted."""
        return sum(array.nbytes for array in (self._slots_with, self._start, self._count, self._pool))

    def _known(self, terms: Sequence[str]) -> np.ndarray:
        numbers = self._numbers
        return np.array(sorted([numbers[term] for term in terms if term in numbers]), np.int32)

    def _number(self, term: str) -> int:
        number = self._numbers.get(term)
        if number is None:
            if self._unused:
                number = self._unused.pop()
                self._names[number] = term
            else:
                number = len(self._names)
                self._names.append(term)
            self._numbers[term] = number
        return number

    def _forget(self, numbers: np.ndarray) -> None:
        """Free the numbers of terms that no slot has any more."""
        for number in np.unique(numbers[self._slots_with[numbers] == 0]).tolist():
            del self._numbers[str(self._names[number])]
            self._names[number] = None
            self._unused.append(number)

    def _write(self, slots: np.ndarray, counts: np.ndarray, numbers: np.ndarray) -> None:
        if len(slots) and slots.max() >= len(self._count):
            room = max(int(slots.max()) + 1, len(self._count) + len(self._count) // 8)
            self._start, self._count = _grown(self._start, room), _grown(self._count, room)
        fits = counts <= self._count[slots]  # in the place it had
        self._garbage += int((self._count[slots] - np.where(fits, counts, 0)).sum())
        fresh = int(counts[~fits].sum())
        if self._used + fresh > len(self._pool):
            self._pool = _grown(self._pool, max(self._used + fresh, len(self._pool) + len(self._pool) // 8))
        moved = slots[~fits]
        self._start[moved] = self._used + np.cumsum(counts[~fits]) - counts[~fits]
        self._used += fresh
        self._count[slots] = counts
        before = np.cumsum(counts) - counts
        places = np.repeat(self._start[slots].astype(np.int64) - before, counts) + np.arange(len(numbers))
        self._pool[places] = numbers
        if self._garbage * GARBAGE > max(self._used, 4096):
            self._lay_out()

    def _lay_out(self) -> None:
        everything = np.arange(len(self._count))
        self._pool = self.pairs(everything).numbers
        self._used, self._garbage = len(self._pool), 0
        counts = self._count.astype(np.int64)
        self._start = (np.cumsum(counts) - counts).astype(np.uint32)


def _grown(array: np.ndarray, length: int) -> np.ndarray:
    larger = np.zeros(length, array.dtype)
    larger[: len(array)] = array
    return larger
