"""The index: rows with vectors in named spaces and a bag of terms in, exact top-k rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpu_index import compaction, snapshot
from gpu_index.bags import Bags, bags_of
from gpu_index.bitmap import is_on
from gpu_index.clause import Clause
from gpu_index.engine import Engine
from gpu_index.inputs import (
    PRECISIONS,
    boosts_of,
    clauses_of,
    dimension,
    ids_of,
    k_of,
    matrix,
    spaces_of,
    vectors_of,
)
from gpu_index.lock import SharedLock
from gpu_index.rows import RowStore
from gpu_index.scoring import bf16_bits, from_bf16_bits
from gpu_index.terms import TermStore
from gpu_index.topk import Hits
from market.errors import ConfigError, IndexInputError

ROWS_A_STEP = 10_000  # written before waiting searches have their turn


class Index:
    """Exact filtered top-k over live rows.

    score = <query, vector> in float64 + weights of the boosted terms the row has, rounded once to float32
    order = score descending, id ascending

    spaces     {name: dimension}; a row may lack a vector in some, and is never found in those
    device     "cpu", "cuda" or "auto" (the best there is)
    precision  "float32", or "bf16": vectors are rounded to bfloat16 when they come in, and answers are exact on those
    engine     builds what answers instead of the engine of the device, from the row store

    A refused call raises IndexInputError (a ValueError) that names the value, and changes nothing. Calls may come from
    several threads: searches run beside each other, writes alone. A search sees a row as it was before or after a
    write, never half; a large upsert lets searches in between, so they may see some of its rows before others.

    Memory per row: 4 bytes a dimension (2 in bf16), about 20 for the id and marks, 8 to 9 a term. `cpu/engine.py` and
    `cuda/engine.py` say what a search costs.
    """

    def __init__(
        self,
        spaces: Mapping[str, int],
        device: str = "cpu",
        precision: str = "float32",
        engine: Callable[[RowStore], Engine] | None = None,
    ) -> None:
        self._spaces = spaces_of(spaces)
        self._device = _device(device)
        if precision not in PRECISIONS:
            raise IndexInputError(f"precision is {precision!r}; expected one of {PRECISIONS}")
        self._precision = precision
        self._rows = RowStore(self._spaces, precision)
        self._terms = TermStore()
        self._engine = (engine or _engine_for(self._device))(self._rows)
        self._lock = SharedLock()

    @property
    def spaces(self) -> dict[str, int]:
        """{name: dimension}."""
        return dict(self._spaces)

    @property
    def device(self) -> str:
        """Where searches run: "cpu" or "cuda"."""
        return self._device

    @property
    def precision(self) -> str:
        """How vectors are stored: "float32" or "bf16"."""
        return self._precision

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: vectors, ids, terms of rows and rows of terms. The names of terms are not counted."""
        with self._lock.shared():
            return self._rows.nbytes() + self._terms.nbytes() + self._engine.nbytes()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: object) -> bool:
        with self._lock.shared():
            return self._slot(row_id) >= 0

    def upsert(self, ids: Any, vectors: Mapping[str, Any] | None = None, terms: Any = None) -> None:
        """Insert rows, or replace them whole; the next search sees them.

        ids      int64[n], distinct, not negative
        vectors  {space: float32[n,dim]}; in a space that is left out these rows have no vector afterwards
        terms    n lists of "field=value", or a pyarrow list<string>; None: no terms
        """
        checked_ids = ids_of(ids)
        checked_vectors = vectors_of(vectors, self._spaces, len(checked_ids))
        bags = bags_of(terms, len(checked_ids))
        if self._precision == "bf16":
            checked_vectors = {space: from_bf16_bits(bf16_bits(values)) for space, values in checked_vectors.items()}
        everywhere = np.arange(len(checked_ids))
        self._put(checked_ids, {space: (everywhere, values) for space, values in checked_vectors.items()}, bags)

    def delete(self, ids: Any) -> int:
        """Remove rows; returns how many there were. Unknown ids are ignored; negative or repeated ones are refused."""
        checked_ids = ids_of(ids)
        with self._lock.alone():
            slots = self._rows.release(checked_ids)
            self._engine.deleted(slots)
            more = compaction.is_due(self._rows)
        while more:
            with self._lock.alone():
                # Rows may have come in between: then their room is needed.
                more = compaction.is_due(self._rows) and compaction.step(
                    self._rows, self._terms, self._engine, ROWS_A_STEP
                )
        return len(slots)

    def search(
        self,
        queries: Any,
        space: str,
        k: int,
        where: Sequence[Clause | None] | None = None,
        boosts: Sequence[Mapping[str, float] | None] | None = None,
    ) -> Hits:
        """The k best rows of each query, best first; a batch equals its queries one by one, bit for bit.

        queries  float32[B,dim]
        where    None, or a Clause or None per query
        boosts   None, or {term: weight} or None per query; weights finite, their sizes at most 1e38 in sum
        """
        batch = matrix(queries, "queries", dimension(self._spaces, space))
        k = k_of(k, len(batch))
        clauses = clauses_of(where, len(batch))
        weights = boosts_of(boosts, len(batch))
        with self._lock.shared():
            return self._engine.search(
                space,
                batch,
                k,
                [self._terms.numbered(clause) for clause in clauses],
                [self._terms.numbered_boosts(each) for each in weights],
            )

    def count(self, clause: Clause | None = None) -> int:
        """How many rows satisfy the clause, with or without vectors."""
        (checked,) = clauses_of([clause], 1)
        with self._lock.shared():
            return self._engine.count(self._terms.numbered(checked))

    def terms_of(self, row_id: int) -> list[str]:
        """The terms of one row, ascending; what an explanation shows."""
        with self._lock.shared():
            slot = self._slot(row_id)
            if slot < 0:
                raise IndexInputError(f"id {row_id!r} is not in the index")
            return self._terms.terms_of(slot)

    def save(self, path: Path | str) -> None:
        """Write the index to a directory, in one step; equal contents give equal bytes."""
        with self._lock.shared():
            contents = self._contents()
        snapshot.write(path, contents)

    @classmethod
    def load(cls, path: Path | str, device: str = "cpu") -> Index:
        """Read what `save` wrote; ArtefactError if a byte of it has changed."""
        contents = snapshot.read(path)
        index = cls(contents.spaces, device, contents.precision)
        index._put(contents.ids, contents.vectors, contents.bags)
        return index

    def _slot(self, row_id: object) -> int:
        """The slot of a row, -1 if there is no such row or it is no id."""
        if not isinstance(row_id, int | np.integer) or not 0 <= row_id <= np.iinfo(np.int64).max:
            return -1
        return int(self._rows.find(np.array([row_id], np.int64))[0])

    def _put(self, ids: np.ndarray, vectors: Mapping[str, tuple[np.ndarray, np.ndarray]], bags: Bags) -> None:
        """vectors: per space the rows that have one, ascending, and float32[m,dim]."""
        ends = np.concatenate([[0], np.cumsum(bags.counts)])
        for first in range(0, len(ids), ROWS_A_STEP):
            last = min(first + ROWS_A_STEP, len(ids))
            part = Bags(bags.vocabulary, bags.counts[first:last], bags.codes[ends[first] : ends[last]]).compact()
            with self._lock.alone():
                slots = self._rows.claim(ids[first:last])
                for space, (rows, values) in vectors.items():
                    here = slice(*np.searchsorted(rows, [first, last]))
                    self._rows.spaces[space].put(slots[rows[here] - first], values[here])
                lost, gained = self._terms.replace(slots, part)
                self._engine.wrote(slots, lost, gained)

    def _contents(self) -> snapshot.Contents:
        slots = self._rows.slots_by_id()
        vectors = {}
        for name, store in self._rows.spaces.items():
            rows = np.flatnonzero(is_on(store.present, slots))
            vectors[name] = rows, store.vectors(slots[rows])
        return snapshot.Contents(self._spaces, self._precision, self._rows.ids[slots], vectors, self._terms.bags(slots))


def _device(device: str) -> str:
    if device not in ("cpu", "cuda", "auto"):
        raise IndexInputError(f"device is {device!r}; expected 'cpu', 'cuda' or 'auto'")
    if device != "auto":
        return device
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def _engine_for(device: str) -> Callable[[RowStore], Engine]:
    """The engine of a device, imported only now: each needs libraries that the other does without."""
    try:
        if device == "cuda":
            from gpu_index.cuda.engine import CudaEngine

            return CudaEngine
        from gpu_index.cpu.engine import CpuEngine

        return CpuEngine
    except ImportError as error:
        raise ConfigError(f"device {device!r} needs {error.name}, which is not installed; pip install it") from error
