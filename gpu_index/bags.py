"""The bags of terms of many rows as they come in: Python lists or a pyarrow list<string>, checked and numbered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_index.clause import checked_term
from market.errors import IndexInputError


@dataclass(frozen=True)
class Bags:
    """n bags over one vocabulary; the codes of row i follow those of row i - 1, each at most once.

    vocabulary  distinct terms
    counts      int64[n], terms of each row
    codes       int64[sum of counts], positions in the vocabulary
    """

    vocabulary: list[str]
    counts: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def compact(self) -> Bags:
        """The same bags over the terms they use."""
        used, codes = np.unique(self.codes, return_inverse=True)
        return Bags([self.vocabulary[code] for code in used.tolist()], self.counts, codes)

    def lists(self) -> list[list[str]]:
        """The bags as n Python lists."""
        names = [self.vocabulary[code] for code in self.codes.tolist()]
        ends = np.cumsum(self.counts).tolist()
        return [names[end - count : end] for end, count in zip(ends, self.counts.tolist(), strict=True)]


def bags_of(terms: Any, rows: int) -> Bags:
    """`terms` of an upsert of that many rows; None means no terms. IndexInputError names what is wrong.

    A pyarrow column is numbered without touching its strings one by one: time grows with the bytes of the column and
    Python work with the number of distinct terms. Python lists cost a dictionary look-up per term.
    """
    if terms is None:
        return Bags([], np.zeros(rows, np.int64), np.empty(0, np.int64))
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise IndexInputError(f"terms is {terms!r}; expected one list of terms per row")
    bags = _from_arrow(terms) if type(terms).__module__.partition(".")[0] == "pyarrow" else _from_lists(terms)
    if len(bags) != rows:
        raise IndexInputError(f"terms has {len(bags)} rows, ids has {rows}; give one list of terms per id")
    return bags


def _from_lists(rows: Iterable[Any]) -> Bags:
    codes: dict[str, int] = {}
    flat: list[int] = []
    counts: list[int] = []
    for number, row in enumerate(rows):
        if isinstance(row, str):
            raise IndexInputError(f"terms[{number}] is the string {row!r}; expected a list of terms: [{row!r}]")
        try:
            bag = dict.fromkeys(row) if row is not None else {}
        except TypeError:
            raise IndexInputError(f"terms[{number}] is {row!r}; expected a list of terms") from None
        for term in bag:
            code = codes.get(term)
            if code is None:
                code = codes[checked_term(term, f"terms[{number}]")] = len(codes)
            flat.append(code)
        counts.append(len(bag))
    return Bags(list(codes), np.array(counts, np.int64), np.array(flat, np.int64))


def _from_arrow(column: Any) -> Bags:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no chunks at all
        column = pa.array([], column.type)
    kind = getattr(column, "type", None)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise IndexInputError(f"terms is a pyarrow {kind}; expected list<string>")
    values = column.flatten()  # null lists count as empty
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    if len(values) and not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise IndexInputError(f"terms is a pyarrow {kind}; expected list<string>")
    counts = np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)
    if values.null_count:
        raise IndexInputError("terms holds a null inside a list; expected a term 'field=value'")
    encoded = values.dictionary_encode()
    vocabulary = [checked_term(term, "terms") for term in encoded.dictionary.to_pylist()]
    codes = np.asarray(encoded.indices, np.int64)

    row = np.repeat(np.arange(len(counts)), counts)
    pairs = row * len(vocabulary) + codes
    ordered = np.sort(pairs)
    if not (ordered[1:] == ordered[:-1]).any():
        return Bags(vocabulary, counts, codes)
    _, first = np.unique(pairs, return_index=True)
    first.sort()
    return Bags(vocabulary, np.bincount(row[first], minlength=len(counts)).astype(np.int64), codes[first])
