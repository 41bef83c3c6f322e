"""Which slots have a term, on the device: sorted postings for every term, bitmaps as well for the frequent ones.

On the host a (term, slot) pair is one integer, term << 32 | slot. Three structures:

    base   all pairs as of the last rebuild, ascending; on the device their slots, -1 for a pair that is gone
    tail   pairs gained since, ascending; small, copied whole when it changes
    dense  int32[terms,W] bitmaps of the terms that more than one slot in 64 has

A write appends its pairs to a log. The next search settles the log: the last word on each pair wins, base and bitmaps
are mended in place, the tail is merged. That costs a sort of the log and one pass over the tail. A tail longer than a
quarter of the base is merged into a new base: linear in all pairs, constant per write on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gpu_index.cuda.mirror import put, resized
from gpu_index.cuda.transfer import send
from gpu_index.engine import TermPairs

DENSE_ABOVE = 64  # a term has a bitmap if more than one slot in so many has it
NO_KEYS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Ranges:
    """Postings of terms: start and stop int64[t] in the base and in the tail."""

    base: tuple[np.ndarray, np.ndarray]
    tail: tuple[np.ndarray, np.ndarray]


class Postings:
    """Terms to slots on one device."""

    def __init__(self, device: torch.device, rebuild_after: int) -> None:
        self._device, self._rebuild_after = device, rebuild_after
        self._log: list[tuple[np.ndarray, bool]] = []
        self._base, self._alive, self._tail = NO_KEYS, np.empty(0, bool), NO_KEYS
        self._dense_row = np.empty(0, np.int32)  # by term number, -1 without a bitmap
        self.base_slots = torch.zeros(0, dtype=torch.int32, device=device)
        self.tail_slots = torch.zeros(0, dtype=torch.int32, device=device)
        self.dense = torch.zeros((0, 0), dtype=torch.int32, device=device)

    def wrote(self, lost: TermPairs, gained: TermPairs) -> None:
        """Pairs that went, then pairs that came."""
        for pairs, present in ((lost, False), (gained, True)):
            if len(pairs):
                self._log.append(((pairs.numbers.astype(np.int64) << 32) | pairs.slots, present))

    def adopt(self, bitmaps: torch.Tensor) -> None:
        """Take the bitmaps int32[t,W] of terms 0 to t - 1 that are on the device already; they have no postings.

        Enough for clauses, not for boosts, and only before the first write.
        """
        self.dense = bitmaps
        self._dense_row = np.arange(len(bitmaps), dtype=np.int32)

    def refresh(self, capacity: int) -> None:
        """Settle the log, with room for so many slots. Room never shrinks: a slot given back keeps its terms."""
        if capacity > self.capacity:
            self.dense = resized(self.dense.T, capacity // 32).T.contiguous()
        if not self._log:
            return
        keys, present = self._settled()
        self._mend_base(keys, present)
        self._mend_bitmaps(keys, present)
        if len(self._tail) > max(self._rebuild_after, len(self._base) // 4):
            self._rebuild()

    @property
    def capacity(self) -> int:
        """Slots the bitmaps have room for."""
        return self.dense.shape[1] * 32

    def dense_rows(self, numbers: np.ndarray) -> np.ndarray:
        """int32[t], the bitmap of each term, -1 if it has none."""
        rows = np.full(len(numbers), -1, np.int32)
        known = numbers < len(self._dense_row)
        rows[known] = self._dense_row[numbers[known]]
        return rows

    def ranges(self, numbers: np.ndarray) -> Ranges:
        """Where the postings of these terms are."""
        first = numbers.astype(np.int64) << 32
        behind = first + (np.int64(1) << 32)
        base = np.searchsorted(self._base, first), np.searchsorted(self._base, behind)
        return Ranges(base, (np.searchsorted(self._tail, first), np.searchsorted(self._tail, behind)))

    def nbytes(self) -> int:
        """Bytes on the device and of the keys on the host."""
        device = self.base_slots.nbytes + self.tail_slots.nbytes + self.dense.nbytes
        return device + self._base.nbytes + self._alive.nbytes + self._tail.nbytes

    def _settled(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct keys ascending, and whether the pair is there in the end."""
        keys = np.concatenate([part for part, _ in self._log])
        present = np.concatenate([np.full(len(part), flag) for part, flag in self._log])
        self._log = []
        distinct, last = np.unique(keys[::-1], return_index=True)
        return distinct, present[::-1][last]

    def _mend_base(self, keys: np.ndarray, present: np.ndarray) -> None:
        at = np.searchsorted(self._base, keys)
        known = at < len(self._base)
        known[known] = self._base[at[known]] == keys[known]
        places, alive = at[known], present[known]
        self._alive[places] = alive
        put(self.base_slots, places, np.where(alive, _slots(keys[known]), np.int32(-1)))
        kept = np.setdiff1d(self._tail, keys[~known & ~present], assume_unique=True)
        self._tail = np.union1d(kept, keys[~known & present])
        (self.tail_slots,) = send([_slots(self._tail)], self._device)

    def _mend_bitmaps(self, keys: np.ndarray, present: np.ndarray) -> None:
        rows = self.dense_rows(keys >> 32)
        kept = rows >= 0
        slots = (keys[kept] & 0xFFFFFFFF).astype(np.int64)
        places = rows[kept] * np.int64(self.dense.shape[1]) + (slots >> 5)
        bits, wanted = (slots & 31).astype(np.int32), present[kept].astype(np.int32)
        sent = send([places, bits, wanted], self._device)
        flip_where_different(self.dense, sent[0], sent[1], sent[2] > 0)

    def _rebuild(self) -> None:
        capacity = self.capacity
        self._base = np.sort(np.concatenate([self._base[self._alive], self._tail]))
        self._alive, self._tail = np.ones(len(self._base), bool), NO_KEYS
        (self.base_slots,) = send([_slots(self._base)], self._device)
        self.tail_slots = self.tail_slots[:0]
        numbers, counts = np.unique(self._base >> 32, return_counts=True)
        frequent = numbers[counts * DENSE_ABOVE > capacity]
        self._dense_row = np.full(int(numbers[-1]) + 1 if len(numbers) else 0, -1, np.int32)
        self._dense_row[frequent] = np.arange(len(frequent), dtype=np.int32)
        self.dense = torch.zeros((len(frequent), capacity // 32), dtype=torch.int32, device=self._device)
        self._mend_bitmaps(self._base, self._alive)


def flip_where_different(words: torch.Tensor, places: torch.Tensor, bits: torch.Tensor, wanted: torch.Tensor) -> None:
    """Set bit bits[i] of the flat word places[i] to wanted[i]; each (place, bit) comes at most once.

    A bit that is clear is set by adding it and one that is set is cleared by subtracting it, so many bits of one word
    can change in one pass. Sums of int32 wrap, which is what makes bit 31 work.
    """
    flat = words.view(-1)
    wrong = ((flat[places] >> bits) & 1).bool() != wanted
    one = torch.ones_like(bits[wrong]) << bits[wrong]
    flat.index_add_(0, places[wrong], torch.where(wanted[wrong], one, -one))


def _slots(keys: np.ndarray) -> np.ndarray:
    return (keys & 0xFFFFFFFF).astype(np.int32)
