"""tantivy as a counter of clauses: one field, one segment, no scores where it allows that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.index_world import WORDS, Rows, TermClause

FIELD, NUMBER = "terms", "number"
HEAP_BYTES = 4_000_000_000  # all documents in one segment, up to a few million of them


class Tantivy:
    """Documents with a bag of raw terms; `counters` are the ways to count that its Python package offers."""

    def __init__(self) -> None:
        import tantivy

        self._tantivy = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field(FIELD, stored=False, tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field(NUMBER, stored=False, indexed=False, fast=True)
        self.schema = builder.build()
        self._index = tantivy.Index(self.schema)
        self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=1)

    def add(self, piece: Rows) -> None:
        """The rows of a piece, a document each."""
        for number, words in zip(piece.ids.tolist(), piece.terms().to_pylist(), strict=True):
            document = self._tantivy.Document()
            for word in words:
                document.add_text(FIELD, word)
            document.add_unsigned(NUMBER, number)
            self._writer.add_document(document)

    def finish(self) -> None:
        """Make everything searchable."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self.searcher = self._index.searcher()

    def query(self, clause: TermClause) -> Any:
        """The clause as a boolean query over terms; sets of terms in place of the groups were slower everywhere."""
        query, occur = self._tantivy.Query, self._tantivy.Occur

        def any_of(terms: np.ndarray) -> Any:
            words = [WORDS[term] for term in terms]
            return query.boolean_query(
                [(occur.Should, query.term_query(self.schema, FIELD, word, "basic")) for word in words]
            )

        parts = [(occur.Must, any_of(group)) for group in clause.groups]
        if len(clause.none_of):
            parts.append((occur.MustNot, any_of(clause.none_of)))
        return query.boolean_query(parts)

    def counters(self) -> dict[str, Callable[[Any], int]]:
        """{how: query -> number of documents}: searches that keep one best document, scored or not; an aggregate."""
        constant = self._tantivy.Query.const_score_query
        values = {"n": {"value_count": {"field": NUMBER}}}
        return {
            "search": lambda query: self.searcher.search(query, limit=1, count=True).count,
            "constant score": lambda query: self.searcher.search(constant(query, 1.0), limit=1, count=True).count,
            "by field": lambda query: self.searcher.search(query, limit=1, count=True, order_by_field=NUMBER).count,
            "aggregate": lambda query: int(self.searcher.aggregate(query, values)["n"]["value"]),
        }
