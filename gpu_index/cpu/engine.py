"""The engine of the CPU: exact answers by cheap first passes with rigorous bounds, then exact scores of what is left.

    clauses -> bitmaps and counts -> plan -> shared scan or walk -> survivors -> exact scores -> k best

Per batch the bitmaps of clauses cost B N / 8 bytes of scratch, those of rare boosted terms up to SCRATCH_BYTES, the
survivors B (2 k + 128) rows; nothing else grows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_index.bitmap import slots_on, words_for
from gpu_index.cpu.boosted import bitmaps_of
from gpu_index.cpu.inverted import Inverted
from gpu_index.cpu.masks import evaluate
from gpu_index.cpu.plan import scanning
from gpu_index.cpu.queries import Queries, prepared
from gpu_index.cpu.scan import Blocks, scan
from gpu_index.cpu.survivors import Exactly, empty_survivors, finish
from gpu_index.cpu.vector import HAS_VNNI
from gpu_index.cpu.walk import walk
from gpu_index.engine import NumberedBoosts, NumberedClause, TermPairs
from gpu_index.rows import RowStore
from gpu_index.scoring import exact_dots, rounded
from gpu_index.topk import Hits, best
from market.compiled import njit

LARGEST_BATCH = 128
SCRATCH_BYTES = 1 << 26  # of bitmaps at a time, beyond the four queries that always go together
ROWS_AT_A_TIME = 1 << 16  # of exact scores
NO_BITMAPS = np.zeros((0, 0), np.uint64)
NO_BOOSTS = np.empty(0, np.int64), np.empty(0), NO_BITMAPS, NO_BITMAPS
NO_LOW = np.empty(0, np.int16)


class CpuEngine:
    """See engine.py. Holds the term bitmaps and postings; rows are read where the row store has them.

    as_bytes  multiply bytes in the shared scan; None: if the processor can
    """

    def __init__(self, rows: RowStore, as_bytes: bool | None = None) -> None:
        self._rows = rows
        self._inverted = Inverted()
        self._as_bytes = HAS_VNNI if as_bytes is None else as_bytes

    def wrote(self, slots: np.ndarray, lost: TermPairs, gained: TermPairs) -> None:
        """Rows were put into these slots."""
        self._inverted.reserve(self._rows.capacity)
        self._inverted.replace(lost, gained)

    def deleted(self, slots: np.ndarray) -> None:
        """Nothing to do: bitmaps of live rows are asked first, and terms go when the slot is written again."""

    def trimmed(self) -> None:
        """Give back bitmaps of the slots that are gone."""
        self._inverted.trim(self._rows.capacity)

    def count(self, clause: NumberedClause | None) -> int:
        """How many live slots satisfy the clause."""
        words = words_for(self._rows.extent)
        out = np.empty((1, words), np.uint64)
        return int(evaluate(self._inverted, [clause], self._rows.live[:words], out)[0])

    def search(
        self,
        space: str,
        queries: np.ndarray,
        k: int,
        where: Sequence[NumberedClause | None],
        boosts: Sequence[NumberedBoosts | None],
    ) -> Hits:
        """queries float32[B,d], one clause and one set of boosts each -> Hits [B,k]."""
        hits = Hits.empty(len(queries), k)
        words = words_for(self._rows.extent)
        if not words:
            return hits
        most = min(LARGEST_BATCH, max(4, SCRATCH_BYTES // (8 * words)))
        start = 0
        while start < len(queries):
            end = start + self._together(boosts[start : start + most], words)
            part = slice(start, end)
            first = boosts[start]
            if first is not None and len(first.numbers) * words * 8 > SCRATCH_BYTES:
                self._score_all(space, queries[start], k, where[start], first, hits.ids[start], hits.scores[start])
            else:
                self._search(space, queries[part], k, where[part], boosts[part], hits.ids[part], hits.scores[part])
            start = end
        return hits

    def nbytes(self) -> int:
        """Bytes of term bitmaps and postings."""
        return self._inverted.nbytes()

    def _score_all(
        self,
        space: str,
        query: np.ndarray,
        k: int,
        clause: NumberedClause | None,
        boosts: NumberedBoosts,
        ids: np.ndarray,
        scores: np.ndarray,
    ) -> None:
        """A query with more boosted terms than bitmaps fit: exact scores of all its matches, 8 bytes a slot."""
        words, store = words_for(self._rows.extent), self._rows.spaces[space]
        mask = np.empty((1, words), np.uint64)
        evaluate(self._inverted, [clause], store.present[:words], mask)
        boost = np.zeros(64 * words)
        for number, weight in zip(boosts.numbers.tolist(), boosts.weights.tolist(), strict=True):
            boost[self._inverted.slots_of(number)] += weight
        for slots in np.array_split(slots_on(mask[0]), 1 + 64 * words // ROWS_AT_A_TIME):
            found = rounded(exact_dots(query, store.vectors(slots)), boost[slots])
            known = ids >= 0
            all_ids = np.concatenate([ids[known], self._rows.ids[slots]])
            all_scores = np.concatenate([scores[known], found])
            order = best(all_scores, all_ids, k)
            ids[: len(order)], scores[: len(order)] = all_ids[order], all_scores[order]

    def _together(self, boosts: Sequence[NumberedBoosts | None], words: int) -> int:
        """How many of these queries go together, so that bitmaps of their boosted terms stay within the scratch."""
        terms: set[int] = set()
        for number, each in enumerate(boosts):
            if each is not None:
                terms.update(each.numbers.tolist())
                if len(terms) * words * 8 > SCRATCH_BYTES:
                    return max(1, number)
        return len(boosts)

    def _search(
        self,
        space: str,
        queries: np.ndarray,
        k: int,
        where: Sequence[NumberedClause | None],
        boosts: Sequence[NumberedBoosts | None],
        ids: np.ndarray,
        scores: np.ndarray,
    ) -> None:
        store, batch = self._rows.spaces[space], len(queries)
        words = words_for(self._rows.extent)
        masks = np.empty((batch, words), np.uint64)
        matches = evaluate(self._inverted, where, store.present[:words], masks)
        _answer(
            self._as_bytes,
            Blocks(store.block_norm, store.block_error, store.block_largest),
            matches,
            masks,
            k,
            Exactly(
                store.high,
                NO_LOW if store.low is None else store.low,
                store.dim,
                self._rows.ids,
                np.ascontiguousarray(queries),
                *self._boosted(boosts, words),
            ),
            ids,
            scores,
        )

    def _boosted(
        self, boosts: Sequence[NumberedBoosts | None], words: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The boosts as `Exactly` wants them: first_boost, boost_row, weight, frequent, rare."""
        given = [each for each in boosts if each is not None]
        if not given:
            return np.zeros(len(boosts) + 1, np.int64), *NO_BOOSTS
        counts = [0 if each is None else len(each.numbers) for each in boosts]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        numbers, which = np.unique(np.concatenate([each.numbers for each in given]), return_inverse=True)
        rows, rare = bitmaps_of(self._inverted, numbers, words)
        return first, rows[which], np.concatenate([each.weights for each in given]), self._inverted.bits, rare


@njit(nogil=True)
def _answer(
    as_bytes: bool,
    blocks: Blocks,
    matches: np.ndarray,
    masks: np.ndarray,
    k: int,
    exactly: Exactly,
    ids: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Fill ids int64[B,k] and scores float32[B,k] of a batch."""
    scans = scanning(matches, masks.shape[1], exactly.dim)
    room = min(2 * k + 128, max(1, matches.max()) + 1)
    k = min(k, room - 1)
    found = empty_survivors(len(matches), room)
    queries: Queries = prepared(exactly.queries, False, False)
    for b in range(len(scans)):
        if not scans[b] and matches[b]:
            walk(blocks, queries, b, masks[b], k, found, exactly)
            finish(found, exactly, b, k, ids[b], scores[b])
    chosen = np.flatnonzero(scans)
    if len(chosen):
        together = prepared(exactly.queries[chosen], as_bytes, not as_bytes)
        scan(as_bytes, blocks, together, chosen, masks, k, found, exactly)
        for b in chosen:
            finish(found, exactly, b, k, ids[b], scores[b])
