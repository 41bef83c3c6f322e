"""From masks to the k best rows: gather what matches little, scan what matches much, prove every answer.

    few matches:   their slots -> exact scores -> k best
    many matches:  sample -> a guess at the k-th score -> scan -> survivors -> exact scores -> k best

The scan keeps every matching row whose score may reach a floor, by the bound of probe.py. An answer is final if its
k-th exact score lies above the floor, for then no row left out can belong to it, or if nothing was left out. Otherwise
(the guess was too high, or the survivors did not fit) the query is scanned again with a floor that k scores have proved
right, and with room for all that reach it. So a guess costs time at worst, never a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from gpu_index.cuda.coarse import Coarse
from gpu_index.cuda.mirror import SpaceMirror
from gpu_index.cuda.probe import Probe, take_columns
from gpu_index.cuda.transfer import fetch, send
from gpu_index.cuda.tuning import Tuning
from gpu_index.topk import Hits

LAST_ID = np.iinfo(np.int64).max
NOTHING = np.float32(-np.inf)


@dataclass(frozen=True)
class Batch:
    """Queries with their masks int32[W,B] and the matches int64[n] of the first n; the others are padding."""

    probe: Probe
    masks: torch.Tensor
    matches: np.ndarray

    def __len__(self) -> int:
        return len(self.matches)

    def take(self, queries: np.ndarray) -> Batch:
        """These queries alone."""
        if len(queries) == len(self):
            return self
        return Batch(self.probe.take(queries), take_columns(self.masks, queries), self.matches[queries])


@dataclass(frozen=True)
class Found:
    """What an attempt brought: per query the rows that reached its floor, and the best of those there was room for.

    counts, floors  int[n], float32[n]
    ids, scores     int64[n,m], float32[n,m], m <= k, padded as in Hits
    """

    counts: np.ndarray
    floors: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Search:
    """One space and its rough vectors, the ids int64[capacity] of its slots, and how many hits a query wants."""

    steps: ModuleType
    tuning: Tuning
    coarse: Coarse
    space: SpaceMirror
    ids: torch.Tensor
    k: int

    def answer(self, batch: Batch, hits: Hits) -> None:
        """Fill row i of `hits` with the answer of query i."""
        little = batch.matches <= max(self.tuning.gather_matches, 2 * self.k)
        for queries in self._parts(np.flatnonzero(little), int(batch.matches[little].max(initial=0))):
            part = batch.take(queries)
            found, _ = self.steps.compact(part.masks, int(part.matches.max()))
            ids, scores = self._ranked(part.probe, found[: len(part)], part.matches)
            _fill(hits, queries, ids, scores)
        room = self._room()
        for queries in self._parts(np.flatnonzero(~little), room):
            self._scan(batch.take(queries), room, queries, hits)

    def _scan(self, batch: Batch, room: int, rows: np.ndarray, hits: Hits) -> None:
        """The queries of a batch, whose answers belong in these rows of `hits`."""
        floors = self._sampled(batch, self._rank())
        found = self._attempt(batch, floors, room)
        last = found.scores[:, self.k - 1] if found.scores.shape[1] >= self.k else np.full(len(batch), NOTHING)
        proved = (found.counts <= room) & ((last > found.floors) | (found.floors == NOTHING))
        _fill(hits, rows[proved], found.ids[proved], found.scores[proved])
        for query in np.flatnonzero(~proved):
            self._scan_again(batch.take(np.array([query])), last[query], room, rows[[query]], hits)

    def _scan_again(self, query: Batch, last: np.float32, room: int, row: np.ndarray, hits: Hits) -> None:
        """One query, with a floor below the k-th score.

        `last` is the exact score of the k-th best row found so far, -inf if there were fewer than k.
        """
        if last == NOTHING:
            last = fetch(self._sampled(query, self.k))[0][0]  # k rows score at least their lower bounds
        while True:
            (floors,) = send([np.full(len(query.probe), np.nextafter(last, NOTHING))], self.ids.device)
            found = self._attempt(query, floors, room)
            if found.counts[0] <= room:
                _fill(hits, row, found.ids, found.scores)
                return
            last, room = max(last, found.scores[0, self.k - 1]), int(found.counts[0])

    def _attempt(self, batch: Batch, floors: torch.Tensor, room: int) -> Found:
        skip = len(batch) <= self.tuning.skip_rows_below
        found, counted = self.steps.scan(self.coarse, batch.masks, batch.probe, floors, room, skip)
        counts, own_floors = fetch(counted[: len(batch)], floors[: len(batch)])
        ids, scores = self._ranked(batch.probe, found[: len(batch)], np.minimum(counts, room))
        return Found(counts, own_floors, ids, scores)

    def _sampled(self, batch: Batch, rank: int) -> torch.Tensor:
        """float32[B], the rank-th best lower bound of a score in the sample, -inf if it has fewer matches."""
        scores: torch.Tensor = self.steps.sample(self.coarse, batch.masks, batch.probe, self.tuning.sample_every)
        floors = torch.full((len(scores),), float("-inf"), device=scores.device)
        if scores.shape[1] >= rank:
            floors[: len(batch)] = scores[: len(batch)].topk(rank, dim=1).values[:, -1]
        return floors

    def _rank(self) -> int:
        """Which score of the sample lies below the k-th of all, but for bad luck of four standard deviations."""
        mean = self.k / self.tuning.sample_every
        return int(np.ceil(mean + 4 * np.sqrt(mean) + 8))

    def _room(self) -> int:
        """Slots for the survivors of one query in the first attempt: a power of two, at least k."""
        expected = self.tuning.spare * self._rank() * self.tuning.sample_every
        return 1 << (max(expected, self.k) - 1).bit_length()

    def _ranked(self, probe: Probe, found: torch.Tensor, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best of the slots found, exactly: ids int64[n,m] and scores float32[n,m], m <= k, padded as in Hits."""
        width = int(counts.max(initial=0))
        (kept,) = send([counts.astype(np.int64)], found.device)
        scores = self.steps.rescore(self.space, probe, found[:, :width], kept)
        behind = torch.arange(width, device=found.device) >= kept[:, None]  # what lies there was never written
        ids = self.ids[found[:, :width].masked_fill(behind, 0)].masked_fill(behind, LAST_ID)
        ids, by_id = ids.sort(dim=1)
        scores, by_score = scores.gather(1, by_id).sort(dim=1, descending=True, stable=True)
        best_scores = scores[:, : self.k].contiguous()
        best_ids = ids.gather(1, by_score[:, : self.k]).masked_fill(best_scores == float("-inf"), -1)
        best = fetch(best_ids, best_scores)
        return best[0], best[1]

    def _parts(self, queries: np.ndarray, room: int) -> list[np.ndarray]:
        """The queries in parts whose survivors fit the buffer."""
        step = max(1, self.tuning.buffer_slots // max(1, room))
        return [queries[start : start + step] for start in range(0, len(queries), step)]


def _fill(hits: Hits, rows: np.ndarray, ids: np.ndarray, scores: np.ndarray) -> None:
    width = ids.shape[1]
    hits.ids[rows, :width] = ids
    hits.scores[rows, :width] = scores
