"""The other methods of the index benchmarks. All of them get their clauses evaluated by Roaring bitmaps.

Every method answers a Workload with int64[B,k] ids, -1 where there are fewer than k. FAISS takes one selector a call,
so a batch whose queries have clauses of their own is a loop; the matrix product is the other way, one for all of them.
Packages that are not installed leave their methods out.
"""

from __future__ import annotations

import importlib.util
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.index_queries import Workload
from bench.index_size import Size, say
from bench.index_world import TERMS, Rows, TermClause

Method = Callable[[Workload], np.ndarray]
FLAT_ARRAY, FLAT_BITMAP, MULTIPLIED = "FAISS Flat, id array", "FAISS Flat, bitmap", "matrix product, mask, top k"
FLAT = (FLAT_ARRAY, FLAT_BITMAP)
EXACT = (*FLAT, MULTIPLIED)
HNSW, IVF = "FAISS HNSW", "FAISS IVF"


def installed(*packages: str) -> bool:
    """Whether all of them can be imported."""
    return all(importlib.util.find_spec(package) is not None for package in packages)


class Postings:
    """A Roaring bitmap of row numbers per term that some row has."""

    def __init__(self) -> None:
        from pyroaring import BitMap

        self._bitmap = BitMap
        self._rows: dict[int, BitMap] = {}
        self.rows = 0

    def add(self, piece: Rows) -> None:
        """The rows that follow those added before."""
        row, term = piece.pairs()
        order = np.argsort(term, kind="stable")
        row, term = (piece.ids[row[order]]).astype(np.uint32), term[order]
        start = np.searchsorted(term, np.arange(TERMS + 1))
        for number in np.flatnonzero(np.diff(start)):
            self._rows.setdefault(int(number), self._bitmap()).update(row[start[number] : start[number + 1]])
        self.rows += len(piece)

    def finish(self) -> None:
        """Choose the smallest form of every bitmap, as Roaring's users do after loading."""
        for bitmap in self._rows.values():
            bitmap.run_optimize()

    def bitmap(self, clause: TermClause):
        """The rows that satisfy the clause; the smallest group first, and the absent terms last."""
        groups = [[self._rows[term] for term in group.tolist() if term in self._rows] for group in clause.groups]
        found = None
        for group in sorted(groups, key=lambda bitmaps: sum(map(len, bitmaps))):
            union = self._bitmap.union(*group) if group else self._bitmap()
            found = union if found is None else found & union
            if not found:
                return found
        absent = [self._rows[term] for term in clause.none_of.tolist() if term in self._rows]
        if found is None:
            found = self._bitmap(range(self.rows))
        return found - self._bitmap.union(*absent) if absent else found

    def ids(self, clause: TermClause) -> np.ndarray:
        """The same rows, int64 ascending."""
        return np.frombuffer(self.bitmap(clause).to_array(), np.uint32).astype(np.int64)


def peers(
    size: Size, postings: Postings | None, vectors: np.ndarray | None, among: Sequence[str] = (*EXACT, HNSW, IVF)
) -> dict[str, Method]:
    """The wanted methods by name, built over float32[N,d] rows; what is not installed is left out."""
    wanted = [name for name in among if size.wants(name) and (name == MULTIPLIED or installed("faiss"))]
    if postings is None or vectors is None:
        return {}
    methods: dict[str, Method] = {}
    if any(name in FLAT for name in wanted):
        methods |= _flat(size, postings, vectors)
    for name, build in ((MULTIPLIED, _multiplied), (HNSW, _hnsw), (IVF, _ivf)):
        if name in wanted:
            began = time.perf_counter()
            methods[name] = build(size, postings, vectors)
            say(f"{name}: ready in {time.perf_counter() - began:.0f} s")
    return {name: methods[name] for name in wanted}


def _flat(size: Size, postings: Postings, vectors: np.ndarray) -> dict[str, Method]:
    import faiss

    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)

    def parameters(selector):
        return faiss.SearchParameters(sel=selector)

    return {
        FLAT_ARRAY: _one_by_one(flat, size.k, lambda clause: parameters(faiss.IDSelectorArray(postings.ids(clause)))),
        FLAT_BITMAP: _one_by_one(flat, size.k, lambda clause: parameters(bitmap_selector(postings, clause))),
    }


def _hnsw(size: Size, postings: Postings, vectors: np.ndarray) -> Method:
    import faiss

    kept = Path(size.graphs, f"hnsw-{zlib.crc32(vectors.data):08x}.faiss") if size.graphs else None
    if kept is not None and kept.exists():
        graph = faiss.read_index(str(kept))
    else:
        graph = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = 80
        with _faiss_threads(size.build_threads, size.threads):
            graph.add(vectors)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            faiss.write_index(graph, str(kept))
    return _one_by_one(
        graph,
        size.k,
        lambda clause: faiss.SearchParametersHNSW(sel=bitmap_selector(postings, clause), efSearch=128),
    )


def _ivf(size: Size, postings: Postings, vectors: np.ndarray) -> Method:
    import faiss

    lists = min(size.lists, len(vectors) // 40)  # FAISS warns below 39 training rows a list
    coarse = faiss.IndexFlatIP(vectors.shape[1])
    inverted = faiss.IndexIVFFlat(coarse, vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).choice(len(vectors), min(len(vectors), 64 * lists), replace=False)
    with _faiss_threads(size.build_threads, size.threads):
        inverted.train(vectors[sample])
        inverted.add(vectors)
    return _one_by_one(
        inverted,
        size.k,
        lambda clause: faiss.SearchParametersIVF(sel=bitmap_selector(postings, clause), nprobe=min(64, lists)),
    )


def bitmap_selector(postings: Postings, clause: TermClause):
    """FAISS's selector of one bit a row."""
    import faiss

    marks = np.zeros(postings.rows, bool)
    marks[postings.ids(clause)] = True
    return faiss.IDSelectorBitmap(np.packbits(marks, bitorder="little"))


def _one_by_one(index, k: int, parameters: Callable[[TermClause], object]) -> Method:
    def method(workload: Workload) -> np.ndarray:
        found = np.empty((len(workload), k), np.int64)
        for query, clause in enumerate(workload.clauses):
            found[query] = index.search(workload.vectors[query : query + 1], k, params=parameters(clause))[1]
        return found

    return method


def _multiplied(size: Size, postings: Postings, vectors: np.ndarray) -> Method:
    import torch

    rows = torch.from_numpy(vectors)

    def method(workload: Workload) -> np.ndarray:
        scores = torch.from_numpy(workload.vectors) @ rows.T  # [B, N]
        refused = np.ones(scores.shape, bool)
        for query, clause in enumerate(workload.clauses):
            refused[query, postings.ids(clause)] = False
        scores.masked_fill_(torch.from_numpy(refused), -torch.inf)
        best = torch.topk(scores, min(size.k, len(vectors)))
        return torch.where(best.values > -torch.inf, best.indices, -1).numpy()

    return method


@contextmanager
def _faiss_threads(inside: int, after: int) -> Iterator[None]:
    """FAISS on other threads for a while: builds are not timed against anybody."""
    import faiss

    faiss.omp_set_num_threads(inside)
    yield
    faiss.omp_set_num_threads(after)
