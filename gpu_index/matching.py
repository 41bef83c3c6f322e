"""Which slots a clause lets through, with the work that clauses of one batch share done once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_index.clause import Clause
from gpu_index.terms import EMPTY, TermStore

CACHE_BYTES = 1 << 26  # masks kept at a time
SELECTIVE = 32  # walk the slots of the rarest group if it holds fewer than one slot in so many


class Matching:
    """Evaluates the clauses of one call over a fixed state of the index.

    eligible  bool[n], the slots that count at all

    A new OR-group costs the slots of its terms and a mask of n bytes; groups seen before in the call cost nothing. A
    clause then costs n bytes per group, or, if its rarest group is selective, the slots of that group times the groups.
    """

    def __init__(self, terms: TermStore, eligible: np.ndarray) -> None:
        self._terms = terms
        self._eligible = eligible
        self._masks: dict[Sequence[str], np.ndarray] = {}
        self._room = max(8, CACHE_BYTES // max(1, len(eligible)))
        self._all: np.ndarray | None = None

    def slots(self, clause: Clause | None) -> np.ndarray:
        """int64[m] eligible slots that satisfy the clause, ascending; None lets every one through."""
        if clause is None or not (clause.all_of or clause.none_of):
            if self._all is None:
                self._all = np.flatnonzero(self._eligible)
            return self._all
        sizes = [sum(len(self._terms.slots(term)) for term in group) for group in clause.all_of]
        if sizes and min(sizes) * SELECTIVE < len(self._eligible):
            return self._from_rarest(clause, sizes.index(min(sizes)))
        mask = self._eligible.copy()
        for group in clause.all_of:
            mask &= self._mask(group)
        if clause.none_of:
            mask &= ~self._mask(clause.none_of)
        return np.flatnonzero(mask)

    def _from_rarest(self, clause: Clause, rarest: int) -> np.ndarray:
        parts = [self._terms.slots(term) for term in clause.all_of[rarest]]
        slots: np.ndarray = np.unique(np.concatenate([EMPTY, *parts]))
        slots = slots[self._eligible[slots]]
        for number, group in enumerate(clause.all_of):
            if number != rarest and len(slots):
                slots = slots[self._mask(group)[slots]]
        if clause.none_of and len(slots):
            slots = slots[~self._mask(clause.none_of)[slots]]
        return slots

    def _mask(self, group: Sequence[str]) -> np.ndarray:
        """bool[n], slots that have any of the terms."""
        mask = self._masks.get(group)
        if mask is None:
            mask = np.zeros(len(self._eligible), bool)
            for term in group:
                mask[self._terms.slots(term)] = True
            if len(self._masks) >= self._room:
                self._masks.pop(next(iter(self._masks)))
            self._masks[group] = mask
        return mask
