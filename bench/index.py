"""The exact index beside FAISS Flat with a selector per query, interleaved, own clause per query, recall printed.

FAISS gets its mask ready made; the index evaluates its clause. Speed is not yet a goal here: correctness is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from gpu_index import Clause, Index

ROWS, DIMENSION, BATCH, K, ROUNDS = 100_000, 64, 64, 100, 5
PASS_RATES = (0.5, 0.1, 0.01, 0.001)


def run(data: Path | None) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((ROWS, DIMENSION)).astype(np.float32)
    queries = rng.standard_normal((BATCH, DIMENSION)).astype(np.float32)
    marked = rng.random((ROWS, len(PASS_RATES))) < PASS_RATES
    terms = [[f"rate={rate}" for rate, has in zip(PASS_RATES, row, strict=True) if has] for row in marked]
    index = Index(spaces={"v": DIMENSION}, device="cpu")
    began = time.perf_counter()
    index.upsert(np.arange(ROWS), vectors={"v": vectors}, terms=terms)
    insert = (time.perf_counter() - began) / ROWS * 1e6
    faiss_index = _faiss(vectors)
    rows = []
    for column, rate in enumerate(PASS_RATES):
        where = [Clause(all_of=[[f"rate={rate}"]])] * BATCH
        allowed = np.flatnonzero(marked[:, column])
        ours, theirs, found, other = [], [], None, None
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = index.search(queries, space="v", k=K, where=where).ids
            ours.append(time.perf_counter() - began)
            if faiss_index is not None:
                began = time.perf_counter()
                other = _faiss_search(faiss_index, queries, allowed)
                theirs.append(time.perf_counter() - began)
        rows.append(
            {
                "pass_rate": rate,
                "ms_per_query": round(float(np.median(ours)) / BATCH * 1e3, 3),
                "faiss_ms_per_query": round(float(np.median(theirs)) / BATCH * 1e3, 3) if theirs else None,
                "recall": _recall(found, vectors, queries, allowed),
                "faiss_recall": _recall(other, vectors, queries, allowed) if other is not None else None,
            }
        )
    return {"rows": ROWS, "dimension": DIMENSION, "insert_us_per_row": round(insert, 1), "table": rows}


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["pass rate", "index ms/query", "recall", "FAISS Flat + selector ms/query", "recall"]]
    for row in result["table"]:
        theirs = ("not measured", "-") if row["faiss_recall"] is None else (
            f"{row['faiss_ms_per_query']:.2f}", f"{row['faiss_recall']:.3f}"
        )  # fmt: skip
        table.append([f"{row['pass_rate']:.1%}", f"{row['ms_per_query']:.2f}", f"{row['recall']:.3f}", *theirs])
    return table


def _recall(ids: np.ndarray | None, vectors: np.ndarray, queries: np.ndarray, allowed: np.ndarray) -> float:
    """Share of brute force's top k that was found."""
    assert ids is not None
    score = queries.astype(np.float64) @ vectors[allowed].T.astype(np.float64)
    truth = allowed[np.argsort(-score, axis=1, kind="stable")[:, :K]]
    hits = [len(np.intersect1d(mine[mine >= 0], right)) / len(right) for mine, right in zip(ids, truth, strict=True)]
    return round(float(np.mean(hits)), 4)


def _faiss(vectors: np.ndarray) -> Any:
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def _faiss_search(index: Any, queries: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    import faiss

    if len(allowed) < index.ntotal // 50:
        selector = faiss.IDSelectorArray(allowed)
    else:
        marks = np.zeros(index.ntotal, bool)
        marks[allowed] = True
        selector = faiss.IDSelectorBitmap(np.packbits(marks, bitorder="little"))
    parameters = faiss.SearchParameters(sel=selector)
    return np.concatenate([index.search(query[None], K, params=parameters)[1] for query in queries])
