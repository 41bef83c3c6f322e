"""The search engine of the CPU: find candidates with float32 arithmetic, decide with the exact score.

    clause -> slots -> float32 products -> [low, high] around each exact score -> contenders -> exact scores -> k best

Products may come from any BLAS in any order: `error_bound` holds for all of them, so every row of the answer is among
the contenders, and only the exact scores of contenders are compared. Hence a batch equals one-by-one, bit for bit.

Per query, with n slots, m matching rows and d dimensions: m <= 2k rows are scored exactly at once; a clause that lets
less than one row in 16 through is gathered (m * d); otherwise queries share one matrix product (n * d each) and a
linear selection over m. About k contenders remain unless scores nearly tie: a thousand rows within rounding of the
k-th place are a thousand exact scores more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_index.clause import Clause
from gpu_index.inputs import Boosts
from gpu_index.matching import Matching
from gpu_index.rows import RowStore, SpaceStore
from gpu_index.scoring import error_bound, exact_dots, norms_of, rounded
from gpu_index.terms import TermStore
from gpu_index.topk import Hits, best, contenders

BLOCK_PRODUCTS = 1 << 23  # float32 products in memory at a time: 32 MiB
GATHER_BELOW = 16  # gather rows if fewer than one slot in so many match


def search(
    rows: RowStore,
    terms: TermStore,
    space: str,
    queries: np.ndarray,
    k: int,
    where: Sequence[Clause | None],
    boosts: Sequence[Boosts],
) -> Hits:
    """queries float32[B,dim], one clause and one tuple of boosts each -> Hits [B,k]."""
    hits = Hits.empty(len(queries), k)
    store, extent = rows.spaces[space], rows.extent
    matching = Matching(terms, store.present[:extent])
    step = max(1, BLOCK_PRODUCTS // max(1, extent))
    for start in range(0, len(queries), step):
        block = range(start, min(start + step, len(queries)))
        slots = {b: matching.slots(where[b]) for b in block}
        dense = [b for b in block if len(slots[b]) > max(2 * k, extent // GATHER_BELOW)]
        products = queries[dense] @ store.vectors[:extent].T  # [dense, extent]
        product_of = dict(zip(dense, products, strict=True))
        for b in block:
            boost = boost_sum(terms, boosts[b], extent)[slots[b]] if boosts[b] else 0.0
            found, scores = _scored(store, queries[b], slots[b], product_of.get(b), boost, k)
            order = best(scores, rows.ids[found], k)
            hits.ids[b, : len(order)] = rows.ids[found[order]]
            hits.scores[b, : len(order)] = scores[order]
    return hits


def boost_sum(terms: TermStore, boosts: Boosts, extent: int) -> np.ndarray:
    """float64[extent]: per slot the weights of the boosted terms it has, added in the order of the terms."""
    total = np.zeros(extent)
    for term, weight in boosts:
        total[terms.slots(term)] += weight
    return total


def _scored(
    store: SpaceStore,
    query: np.ndarray,
    slots: np.ndarray,
    products: np.ndarray | None,
    boost: np.ndarray | float,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The slots that may be among the k best and their exact scores float32.

    products float32[extent] if they are there already; boost float64 of each slot, or 0.0 for all.
    """
    if len(slots) <= 2 * k:
        return slots, rounded(exact_dots(query, store.vectors[slots]), boost)
    near = products[slots] if products is not None else store.vectors[slots] @ query
    error = error_bound(float(norms_of(query[None])[0]), store.norms[slots], store.dim)
    low, high = rounded(near - error, boost), rounded(near + error, boost)
    kept = contenders(low, high, k)

    scores = low[kept]
    unsettled = np.flatnonzero(low[kept] != high[kept])  # elsewhere only one float32 lies in between: the score
    chosen = kept[unsettled]
    boost_chosen = boost[chosen] if isinstance(boost, np.ndarray) else boost
    scores[unsettled] = rounded(exact_dots(query, store.vectors[slots[chosen]]), boost_chosen)
    return slots[kept], scores
