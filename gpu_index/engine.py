"""What finds rows: the interface between the face of the index and its engines.

The face checks input, keeps the rows (`rows.py`: ids, live bits, vectors; `terms.py`: the terms of each slot) and tells
its engine of every write. An engine keeps whatever it needs to answer: term bitmaps, postings, copies on a device.
Writes come one at a time and never during a search; searches may come from several threads at once.

A slot is a position in every array; a bitmap is uint64[W] and bit b of word w stands for slot 64 w + b. Terms are
numbers: small, dense, reused after a term has left every slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gpu_index.topk import Hits


@dataclass(frozen=True)
class TermPairs:
    """(slot, term number) pairs, each at most once: slots int64[n], numbers int32[n]."""

    slots: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.slots)


@dataclass(frozen=True)
class NumberedClause:
    """A clause over term numbers; unknown terms are left out already.

    groups   one int32 array of distinct ascending numbers per OR-group; no groups match every row, an empty one none
    none_of  int32 distinct ascending numbers a row must not have
    """

    groups: tuple[np.ndarray, ...]
    none_of: np.ndarray


@dataclass(frozen=True)
class NumberedBoosts:
    """Weights float64[t] of terms int32[t]; their order is the order in which the weights are added."""

    numbers: np.ndarray
    weights: np.ndarray


class Engine(Protocol):
    """Exact top-k over the live slots. Every engine gives the same ids and scores, bit for bit."""

    def wrote(self, slots: np.ndarray, lost: TermPairs, gained: TermPairs) -> None:
        """Rows were put into these distinct slots int64[n] (new, replaced, or reused after a delete).

        Their live bits and vectors are in the row store already. `lost` are the terms the slots had until now, those of
        a row deleted earlier included; `gained` the terms they have from now on. A pair may be in both.
        """

    def deleted(self, slots: np.ndarray) -> None:
        """The rows of these slots are gone, their live bits are off already; their terms stay until the next write."""

    def trimmed(self) -> None:
        """The row store gave back the slots at its end; none of them has a term any more."""

    def search(
        self,
        space: str,
        queries: np.ndarray,
        k: int,
        where: Sequence[NumberedClause | None],
        boosts: Sequence[NumberedBoosts | None],
    ) -> Hits:
        """queries float32[B,d], one clause and one set of boosts each -> Hits [B,k]."""

    def count(self, clause: NumberedClause | None) -> int:
        """How many live slots satisfy the clause, with or without vectors."""

    def nbytes(self) -> int:
        """Bytes of the arrays it holds, those of the row store not counted."""
