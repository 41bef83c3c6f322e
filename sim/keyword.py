"""The keyword arm: BM25 between the titles a seeker held and the titles of vacancies.

    score(q, d) = sum over words w of q:  idf(w) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|))
    idf(w) = log(1 + (N - n_w + .5) / (n_w + .5))                         Robertson and Zaragoza 2009, Lucene's idf

What most job boards run, and the tuned peer that needs no log at all. The newest titles of a profile ask together, a
word of several titles counts once per title; documents are the titles of all vacancies of the window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from organic.reasons import words
from sim.market import Market
from sim.stage import SHOWN_TITLES
from sim.world import World

K1, B = 1.2, 0.75


def keyword_scores(world: World, market: Market) -> np.ndarray:
    """float32[n]: BM25 of every pair of the market, -inf where seeker and vacancy share no word."""
    titles = [world.title(world.inventory, job) for job in range(len(world.inventory))]
    held = np.stack([market.examples.item_at(rank) for rank in range(SHOWN_TITLES)], axis=1)  # -1: no more
    asked, ask = np.unique(held, axis=0, return_inverse=True)
    queries = [[world.facts.titles[o][0] for o in row.tolist() if o >= 0] for row in asked]
    score = bm25(queries, titles, market.terms.job)
    score[score == 0] = -np.inf
    return score[np.repeat(ask.ravel(), np.diff(market.pairs.start)), market.pairs.campaign]


def bm25(queries: Sequence[Sequence[str]], documents: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """float32[queries, len(rows)]: scores of the documents `rows`; how rare a word is comes from all documents."""
    number: dict[str, int] = {}
    bags = [[number.setdefault(word, len(number)) for word in sorted(words(text))] for text in documents]
    length = np.array([len(bag) for bag in bags], float)
    of_word = np.bincount(np.concatenate([np.array(bag, int) for bag in bags]), minlength=len(number))
    idf = np.log1p((len(documents) - of_word + 0.5) / (of_word + 0.5))
    damp = K1 * (1 - B + B * length / max(length.mean(), 1e-12))  # a title says a word once
    kept = [bags[row] for row in rows.tolist()]
    weight = [idf[bag] * (K1 + 1) / (1 + damp[row]) for row, bag in zip(rows.tolist(), kept, strict=True)]
    shape = (len(rows), len(number))
    weighed = _sparse(kept, weight, shape)
    known = [[number[w] for text in query for w in sorted(words(text)) if w in number] for query in queries]
    asked = _sparse(known, [np.ones(len(found)) for found in known], (len(queries), len(number)))
    return np.asarray((asked @ weighed.T).toarray(), np.float32)


def _sparse(
    columns: Sequence[Sequence[int]], values: Sequence[np.ndarray], shape: tuple[int, int]
) -> scipy.sparse.csr_matrix:
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
    flat = np.concatenate([np.array(row, int) for row in columns] + [np.empty(0, int)])
    data = np.concatenate([*values, np.empty(0)])
    return scipy.sparse.csr_matrix((data, flat, indptr), shape=shape)
