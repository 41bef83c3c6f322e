"""Which rows have a term, kept up to date while rows come and go.

Rows are slots: small integers that are reused after a delete. Three structures:

    forward   the terms of each slot, in one pool of integers
    base      the slots of each term, ascending, as of the last rebuild
    changes   per term, the slots that gained or lost it since

A write costs a dictionary entry per term gained or lost. Reading a term costs its slots once after a write to it and
nothing afterwards. When the changes reach a quarter of the base, everything is rebuilt in time linear in the number
of (row, term) pairs: constant per write on average, a pause of about a second at ten million pairs. A rebuild also
forgets terms that no row has any more.
"""

from __future__ import annotations

import numpy as np

from gpu_index.bags import Bags

EMPTY = np.empty(0, np.int64)


class TermStore:
    """Slots to terms and terms to slots.

    rebuild_after  changes that are always allowed to accumulate; small values are for tests
    """

    def __init__(self, rebuild_after: int = 4096) -> None:
        self._rebuild_after = rebuild_after
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._start = EMPTY  # int64[slots] into the pool
        self._count = EMPTY  # int64[slots]
        self._pool = np.empty(0, np.int32)
        self._pool_used = 0
        self._base_start = np.zeros(1, np.int64)  # int64[terms + 1] into the base
        self._base = EMPTY  # int64[pairs], slots ascending within a term
        self._changes: dict[int, dict[int, bool]] = {}
        self._changed = 0
        self._merged: dict[int, np.ndarray] = {}

    def replace(self, slots: np.ndarray, bags: Bags) -> None:
        """From now on slot slots[i] has the terms of bags row i and no others. Slots are distinct."""
        lost_slots, lost = self._pairs(slots)
        known = [self._number(term) for term in bags.vocabulary]
        gained = np.array(known, np.int64)[bags.codes] if known else EMPTY
        self._write(slots, bags.counts, gained)
        self._changed += len(lost) + len(gained)
        if self._changed > max(self._rebuild_after, len(self._base) // 4):
            self._rebuild()
            return
        self._note(lost_slots, lost, False)
        self._note(np.repeat(slots, bags.counts), gained, True)

    def slots(self, term: str) -> np.ndarray:
        """int64[df], ascending; empty for a term no row has. Not to be written to."""
        number = self._numbers.get(term)
        if number is None:
            return EMPTY
        if number not in self._changes:
            return self._base_of(number)
        if number not in self._merged:
            self._merged[number] = _with_changes(self._base_of(number), self._changes[number])
        return self._merged[number]

    def terms_of(self, slot: int) -> list[str]:
        """The terms of one slot, ascending."""
        _, numbers = self._pairs(np.array([slot]))
        return sorted(self._names[number] for number in numbers.tolist())

    def bags(self, slots: np.ndarray) -> Bags:
        """The bags of these slots, terms ascending in the vocabulary and in each row: a function of content only."""
        _, numbers = self._pairs(slots)
        used = sorted(np.unique(numbers).tolist(), key=self._names.__getitem__)
        code_of = np.zeros(len(self._names), np.int64)
        code_of[used] = np.arange(len(used))
        counts = self._counts(slots)
        codes = code_of[numbers]
        row = np.repeat(np.arange(len(slots)), counts)
        return Bags([self._names[number] for number in used], counts, codes[np.lexsort((codes, row))])

    def _number(self, term: str) -> int:
        number = self._numbers.get(term)
        if number is None:
            number = self._numbers[term] = len(self._names)
            self._names.append(term)
        return number

    def _counts(self, slots: np.ndarray) -> np.ndarray:
        inside = slots < len(self._count)
        counts = np.zeros(len(slots), np.int64)
        counts[inside] = self._count[slots[inside]]
        return counts

    def _pairs(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All (slot, term number) of these slots, int64[pairs] each, in the order of `slots`."""
        counts = self._counts(slots)
        kept = counts > 0
        slots, counts = slots[kept], counts[kept]
        before = np.cumsum(counts) - counts
        positions = np.repeat(self._start[slots] - before, counts) + np.arange(counts.sum())
        return np.repeat(slots, counts), self._pool[positions].astype(np.int64)

    def _write(self, slots: np.ndarray, counts: np.ndarray, numbers: np.ndarray) -> None:
        """Append to the pool; what the slots had there stays behind as garbage until the next rebuild."""
        if len(slots) and slots.max() >= len(self._count):
            room = max(int(slots.max()) + 1, 2 * len(self._count))
            self._start = _grown(self._start, room)
            self._count = _grown(self._count, room)
        used = self._pool_used + len(numbers)
        if used > len(self._pool):
            self._pool = _grown(self._pool, max(used, 2 * len(self._pool)))
        self._pool[self._pool_used : used] = numbers
        self._start[slots] = self._pool_used + np.cumsum(counts) - counts
        self._count[slots] = counts
        self._pool_used = used

    def _note(self, slots: np.ndarray, numbers: np.ndarray, present: bool) -> None:
        for slot, number in zip(slots.tolist(), numbers.tolist(), strict=True):
            self._changes.setdefault(number, {})[slot] = present
            self._merged.pop(number, None)

    def _base_of(self, number: int) -> np.ndarray:
        if number + 1 >= len(self._base_start):  # a term younger than the base
            return EMPTY
        return self._base[self._base_start[number] : self._base_start[number + 1]]

    def _rebuild(self) -> None:
        slots, numbers = self._pairs(np.arange(len(self._count)))
        frequency = np.bincount(numbers, minlength=len(self._names))
        used = np.flatnonzero(frequency)
        new_number = np.zeros(len(self._names), np.int64)
        new_number[used] = np.arange(len(used))
        numbers = new_number[numbers]
        self._names = [self._names[number] for number in used.tolist()]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._pool, self._pool_used = numbers.astype(np.int32), len(numbers)
        self._start = np.cumsum(self._count) - self._count
        self._base = slots[np.argsort(numbers, kind="stable")]
        self._base_start = np.concatenate([[0], np.cumsum(frequency[used])])
        self._changes, self._changed, self._merged = {}, 0, {}


def _with_changes(base: np.ndarray, changes: dict[int, bool]) -> np.ndarray:
    """base without the changed slots, plus those that have the term now; ascending."""
    touched = np.sort(np.fromiter(changes, np.int64, len(changes)))
    positions = np.searchsorted(base, touched)
    inside = positions < len(base)
    inside[inside] = base[positions[inside]] == touched[inside]
    kept = np.delete(base, positions[inside])
    added = np.array([slot for slot in touched.tolist() if changes[slot]], np.int64)
    return np.insert(kept, np.searchsorted(kept, added), added)


def _grown(array: np.ndarray, length: int) -> np.ndarray:
    larger = np.zeros(length, array.dtype)
    larger[: len(array)] = array
    return larger
