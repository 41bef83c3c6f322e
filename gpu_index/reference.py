"""The slow, obvious twin of the index: a dictionary of rows and a loop. It defines what every engine must answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_index import snapshot
from gpu_index.bags import Bags, bags_of
from gpu_index.clause import Clause
from gpu_index.inputs import PRECISIONS, boosts_of, clauses_of, dimension, ids_of, k_of, matrix, spaces_of, vectors_of
from gpu_index.scoring import bf16_bits, exact_dots, from_bf16_bits, rounded
from gpu_index.topk import Hits
from market.errors import IndexInputError


@dataclass(frozen=True)
class Row:
    """vectors: float32[dim] by space; terms: the bag."""

    vectors: Mapping[str, np.ndarray]
    terms: frozenset[str]


def matches(clause: Clause | None, terms: frozenset[str]) -> bool:
    """Whether a row with these terms satisfies the clause."""
    if clause is None:
        return True
    return all(any(term in terms for term in group) for group in clause.all_of) and not any(
        term in terms for term in clause.none_of
    )


class ReferenceIndex:
    """Same interface and answers as Index; every search scores every row."""

    def __init__(self, spaces: Mapping[str, int], device: str = "cpu", precision: str = "float32") -> None:
        self._spaces = spaces_of(spaces)
        if device not in ("cpu", "auto"):
            raise IndexInputError(f"device is {device!r}; the reference runs on the CPU")
        if precision not in PRECISIONS:
            raise IndexInputError(f"precision is {precision!r}; expected one of {PRECISIONS}")
        self._precision = precision
        self._rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def upsert(self, ids: Any, vectors: Mapping[str, Any] | None = None, terms: Any = None) -> None:
        checked_ids = ids_of(ids)
        stored = vectors_of(vectors, self._spaces, len(checked_ids))
        if self._precision == "bf16":
            stored = {space: from_bf16_bits(bf16_bits(values)) for space, values in stored.items()}
        bags = bags_of(terms, len(checked_ids)).lists()
        for i, row_id in enumerate(checked_ids.tolist()):
            own = {space: values[i].copy() for space, values in stored.items()}
            self._rows[row_id] = Row(own, frozenset(bags[i]))

    def delete(self, ids: Any) -> int:
        return sum(self._rows.pop(row_id, None) is not None for row_id in ids_of(ids).tolist())

    def search(
        self,
        queries: Any,
        space: str,
        k: int,
        where: Sequence[Clause | None] | None = None,
        boosts: Sequence[Mapping[str, float] | None] | None = None,
    ) -> Hits:
        batch = matrix(queries, "queries", dimension(self._spaces, space))
        k = k_of(k, len(batch))
        clauses = clauses_of(where, len(batch))
        weights = boosts_of(boosts, len(batch))
        hits = Hits.empty(len(batch), k)
        for b, query in enumerate(batch):
            found = []
            for row_id, row in self._rows.items():
                if space in row.vectors and matches(clauses[b], row.terms):
                    boost = sum((weight for term, weight in weights[b] if term in row.terms), start=0.0)
                    score = rounded(exact_dots(query, row.vectors[space][None]), boost)[0]
                    found.append((-score, row_id))
            for place, (negated, row_id) in enumerate(sorted(found)[:k]):
                hits.ids[b, place], hits.scores[b, place] = row_id, -negated + np.float32(0)
        return hits

    def count(self, clause: Clause | None = None) -> int:
        (checked,) = clauses_of([clause], 1)
        return sum(matches(checked, row.terms) for row in self._rows.values())

    def terms_of(self, row_id: int) -> list[str]:
        if row_id not in self._rows:
            raise IndexInputError(f"id {row_id} is not in the index")
        return sorted(self._rows[row_id].terms)

    def save(self, path: Path | str) -> None:
        ids = sorted(self._rows)
        vectors = {}
        for space, dim in self._spaces.items():
            rows = [i for i, row_id in enumerate(ids) if space in self._rows[row_id].vectors]
            stacked = [self._rows[ids[i]].vectors[space] for i in rows]
            vectors[space] = np.array(rows, np.int64), np.array(stacked, np.float32).reshape(len(rows), dim)
        vocabulary = sorted(set().union(*(row.terms for row in self._rows.values())))
        code_of = {term: code for code, term in enumerate(vocabulary)}
        codes = [code_of[term] for row_id in ids for term in self.terms_of(row_id)]
        counts = np.array([len(self._rows[row_id].terms) for row_id in ids], np.int64)
        bags = Bags(vocabulary, counts, np.array(codes, np.int64))
        contents = snapshot.Contents(self._spaces, self._precision, np.array(ids, np.int64), vectors, bags)
        snapshot.write(path, contents)

    @classmethod
    def load(cls, path: Path | str, device: str = "cpu") -> ReferenceIndex:
        contents = snapshot.read(path)
        index = cls(contents.spaces, device, contents.precision)
        bags = contents.bags.lists()
        own: list[dict[str, np.ndarray]] = [{} for _ in bags]
        for space, (rows, values) in contents.vectors.items():
            for row, value in zip(rows.tolist(), values, strict=True):
                own[row][space] = value
        for i, row_id in enumerate(contents.ids.tolist()):
            index._rows[row_id] = Row(own[i], frozenset(bags[i]))
        return index
