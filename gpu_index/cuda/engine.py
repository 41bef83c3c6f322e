"""The engine of a CUDA device: exact top-k by one scan of bfloat16 vectors and an exact score for what survives.

Writes are noted on the host; the next search brings the device up to date and then answers. Steps run as Triton kernels
on a GPU and as plain torch (twin.py) elsewhere; the answers are the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from types import ModuleType

import numpy as np
import torch

from gpu_index.cuda import twin
from gpu_index.cuda.clauses import pieces, plan_groups
from gpu_index.cuda.coarse import Coarse, Int8Codes, bf16_of
from gpu_index.cuda.mirror import HostRows, Mirror
from gpu_index.cuda.oporp import Oporp, Sketches, limits
from gpu_index.cuda.postings import Postings
from gpu_index.cuda.probe import Probe, padded, probe_of
from gpu_index.cuda.search import Batch, Search
from gpu_index.cuda.transfer import fetch, send
from gpu_index.cuda.tuning import Tuning
from gpu_index.engine import NumberedBoosts, NumberedClause, TermPairs
from gpu_index.topk import Hits
from market.errors import ConfigError


def steps_for(device: torch.device) -> ModuleType:
    """The kernels on a GPU, the twin elsewhere."""
    if device.type != "cuda":
        return twin
    if not torch.cuda.is_available():
        raise ConfigError(f"device is '{device}', but torch finds no CUDA device; use 'cpu' or 'auto'")
    try:
        from gpu_index.cuda import kernels
    except ImportError as error:
        raise ConfigError(f"device '{device}' needs triton ({error}); install it: pip install triton") from error
    return kernels


class CudaEngine:
    """`gpu_index.engine.Engine` on a torch device.

    rows    what is on the host; read when a search finds that something was written
    device  "cuda", the current device of torch, or "cpu" for the twin
    steps   kernels or twin; by default what suits the device
    first_pass  "bf16", or "int8" for codes on the device: half the traffic, more survivors, the same answers
    oporp   score only the rows with the nearest sketches; answers are then no longer exact
    """

    def __init__(
        self,
        rows: HostRows,
        device: str = "cuda",
        tuning: Tuning | None = None,
        steps: ModuleType | None = None,
        first_pass: str = "bf16",
        oporp: Oporp | None = None,
    ) -> None:
        if first_pass not in ("bf16", "int8"):
            raise ConfigError(f"first_pass is {first_pass!r}; expected 'bf16' or 'int8'")
        self._device = torch.device(device)
        self._tuning = tuning or Tuning()
        self._steps = steps or steps_for(self._device)
        self.mirror = Mirror(rows, self._device)
        self.postings = Postings(self._device, self._tuning.rebuild_after)
        self._codes = Int8Codes() if first_pass == "int8" else None
        self._sketches = None if oporp is None else Sketches(oporp)
        self._refreshing = Lock()

    def wrote(self, slots: np.ndarray, lost: TermPairs, gained: TermPairs) -> None:
        self.mirror.wrote(slots)
        self.postings.wrote(lost, gained)
        for derived in (self._codes, self._sketches):
            if derived is not None:
                derived.wrote(slots)

    def deleted(self, slots: np.ndarray) -> None:
        self.mirror.deleted(slots)

    def trimmed(self) -> None:
        """Nothing to do: the next refresh takes the capacity of the row store."""

    def search(
        self,
        space: str,
        queries: np.ndarray,
        k: int,
        where: Sequence[NumberedClause | None],
        boosts: Sequence[NumberedBoosts | None],
    ) -> Hits:
        self._refresh()
        hits = Hits.empty(len(queries), k)
        if not self.mirror.capacity:
            return hits
        own = self.mirror.spaces[space]
        search = Search(self._steps, self._tuning, self._coarse(space), own, self.mirror.ids, k)
        step = self._tuning.batch
        if any(item is not None for item in boosts):
            step = min(step, max(1, self._tuning.boost_bytes // (8 * self.postings.capacity)))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            masks, matches = self._masks(own.present, where[part])
            batch = Batch(self._probe(queries[part], boosts[part]), masks, matches)
            if self._sketches is not None:
                batch = self._preselected(self._sketches, space, batch)
            search.answer(batch, Hits(hits.ids[part], hits.scores[part]))
        return hits

    def count(self, clause: NumberedClause | None) -> int:
        self._refresh()
        if not self.mirror.capacity:
            return 0
        return int(self._masks(self.mirror.live, [clause])[1][0])

    def nbytes(self) -> int:
        """Bytes on the device, and of the sorted pairs on the host. A search needs more while it runs: an eighth of a
        byte a slot for each query and each group of terms, the sample, survivors, and 8 bytes a slot for each query
        with boosts."""
        parts = (self.mirror, self.postings, self._codes, self._sketches)
        return sum(part.nbytes() for part in parts if part is not None)

    def _refresh(self) -> None:
        with self._refreshing:
            self.mirror.refresh()
            self.postings.refresh(self.mirror.capacity)

    def _masks(
        self, present: torch.Tensor, clauses: Sequence[NumberedClause | None]
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Masks int32[W,B] of a padded batch, and how many rows match each of the clauses."""
        postings = self.postings
        plan = plan_groups(clauses, postings, padded(len(clauses)), self._device)
        groups = self._steps.or_bitmaps(postings.dense, plan.dense_rows, plan.dense_start)
        if len(plan.base):
            self._steps.or_postings(groups, postings.base_slots, plan.base)
        if len(plan.tail):
            self._steps.or_postings(groups, postings.tail_slots, plan.tail)
        masks, matches = self._steps.match(present, groups, plan.members, plan.excluded)
        return masks, fetch(matches[: len(clauses)])[0]

    def _coarse(self, space: str) -> Coarse:
        if self._codes is None:
            return bf16_of(self.mirror.spaces[space])
        with self._refreshing:
            return self._codes.of(space, self.mirror.spaces[space])

    def _preselected(self, sketches: Sketches, space: str, batch: Batch) -> Batch:
        """The batch with masks that keep the rows nearest by sketch, for queries that match more than are kept."""
        with self._refreshing:
            held = sketches.of(space, self.mirror.spaces[space])
        oporp, wanted = sketches.oporp, sketches.oporp.sketch(batch.probe.exact)
        within = limits(oporp, held, batch.masks, wanted, self._tuning.sample_every)
        little = np.full(len(batch.probe), oporp.bits, np.int32)
        little[: len(batch)][batch.matches > oporp.keep] = 0
        within = within.maximum(send([little], self._device)[0])
        masks, matches = self._steps.narrow(batch.masks, held, wanted, within)
        return Batch(batch.probe, masks, fetch(matches[: len(batch)])[0])

    def _probe(self, queries: np.ndarray, boosts: Sequence[NumberedBoosts | None]) -> Probe:
        row = np.full(len(queries), -1, np.int32)
        sizes = np.zeros(len(queries))
        boosted: list[NumberedBoosts] = []
        for query, item in enumerate(boosts):
            if item is not None and len(item.numbers):
                row[query], sizes[query] = len(boosted), np.abs(item.weights).sum()
                boosted.append(item)
        int8 = self._codes is not None
        return probe_of(queries, self._boost_totals(boosted), row, sizes, self._device, int8)

    def _boost_totals(self, boosts: Sequence[NumberedBoosts]) -> torch.Tensor:
        """float64[U,slots]: the weights of the terms each slot has, added in the order of the terms.

        One pass per place in that order, for all queries at once, so the time grows with the longest list of boosts.
        """
        totals = torch.zeros((len(boosts), self.postings.capacity), dtype=torch.float64, device=self._device)
        for place in range(max([0, *(len(item.numbers) for item in boosts)])):
            rows = np.array([row for row, item in enumerate(boosts) if place < len(item.numbers)])
            ranges = self.postings.ranges(np.array([boosts[row].numbers[place] for row in rows]))
            weights = np.zeros(len(boosts))
            weights[rows] = [boosts[row].weights[place] for row in rows]
            for slots, (start, stop) in (
                (self.postings.base_slots, ranges.base),
                (self.postings.tail_slots, ranges.tail),
            ):
                work = pieces(rows, start, stop)
                if len(work):
                    self._steps.add_weights(totals, slots, *send([work, weights[work[:, 0]]], self._device))
        return totals
