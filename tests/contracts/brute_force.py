"""Brute force over plain arrays: every row is scored for every query and all of them are sorted.

The same answers as ReferenceIndex (a test says so), fast enough for worlds of thousands of rows.
"""

import numpy as np

from gpu_index import Hits
from gpu_index.scoring import bf16_bits, exact_dots, from_bf16_bits, rounded


class BruteForce:
    """Rows 0..n-1 of an array, each with an id; rows come and go by their flags."""

    def __init__(self, ids, spaces, precision="float32"):
        self.ids = np.asarray(ids, np.int64)
        self.precision = precision
        self.alive = np.zeros(len(self.ids), bool)
        self.vectors = {space: np.zeros((len(self.ids), dim), np.float32) for space, dim in spaces.items()}
        self.present = {space: np.zeros(len(self.ids), bool) for space in spaces}
        self.terms = [frozenset()] * len(self.ids)
        self.having = {}  # term -> the rows that have it
        self.row_of = {row_id: row for row, row_id in enumerate(self.ids.tolist())}

    def upsert(self, ids, vectors=None, terms=None):
        rows = np.array([self.row_of[row_id] for row_id in np.asarray(ids).tolist()], np.int64)
        self._forget(rows)
        self.alive[rows] = True
        for space, values in (vectors or {}).items():
            values = np.asarray(values, np.float32).reshape(len(rows), self.vectors[space].shape[1])
            self.vectors[space][rows] = from_bf16_bits(bf16_bits(values)) if self.precision == "bf16" else values
            self.present[space][rows] = True
        for row, bag in zip(rows.tolist(), terms or [], strict=False):
            self.terms[row] = frozenset(bag)
            for term in bag:
                self.having.setdefault(term, set()).add(row)

    def delete(self, ids):
        rows = [self.row_of[row_id] for row_id in np.asarray(ids).tolist() if row_id in self.row_of]
        rows = np.array([row for row in rows if self.alive[row]], np.int64)
        self._forget(rows)
        self.alive[rows] = False
        return len(rows)

    def __len__(self):
        return int(self.alive.sum())

    def terms_of(self, row_id):
        return sorted(self.terms[self.row_of[row_id]])

    def count(self, clause=None):
        return int(self.matches(clause).sum())

    def matches(self, clause):
        """bool[n], which rows satisfy the clause."""
        found = self.alive.copy()
        if clause is not None:
            for group in clause.all_of:
                found &= self._any(group)
            found &= ~self._any(clause.none_of)
        return found

    def search(self, queries, space, k, where=None, boosts=None):
        hits = Hits.empty(len(queries), k)
        for b, query in enumerate(np.asarray(queries, np.float32)):
            rows = np.flatnonzero(self.matches(where and where[b]) & self.present[space])
            boost = np.zeros(len(rows))
            for term, weight in sorted(((boosts and boosts[b]) or {}).items()):
                boost += np.where(self._any([term])[rows], weight, 0.0)
            scores = rounded(exact_dots(query, self.vectors[space][rows]), boost)
            order = np.lexsort((self.ids[rows], -scores))[:k]
            hits.ids[b, : len(order)] = self.ids[rows[order]]
            hits.scores[b, : len(order)] = scores[order]
        return hits

    def _any(self, terms):
        found = np.zeros(len(self.ids), bool)
        for term in terms:
            found[list(self.having.get(term, ()))] = True
        return found

    def _forget(self, rows):
        for present in self.present.values():
            present[rows] = False
        for row in rows.tolist():
            for term in self.terms[row]:
                self.having[term].discard(row)
            self.terms[row] = frozenset()
